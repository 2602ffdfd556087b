using System.IO.Compression;
using System.Text;
using Experiments.Api.Ingestion;
using Experiments.Api.Platform;
using Microsoft.AspNetCore.Http;

namespace Experiments.Tests.Ingestion;

public class IngestionLimiterTests
{
    private static readonly DateTime Now = DateTime.UtcNow;

    [Fact]
    public async Task Twelve_large_requests_are_worked_on_at_a_time_and_four_places_are_left_for_small_ones()
    {
        using var limiter = new IngestionLimiter();
        var (working, most) = (0, 0);
        var release = new TaskCompletionSource();

        var large = Enumerable.Range(0, 30).Select(_ => Send(Large())).ToList();
        await Given.Eventually(() => Task.FromResult(Volatile.Read(ref working) == 12));
        var small = Enumerable.Range(0, 10).Select(_ => Send(Small())).ToList();
        await Given.Eventually(() => Task.FromResult(Volatile.Read(ref working) == 16));
        await Task.Delay(100);

        most.ShouldBe(16);
        large.Concat(small).Count(request => request.IsCompleted).ShouldBe(0);
        release.SetResult();
        (await Task.WhenAll(large.Concat(small))).ShouldAllBe(result => result.Failure == null);
        most.ShouldBe(16);

        Task<Result<EventBatch>> Send(HttpRequest request) => limiter.Take(request, 1, Now, Work, CancellationToken.None);

        async Task<EventBatch> Work(EventBatch batch)
        {
            var now = Interlocked.Increment(ref working);
            lock (release)
            {
                most = Math.Max(most, now);
            }

            await release.Task;
            Interlocked.Decrement(ref working);
            return batch;
        }
    }

    [Fact]
    public async Task Who_waits_for_a_place_no_longer_than_its_deadline_is_told_to_come_back()
    {
        using var limiter = new IngestionLimiter();
        var release = new TaskCompletionSource();
        var large = Enumerable.Range(0, 12).Select(_ => limiter.Take(Large(), 1, Now, Work, CancellationToken.None)).ToList();
        using var deadline = new CancellationTokenSource(TimeSpan.FromMilliseconds(200));

        var late = await limiter.Take(Large(), 1, Now, Work, deadline.Token);

        late.Failure.ShouldNotBeNull().Problem.ShouldBe(Problem.Unavailable);
        release.SetResult();
        await Task.WhenAll(large);

        async Task<EventBatch> Work(EventBatch batch)
        {
            await release.Task;
            return batch;
        }
    }

    private static HttpRequest Small() => Request(Encoding.UTF8.GetBytes(Body(10)), null);

    // What is packed may be large, however small it is.
    private static HttpRequest Large()
    {
        using var packed = new MemoryStream();
        using (var gzip = new GZipStream(packed, CompressionLevel.Fastest, leaveOpen: true))
        {
            gzip.Write(Encoding.UTF8.GetBytes(Body(10)));
        }

        return Request(packed.ToArray(), "gzip");
    }

    private static string Body(int size) =>
        $$"""{"events": [{"event": "e", "timestamp": {{new DateTimeOffset(Now).ToUnixTimeMilliseconds()}}, "value":"""
        + $$""" "{{new string('x', size)}}"}]}""";

    private static HttpRequest Request(byte[] body, string? encoding)
    {
        var request = new DefaultHttpContext().Request;
        request.Method = "POST";
        request.ContentType = "application/json";
        request.Headers.ContentEncoding = encoding;
        request.ContentLength = body.Length;
        request.Body = new MemoryStream(body);
        return request;
    }
}
