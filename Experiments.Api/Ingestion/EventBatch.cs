namespace Experiments.Api.Ingestion;

/// <summary>The events of one request: the valid ones in order of their index, and the errors of the others.</summary>
internal sealed class EventBatch
{
    private readonly List<ReceivedEvent> _events = [];
    private readonly List<Rejection> _rejected = [];
    private readonly List<(int Index, ReceivedEvent Event)> _doubtful = [];
    private readonly HashSet<Guid> _ids = [];
    private readonly SortedSet<string> _ignored = new(StringComparer.Ordinal);

    // A client that sends more than these has been told enough.
    private const int MostIgnored = 20;
    private const int LongestIgnored = 100;

    public IReadOnlyList<ReceivedEvent> Events => _events;

    public IReadOnlyList<Rejection> Rejected => _rejected;

    /// <summary>The names of members that this service does not know, of events and of what surrounds them.</summary>
    public IReadOnlyCollection<string> Ignored => _ignored;

    /// <summary>The number of valid events, including duplicates within the request.</summary>
    public int Accepted { get; private set; }

    /// <summary>What is added to the timestamps to tell when the events happened: the skew of the sender's clock.</summary>
    public TimeSpan Skew { get; set; }

    /// <summary>The batch that it became when it was postponed, if it was.</summary>
    public long? Postponed { get; init; }

    public bool HasIds => _ids.Count > 0;

    public void Accept(ReceivedEvent received)
    {
        Accepted++;
        // Only the first event with a given id is kept.
        if (received.Id is not { } id || _ids.Add(id))
        {
            _events.Add(received);
        }
    }

    /// <summary>Keeps an event that is too far ahead, unless the skew of the sender's clock, which may come later, explains it.</summary>
    public void Doubt(int index, ReceivedEvent received) => _doubtful.Add((index, received));

    /// <summary>Accepts or rejects what was in doubt, now that the skew is known.</summary>
    public void Correct(DateTime now)
    {
        foreach (var (index, received) in _doubtful)
        {
            if (EventTime.IsTooFarAhead(received.At + Skew, now))
            {
                Reject(index, EventTime.TooFarAhead);
            }
            else
            {
                Accept(received);
            }
        }

        _doubtful.Clear();
    }

    /// <summary>Notes a member that this service does not know, so that its sender can be told.</summary>
    public void Ignore(string member)
    {
        if (_ignored.Count < MostIgnored && member.Length <= LongestIgnored)
        {
            _ignored.Add(member);
        }
    }

    public void Reject(int index, EventError fault) =>
        // By index; nearly always this is the last one.
        _rejected.Insert(_rejected.FindLastIndex(one => one.Index < index) + 1, new(index, fault));

    /// <summary>
    /// Sorts the events. Two equal events in one request happened twice, because a retry repeats the whole request. The second one gets
    /// its own key, which is the same again when the request is retried.
    /// </summary>
    public void Sort()
    {
        _events.Sort();
        var (first, times, hasEqual) = (0, 0, false);
        for (var index = 1; index < _events.Count; index++)
        {
            if (_events[index].CompareTo(_events[first]) != 0)
            {
                (first, times) = (index, 0);
            }
            else if (_events[index].Id is null)
            {
                _events[index] = _events[index] with { Key = DeduplicationKeyHasher.OfRepeated(_events[first].Key, ++times) };
                hasEqual = true;
            }
        }

        if (hasEqual)
        {
            _events.Sort();
        }
    }

    /// <summary>Why the event at this index of the request was rejected.</summary>
    internal sealed record Rejection(int Index, string Error)
    {
        private readonly EventError _fault;

        public Rejection(int index, EventError fault)
            : this(index, $"events[{index}]{fault}") => _fault = fault;

        /// <summary>The same as a field path and a message.</summary>
        internal (string Path, string Message) AsField => ($"events[{Index}]{_fault.Path}", _fault.Message);
    }
}
