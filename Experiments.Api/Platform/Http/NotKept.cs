namespace Experiments.Api.Platform.Http;

/// <summary>Marks a route whose response is not saved under an Idempotency-Key.</summary>
internal sealed record NotKept;
