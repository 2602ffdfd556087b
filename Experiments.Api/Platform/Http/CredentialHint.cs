namespace Experiments.Api.Platform.Http;

/// <summary>Says how a route takes its credential, where that is not the usual way.</summary>
internal sealed record CredentialHint(string Text);
