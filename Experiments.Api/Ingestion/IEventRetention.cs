namespace Experiments.Api.Ingestion;

/// <summary>Where the months of events are made and dropped.</summary>
internal interface IEventRetention
{
    /// <summary>Makes room for events of these instants, where that has to be done ahead.</summary>
    Task Make(DateTime first, DateTime last, CancellationToken ct);

    /// <summary>
    /// Drops the months older than <paramref name="before"/> that no experiment needs any more, and returns their names.
    /// </summary>
    /// <param name="before">What is older than this may go.</param>
    /// <param name="finalAfter">How long after the end of an experiment late events count.</param>
    /// <param name="ct">Ends it.</param>
    Task<IReadOnlyList<string>> Drop(DateTime before, TimeSpan finalAfter, CancellationToken ct);
}
