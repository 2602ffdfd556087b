using System.Globalization;
using System.Reflection;
using Experiments.Api.Aggregation;
using Experiments.Api.Analysis;
using Experiments.Api.ClickHouse;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Experiments.Api.Platform.Startup;
using Experiments.Tests.Http;
using Experiments.Tests.Ingestion;
using Microsoft.AspNetCore.Routing;
using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Hosting;

namespace Experiments.Tests.Operation;

/// <summary>
/// docs/operations.md lists everything that waits, with its limit. The list comes from the code: its settings, the limits of its routes
/// and its background services. So it is complete, and its numbers are those that hold.
/// </summary>
public class WaitingLimitTests(SharedService service) : IClassFixture<SharedService>
{
    private const string Head = "| what waits | limit | setting |\n|---|---|---|\n";
    private const string Deadline = "`Requests__Deadline`";

    /// <param name="What">What waits.</param>
    /// <param name="Limit">How long at most, and what then.</param>
    /// <param name="Setting">What moves it; "-" if nothing does.</param>
    /// <param name="Test">The test that runs into it, if one does.</param>
    /// <param name="Services">The background services whose waits these are.</param>
    private sealed record Row(string What, string Limit, string Setting, string? Test = null, params Type[] Services);

    private static readonly RequestOptions Requests = new();

    private Row[] Rows =>
        [
            new(
                "a request",
                $"{Text(Requests.Deadline)}, then 503",
                Deadline,
                nameof(SlowDatabaseTests.A_database_that_hangs_costs_no_request_more_than_its_deadline)
            ),
            new(
                "a request, for others of its caller",
                "as the request; a caller may have two thirds of `Maximum Pool Size` at work",
                "`Maximum Pool Size` in the connection string",
                nameof(BusyPoolTests.Requests_that_wait_for_a_lock_take_up_neither_readiness_nor_the_turns_of_other_callers)
            ),
            .. LongRoutes()
                .Select(limit => new Row(string.Join(", ", limit.Order(StringComparer.Ordinal)), $"{Text(limit.Key)}, then 503", "-")),
            new(
                "the export of a cohort",
                $"{Text(Requests.Deadline)} for each 10,000 identities; a client that stops reading, 5 s",
                Deadline
            ),
            new(
                "the body of a request",
                $"{Text(Requests.Deadline)}, then 408",
                Deadline,
                nameof(RawRequestTests.A_body_that_does_not_come_is_408)
            ),
            new(
                "a body of events, for its share of the memory",
                "no time, then 429; for memory at all as a request, then 503",
                Deadline,
                nameof(IngestionLimiterTests.Who_waits_for_a_place_no_longer_than_its_deadline_is_told_to_come_back)
            ),
            new(
                "a statement of a request",
                "as the request, enforced by the server",
                Deadline,
                nameof(SlowDatabaseTests.A_statement_that_waits_too_long_is_503_and_changes_nothing_later)
            ),
            new(
                "a transaction whose client is silent",
                $"the deadline plus 2 s; {Text(DatabaseSetup.Idle)} in the background",
                Deadline,
                nameof(FrozenReplicaTests.A_request_that_is_frozen_in_the_middle_of_a_change_gives_back_what_it_has_locked)
            ),
            new("opening a connection, and a free one in the pool", "5 s", "`Timeout` in the connection string"),
            new(
                "a lost peer of a connection",
                "25 s (keepalives of 10 s, 5 s apart, three times); 8 s with data in flight",
                "-",
                nameof(FrozenReplicaTests.Every_connection_has_a_limit_and_looks_whether_its_other_end_is_there)
            ),
            new("the signing keys of a token's issuer", "2 s, then 401", "-"),
            new(
                "readiness, for the database",
                $"{Text(DatabaseProbe.Limit)} on connections of its own, then 503",
                "-",
                nameof(BusyPoolTests.Requests_that_wait_for_a_lock_take_up_neither_readiness_nor_the_turns_of_other_callers)
            ),
            new(
                "a replica, to see that its schema was migrated down",
                Text(SchemaWatch.Interval),
                "-",
                nameof(StartAndStopTests.While_the_schema_is_an_older_one_everything_but_liveness_is_503),
                typeof(SchemaWatch)
            ),
            new(
                "a client that is told of changes",
                "not told for 25 s, then a sign of life; beyond 20,000 connections, or 10,000 of an environment, none, then 503",
                "-",
                nameof(Evaluation.StreamTests.A_service_that_stops_lets_its_streams_end),
                typeof(ChangeStreams)
            ),
            new(
                "traits that are kept, for being written",
                $"nobody waits: {Text(KeptTraits.Limit)} for 1,000 of them; beyond 10,000, or 5,000 of an environment, none are kept",
                "-",
                null,
                typeof(KeptTraits)
            ),
            new(
                "the demo, for the service",
                "nobody waits: a request of it may take 30 s, and is sent again while the service is busy",
                "-",
                nameof(Pages.DemoTests.Each_experiment_has_a_history_of_its_days_and_nobody_else_is_touched),
                typeof(Api.Demo.DemoJob)
            ),
            new(
                "refresh of flags",
                $"{Text(SnapshotReader.Patience)} for 500 environments, every second and on every change",
                "-",
                nameof(Evaluation.SnapshotCatchUpTests.A_change_is_served_within_two_seconds_if_its_notification_is_lost),
                typeof(SnapshotRefresher)
            ),
            new(
                "a statement of aggregation",
                $"{Text(AggregationWorker.LongestStatement)}, then it tries again",
                "-",
                null,
                typeof(AggregationWorker)
            ),
            new(
                "aggregation, for the lock of a feature",
                "100 ms, then its environment is left out until the next batch",
                "-",
                nameof(HeldEnvironmentTests.A_feature_that_stays_locked_holds_up_its_own_environment_only)
            ),
            new(
                "work on an environment as a whole, for those that aggregate slots of it",
                "15 s, then it tries again; nobody begins before it",
                "-",
                nameof(SharedWorkTests.Replicas_share_the_slots_of_one_environment_where_very_much_waits)
            ),
            new("aggregation of slots, to add to the sums", "10 s, then its environment is left out until the next batch", "-"),
            new("a recomputation, for aggregation", "60 s, then it tries again", "-"),
            new(
                "a statement of the jobs that clean up and look at results",
                "as a request, then an hour later",
                Deadline,
                nameof(PeriodicJobTests.A_job_that_fails_stops_neither_the_host_nor_itself),
                typeof(IdempotencyCleanupJob),
                typeof(AuditRetentionJob),
                typeof(ServingChangesCleanupJob),
                typeof(KeptTraitsCleanupJob),
                typeof(AggregationSampler),
                typeof(ResultsRefreshJob)
            ),
            new(
                "writing events to ClickHouse, if they are kept there",
                $"{Text(ClickHouseShard.WriteLimit)}, a request as long as its deadline",
                "-",
                null,
                typeof(ClickHouseEventWriter)
            ),
            new(
                "taking in events that came while events were moving",
                "each batch as long as a request, and again 2 s later",
                Deadline,
                nameof(Ingestion.PostponedEventTests.They_are_acknowledged_and_wait_and_count_once_when_that_is_done),
                typeof(PostponedEventsJob)
            ),
            new("dropping old events", $"{Text(Partitions.Limit)}, and 2 s for each lock", "-", null, typeof(RetentionJob)),
            new(
                "a replica that starts, for the migration of another",
                "as long as that takes; requests get 503",
                "-",
                nameof(StartAndStopTests.Five_replicas_that_start_at_once_on_an_empty_database_migrate_it_once),
                typeof(DatabaseInitializer)
            ),
            new("a restart of the private server", "60 s, then it tries again every second", "-"),
            new(
                "a replica that shuts down",
                "30 s for requests in flight",
                "`Requests__Drain` before it",
                nameof(StartAndStopTests.What_was_accepted_before_the_stop_is_finished_and_kept),
                typeof(GracefulShutdown)
            ),
        ];

