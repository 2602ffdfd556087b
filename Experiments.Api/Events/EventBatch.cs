namespace Experiments.Api.Events;

/// <summary>The events of one request: those that are valid, in the order of their index, and what is wrong with the others.</summary>
internal sealed class EventBatch
{
    private readonly List<ReceivedEvent> _events = [];
    private readonly List<Rejection> _rejected = [];
    private readonly HashSet<Guid> _ids = [];

    public IReadOnlyList<ReceivedEvent> Events => _events;

    public IReadOnlyList<Rejection> Rejected => _rejected;

    /// <summary>How many were valid, those that the request itself repeats included.</summary>
    public int Accepted { get; private set; }

    public bool HasIds => _ids.Count > 0;

    public void Accept(ReceivedEvent received)
    {
        Accepted++;
        // The first of an id stands for all.
        if (received.Id is not { } id || _ids.Add(id))
        {
            _events.Add(received);
        }
    }

    public void Reject(int index, string error) => _rejected.Add(new(index, error));

    public void Sort() => _events.Sort();

    /// <summary>Why the event at this place of the request was not taken.</summary>
    internal sealed record Rejection(int Index, string Error)
    {
        /// <summary>The same as a field and what is wrong with it.</summary>
        internal (string Path, string Message) AsField
        {
            get
            {
                var end = Error.AsSpan().IndexOfAny(' ', ':');
                return (Error[..end], $"This{Error[end..].Replace(":", " is refused:", StringComparison.Ordinal)}.");
            }
        }
    }
}
