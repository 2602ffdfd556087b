namespace Experiments.Api.Platform.Data;

/// <summary>The store of events, where that is not the database, cannot be reached or does not do what it is asked.</summary>
internal sealed class EventStoreUnavailableException(string message, Exception cause) : Exception(message, cause);
