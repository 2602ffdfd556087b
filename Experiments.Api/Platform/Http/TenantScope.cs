using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Http;

/// <summary>What admins, keys and audit entries belong to: an environment, a project, or (with neither) the instance.</summary>
internal sealed record TenantScope(long? EnvironmentId, long? ProjectId) : IParameterGroup
{
    /// <summary>Where rows <c>t</c> belong to this scope, by their environment_id and project_id.</summary>
    public const string Within = """
        (t.environment_id = @EnvironmentId OR t.project_id = @ProjectId
            OR num_nonnulls(@EnvironmentId::bigint, @ProjectId::bigint, t.environment_id, t.project_id) = 0)
        """;

    public string Word =>
        EnvironmentId is not null ? "environment"
        : ProjectId is not null ? "project"
        : "instance";
}