    [Fact]
    public async Task The_list_in_the_documents_is_the_one_that_holds()
    {
        var file = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/operations.md"));
        var begin = file.IndexOf(Head, StringComparison.Ordinal);
        var end = file.IndexOf("\n\n", begin, StringComparison.Ordinal) is var found and > 0 ? found + 1 : file.Length;
        var rows = string.Concat(Rows.Select(row => $"| {row.What} | {row.Limit} | {row.Setting} |\n"));

        await CommittedFile.ShouldBe("docs/operations.md", file[..begin] + Head + rows + file[end..]);
    }

    [Fact]
    public void Every_background_service_is_in_it() =>
        typeof(Problem)
            .Assembly.GetTypes()
            .Where(type => type is { IsClass: true, IsAbstract: false } && type.IsAssignableTo(typeof(IHostedService)))
            .ShouldBe(Rows.SelectMany(row => row.Services), ignoreOrder: true);

    [Fact]
    public async Task Every_setting_in_it_is_one_that_the_documents_explain()
    {
        var settings = await File.ReadAllTextAsync(Path.Combine(Repository.Root, "docs/operations.md"));
        foreach (var row in Rows.Where(row => row.Setting.Contains("__", StringComparison.Ordinal)))
        {
            settings.ShouldContain($"| {row.Setting.Split(' ')[0]} |", Case.Sensitive, row.What);
        }
    }

    [Fact]
    public void Every_test_that_runs_into_one_of_its_limits_exists()
    {
        var tests = typeof(WaitingLimitTests)
            .Assembly.GetTypes()
            .SelectMany(type => type.GetMethods(BindingFlags.Public | BindingFlags.Instance))
            .Where(method => method.GetCustomAttribute<FactAttribute>() is not null)
            .Select(method => method.Name)
            .ToHashSet();

        Rows.Count(row => row.Test is not null).ShouldBeGreaterThan(10);
        Rows.Where(row => row.Test is { } test && !tests.Contains(test)).ShouldBeEmpty();
    }

    // By limit, the operations that have more time than a request usually has.
    private IEnumerable<IGrouping<TimeSpan, string>> LongRoutes() =>
        service
            .Services.GetServices<EndpointDataSource>()
            .SelectMany(source => source.Endpoints)
            .Select(endpoint =>
                (
                    Name: endpoint.Metadata.GetMetadata<IEndpointNameMetadata>()?.EndpointName,
                    Limit: endpoint.Metadata.GetMetadata<TimeLimit>()?.Limit
                )
            )
            .Where(route => route is { Name: not null, Limit: not null })
            .DistinctBy(route => route.Name)
            .GroupBy(route => route.Limit!.Value, route => $"`{route.Name}`")
            .OrderByDescending(group => group.Key);

    private static string Text(TimeSpan limit) =>
        limit >= TimeSpan.FromHours(1)
            ? $"{limit.TotalHours.ToString(CultureInfo.InvariantCulture)} h"
            : $"{limit.TotalSeconds.ToString(CultureInfo.InvariantCulture)} s";
}
