namespace Experiments.Api.Platform.Access;

/// <summary>Why a credential was refused, for the log. Never a secret.</summary>
internal sealed record RefusalReason(string Text, bool IsLogged = true);
