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
        using var limiter = new IngestionLimiter(new(ofAddress: true));
        var (working, most) = (0, 0);
        var release = new TaskCompletionSource();

        var large = Enumerable.Range(0, 30).Select(n => Send(Large(), n % 3)).ToList();
        await Given.Eventually(() => Task.FromResult(Volatile.Read(ref working) == 12));
        var small = Enumerable.Range(0, 10).Select(_ => Send(Small())).ToList();
        await Given.Eventually(() => Task.FromResult(Volatile.Read(ref working) == 16));
        await Task.Delay(100);

        most.ShouldBe(16);
        large.Concat(small).Count(request => request.IsCompleted).ShouldBe(0);
        release.SetResult();
        (await Task.WhenAll(large.Concat(small))).ShouldAllBe(result => result.Failure == null);
        most.ShouldBe(16);

        Task<Result<EventBatch>> Send(HttpRequest request, long environment = 1) =>
            limiter.Take(request, environment, Now, Work, CancellationToken.None);

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
        using var limiter = new IngestionLimiter(new(ofAddress: true));
        var release = new TaskCompletionSource();
        var large = Enumerable.Range(0, 12).Select(n => limiter.Take(Large(), n % 2, Now, Work, CancellationToken.None)).ToList();
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

    [Fact]
    public async Task An_environment_that_overdraws_its_share_is_told_and_others_are_served()
    {
        using var limiter = new IngestionLimiter(new(ofAddress: false));
        var stalled = new List<StalledBody>();
        var held = new List<Task<Result<EventBatch>>>();
        // Bodies that trickle: each has sent 3 MiB and will send no more.
        for (var n = 0; n < 16; n++)
        {
            stalled.Add(new(3 * 1024 * 1024));
            held.Add(limiter.Take(Trickling(stalled[^1]), 1, Now, batch => Task.FromResult(batch), CancellationToken.None));
        }

        await Given.Eventually(() => Task.FromResult(held.Exists(request => request.IsCompleted)));
        var refused = await await Task.WhenAny(held);
        refused.Failure.ShouldNotBeNull().Problem.ShouldBe(Problem.TooMuchAtOnce);

        foreach (var request in new[] { Small(), Large() })
        {
            (await limiter.Take(request, 2, Now, batch => Task.FromResult(batch), CancellationToken.None)).Failure.ShouldBeNull();
        }

        stalled.ForEach(body => body.End());
        await Task.WhenAll(held);
        // What was held is given back.
        (await limiter.Take(Large(), 1, Now, batch => Task.FromResult(batch), CancellationToken.None)).Failure.ShouldBeNull();
    }

    [Theory]
    [InlineData(true)]
    [InlineData(false)]
    public void An_address_has_a_share_where_addresses_are_known(bool ofAddress)
    {
        var shares = new IngestionShares(ofAddress);
        var (one, other) = (System.Net.IPAddress.Parse("192.0.2.1"), System.Net.IPAddress.Parse("192.0.2.2"));
        const int quarter = IngestionShares.SmallOfEnvironment / 2 / 4;
        for (var n = 0; n < 4; n++)
        {
            shares.TryTake(n, one, false, quarter).ShouldBeTrue();
        }

        shares.TryTake(9, one, false, 1).ShouldBe(!ofAddress);
        shares.TryTake(9, other, false, quarter).ShouldBeTrue();
        shares.GiveBack(0, one, false, quarter);
        shares.TryTake(9, one, false, quarter).ShouldBeTrue();
    }

    private static HttpRequest Trickling(StalledBody body)
    {
        var request = Small();
        request.ContentLength = EventBody.Limit;
        request.Body = body;
        return request;
    }

    /// <summary>A body of which so much comes at once, and the end only when it is told to.</summary>
    private sealed class StalledBody(int length) : MemoryStream(new byte[length])
    {
        private readonly TaskCompletionSource _end = new(TaskCreationOptions.RunContinuationsAsynchronously);

        public void End() => _end.TrySetResult();

        public override async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellationToken = default)
        {
            if (Position == Length)
            {
                await _end.Task;
            }

            return await base.ReadAsync(buffer, cancellationToken);
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
