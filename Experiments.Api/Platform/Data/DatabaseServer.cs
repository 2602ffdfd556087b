namespace Experiments.Api.Platform.Data;

/// <summary>The database of this process: the configured server, or else an embedded one.</summary>
internal sealed record DatabaseServer(string ConnectionString, EmbeddedPostgres? Embedded) : IAsyncDisposable
{
    public ValueTask DisposeAsync() => Embedded?.DisposeAsync() ?? ValueTask.CompletedTask;

    public static DatabaseServer Of(IConfiguration configuration)
    {
        if (configuration.GetConnectionString("Experiments") is { Length: > 0 } given)
        {
            return new(given, null);
        }

        var embedded = new EmbeddedPostgres(
            configuration["EXPERIMENTS_DATA"] is { Length: > 0 } directory ? directory : EmbeddedPostgres.DefaultDirectory
        );
        return new(embedded.ConnectionString, embedded);
    }
}
