using System.Text.Json;
using Experiments.Api.Aggregation;
using Experiments.Api.Evaluation;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Slices;

/// <summary>
/// Receives events within the deadline of a request, and has them aggregated. What differs by protocol is how they are read.
/// </summary>
internal static class EventIntake
{
    /// <param name="http">The request.</param>
    /// <param name="status">The status of a response to events that are on disk.</param>
    /// <param name="take">Reads and stores the events that arrived at this instant, and says what became of them.</param>
    public static async Task Answer<T>(
        HttpContext http,
        int status,
        Func<IngestionLimiter, EventReceiver, DateTime, CancellationToken, Task<Result<T>>> take
    )
        where T : class
    {
        var services = http.RequestServices;
        using var deadline = CancellationTokenSource.CreateLinkedTokenSource(http.RequestAborted);
        deadline.CancelAfter(services.GetRequiredService<IOptions<RequestOptions>>().Value.Deadline);
        var outcome = await take(
            services.GetRequiredService<IngestionLimiter>(),
            services.GetRequiredService<EventReceiver>(),
            services.GetRequiredService<TimeProvider>().GetUtcNow().UtcDateTime,
            deadline.Token
        );
        if (outcome.Failure is { } refusal)
        {
            await BufferedResponse.Of(refusal).ExecuteAsync(http);
            return;
        }

        services.GetRequiredService<AggregationWorker>().Notify();
        await ServedResponse.Write(http, JsonSerializer.SerializeToUtf8Bytes(outcome.Value!, ApiJson.Options), status);
    }
}
