namespace Experiments.Api.Platform.Access;

/// <summary>The environment that a request is about, once its caller has been found to have a role in it.</summary>
internal sealed record EnvironmentScope(long Id, string Key, string Project, string Organisation, Role Role);
