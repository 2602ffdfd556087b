namespace Experiments.Api.Platform.Access;

/// <summary>The environment that a request is about, once its caller has been found to have a role in it.</summary>
/// <param name="Id">The id of the environment.</param>
/// <param name="Key">Its public key.</param>
/// <param name="Project">The name of its project.</param>
/// <param name="Organisation">The organisation of its project.</param>
/// <param name="Role">The caller's role in it.</param>
/// <param name="MayDefine">Whether the caller is an editor of the whole project, and may change what its features are.</param>
internal sealed record EnvironmentScope(long Id, string Key, string Project, string Organisation, Role Role, bool MayDefine);
