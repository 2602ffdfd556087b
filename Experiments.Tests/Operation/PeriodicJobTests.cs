using Experiments.Api.Platform.Startup;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;
using Npgsql;

namespace Experiments.Tests.Operation;

public class PeriodicJobTests(TestCluster cluster)
{
    [Theory]
    [InlineData("SELECT missing_column")]
    [InlineData("SELECT FROM missing_table")]
    [InlineData("SELECT 1 / 0")]
    public async Task A_job_that_fails_stops_neither_the_host_nor_itself(string sql)
    {
        await using var source = NpgsqlDataSource.Create(await cluster.EmptyDatabase());
        var job = new Job(source, sql);
        var builder = Host.CreateApplicationBuilder();
        builder.Logging.ClearProviders();
        builder.Services.AddSingleton<IHostedService>(job);
        using var host = builder.Build();
        await host.StartAsync();

        await Given.Eventually(() => Task.FromResult(job.Runs >= 3));

        host.Services.GetRequiredService<IHostApplicationLifetime>().ApplicationStopping.IsCancellationRequested.ShouldBeFalse();
        await host.StopAsync();
        job.ExecuteTask!.IsCompletedSuccessfully.ShouldBeTrue();
    }

    [Fact]
    public async Task Responses_are_kept_for_a_day_and_then_removed()
    {
        var database = await cluster.NewDatabase();
        await using var app = await TestService.Start(database);
        await using var source = NpgsqlDataSource.Create(database);
        await using (
            var insert = source.CreateCommand(
                """
                INSERT INTO idempotency_keys (caller, scope, key, fingerprint, created_at)
                SELECT 'someone', '', int8send(n), '', now() - CASE WHEN n <= 12000 THEN interval '25 hours' ELSE interval '23 hours' END
                FROM generate_series(1, 12010) n
                """
            )
        )
        {
            await insert.ExecuteNonQueryAsync();
        }

        await app.Services.GetServices<IHostedService>().OfType<IdempotencyCleanupJob>().Single().Run(CancellationToken.None);

        await using var count = source.CreateCommand("SELECT count(*) FROM idempotency_keys");
        (await count.ExecuteScalarAsync()).ShouldBe(10L);
        await app.StopAsync();
    }

    [Theory]
    [InlineData(null, 12_010)]
    [InlineData("30.00:00:00", 10)]
    public async Task Audit_entries_are_deleted_only_when_a_retention_is_set(string? retention, int left)
    {
        var database = await cluster.NewDatabase();
        await using var app = retention is null
            ? await TestService.Start(database)
            : await TestService.Start(database, $"--Audit:Retention={retention}");
        await using var source = NpgsqlDataSource.Create(database);
        await using (
            var insert = source.CreateCommand(
                """
                INSERT INTO audit_log (at, actor, action, object_type, object_id)
                SELECT now() - CASE WHEN n <= 12000 THEN interval '31 days' ELSE interval '29 days' END, 'someone', 'test', 'project', n
                FROM generate_series(1, 12010) n
                """
            )
        )
        {
            await insert.ExecuteNonQueryAsync();
        }

        await app.Services.GetServices<IHostedService>().OfType<AuditRetentionJob>().Single().Run(CancellationToken.None);

        await using var count = source.CreateCommand("SELECT count(*) FROM audit_log WHERE actor = 'someone'");
        (await count.ExecuteScalarAsync()).ShouldBe((long)left);
        await app.StopAsync();
    }

    private sealed class Job(NpgsqlDataSource source, string sql) : PeriodicJob(new Readiness { HasSchema = true }, NullLogger.Instance)
    {
        public int Runs { get; private set; }

        protected override TimeSpan Interval => TimeSpan.FromMilliseconds(1);

        public override async Task Run(CancellationToken ct)
        {
            Runs++;
            await using var command = source.CreateCommand(sql);
            await command.ExecuteNonQueryAsync(ct);
        }
    }
}
