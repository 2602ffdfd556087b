namespace Experiments.Api.Platform.Data;

/// <summary>The store of events, where that is not the database, cannot be reached or does not do what it is asked.</summary>
/// <param name="message">What happened.</param>
/// <param name="cause">Why.</param>
/// <param name="isRefusal">Whether the store is there and refused this, such as a query that takes too much memory.</param>
internal class EventStoreUnavailableException(string message, Exception? cause = null, bool isRefusal = false) : Exception(message, cause)
{
    public bool IsRefusal => isRefusal;
}

/// <summary>The events are moving, or have been moved, to another store than the one that was asked.</summary>
internal sealed class EventsMovedException()
    : EventStoreUnavailableException("The events are moving, or have been moved, to another store.");
