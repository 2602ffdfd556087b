namespace Experiments.Api.Warehouse;

/// <summary>Reads no more of the answer to a request that failed than says why, since whoever is asked may answer without end.</summary>
internal sealed class ErrorBodyLimit(HttpMessageHandler inner) : DelegatingHandler(inner)
{
    private const int Bytes = 16 * 1024;

    protected override async Task<HttpResponseMessage> SendAsync(HttpRequestMessage request, CancellationToken cancellationToken)
    {
        var response = await base.SendAsync(request, cancellationToken);
        if (!response.IsSuccessStatusCode)
        {
            using var whole = response.Content;
            await using var stream = await whole.ReadAsStreamAsync(cancellationToken);
            var beginning = new byte[Bytes];
            var length = await stream.ReadAtLeastAsync(beginning, Bytes, throwOnEndOfStream: false, cancellationToken);
            response.Content = new ByteArrayContent(beginning, 0, length);
        }

        return response;
    }
}
