using Experiments.Api.Platform.Access;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Pages;
using Microsoft.AspNetCore.Hosting.Server;
using Microsoft.AspNetCore.Hosting.Server.Features;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Platform.Startup;

/// <summary>
/// Prepares the database: the schema, and the first admin key. If the database is unavailable, it keeps trying,
/// while the service already reports that it is not ready.
/// </summary>
internal sealed class DatabaseInitializer(
    DatabaseServer database,
    AdminKeys keys,
    IEnumerable<IDatabasePreparation> preparations,
    Readiness readiness,
    IServiceProvider services,
    IConfiguration configuration,
    IHostEnvironment environment,
    IHostApplicationLifetime lifetime,
    ILogger<DatabaseInitializer> logger
) : BackgroundService
{
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(5);

    private readonly TaskCompletionSource _done = new(TaskCreationOptions.RunContinuationsAsynchronously);

    public override async Task StartAsync(CancellationToken cancellationToken)
    {
        if (database.Embedded is { } embedded)
        {
            await embedded.Start(cancellationToken);
        }

        await base.StartAsync(cancellationToken);
        // If the database is available, the service is ready before the first request.
        await Task.WhenAny(_done.Task, Task.Delay(Patience, cancellationToken));
    }

    protected override async Task ExecuteAsync(CancellationToken stoppingToken)
    {
        for (var pause = TimeSpan.FromMilliseconds(250); ; pause = TimeSpan.FromSeconds(Math.Min(5, 2 * pause.TotalSeconds)))
        {
            try
            {
                var version = await Migrator.Run(database.ConnectionString, null, stoppingToken);
                foreach (var preparation in preparations)
                {
                    await preparation.Prepare(stoppingToken);
                }

                var key = await Prepare(stoppingToken);
                readiness.HasSchema = true;
                logger.Ready(Build.Version, version);
                Print(key);
                _done.TrySetResult();
                await Watch(stoppingToken);
                return;
            }
            catch (Exception exception) when (Failure.IsUnavailable(exception) && !stoppingToken.IsCancellationRequested)
            {
                _done.TrySetResult();
                logger.InitializationDelayed(exception.Message, pause);
                await Task.Delay(pause, stoppingToken);
            }
            catch (Exception exception) when (exception is not OperationCanceledException)
            {
                // Retrying would not help: log the error, and stop so that the operator sees that it failed.
                _done.TrySetResult();
                logger.InitializationFailed(exception);
                Environment.ExitCode = 1;
                lifetime.StopApplication();
                return;
            }
        }
    }

    // An external server is the operator's responsibility. The embedded one is restarted if it dies.
    private async Task Watch(CancellationToken ct)
    {
        while (database.Embedded is { } embedded)
        {
            await Task.Delay(TimeSpan.FromSeconds(1), ct);
            try
            {
                if (await embedded.Revive(ct))
                {
                    logger.EmbeddedPostgresRestarted();
                }
            }
            catch (Exception exception) when (!ct.IsCancellationRequested)
            {
                // As long as a backend of the former server lives, a new one refuses to start. Flags are served meanwhile.
                logger.EmbeddedPostgresNotRestarted(exception.Message);
            }
        }
    }

    // Returns what to tell the operator: a key that is new, or in Development the one that there is.
    private async Task<string?> Prepare(CancellationToken ct)
    {
        var given = configuration["EXPERIMENTS_ADMIN_KEY"];
        string? key = null;
        if (!string.IsNullOrWhiteSpace(given))
        {
            if (!environment.IsDevelopment() && Secret.IsGuessable(given.Trim()))
            {
                throw new InvalidOperationException(
                    "EXPERIMENTS_ADMIN_KEY opens the whole instance, and this one is easy to guess. "
                        + "Use 24 characters or more, made at random."
                );
            }

            await keys.Set("EXPERIMENTS_ADMIN_KEY", given.Trim(), ct);
        }
        else if (database.Embedded is not null && (environment.IsDevelopment() || await keys.None(ct)))
        {
            key = environment.IsDevelopment() ? await DevelopmentKey(database.Embedded.Root, ct) : Secret.NewApiKey();
            await keys.Set(environment.IsDevelopment() ? "development" : "first", key, ct);
        }
        else if (await keys.None(ct))
        {
            logger.NoAdminKey();
        }

        return key ?? (environment.IsDevelopment() ? given?.Trim() : null);
    }

    // It survives restarts, beside the data that it opens.
    private static async Task<string> DevelopmentKey(string folder, CancellationToken ct)
    {
        var file = Path.Combine(folder, "development-key");
        if (File.Exists(file) && (await File.ReadAllTextAsync(file, ct)).Trim() is { Length: > 0 } known)
        {
            return known;
        }

        var key = Secret.NewApiKey();
        await File.WriteAllTextAsync(file, key, ct);
        if (!OperatingSystem.IsWindows())
        {
            File.SetUnixFileMode(file, UnixFileMode.UserRead | UnixFileMode.UserWrite);
        }

        return key;
    }

    private void Print(string? welcome) =>
        lifetime.ApplicationStarted.Register(() =>
        {
            var listening = services.GetRequiredService<IServer>().Features.Get<IServerAddressesFeature>()?.Addresses.FirstOrDefault();
            if (welcome is not { } key || listening is null)
            {
                return;
            }

            var address = LocalAddress.Of(listening);

            var code = environment.IsDevelopment() ? services.GetRequiredService<SignInCodes>().Issue(key) : null;
            var pages =
                !services.GetRequiredService<IOptions<PagesOptions>>().Value.Enabled ? $"documentation: {address}/docs"
                : code is not null ? $"open {address}{PageRoutes.Root}/sign-in#{code}, which signs in once"
                : $"open {address}";
            Console.WriteLine(
                $"""

                Experiments listens on {address}: {pages}.
                Admin key of this instance{(environment.IsDevelopment() ? "" : ", shown only now")}: {key}

                  export API={address}/api/v1 AUTH='Authorization: Api-Key {key}'
                  curl -H "$AUTH" $API/projects/

                """
            );
        });
}
