using System.Net;
using System.Text;
using System.Text.Unicode;
using Experiments.Api.Evaluation;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Api.Slices.Flags;

/// <summary>The flags of one identity, each with the variant that it is assigned (the Flagsmith SDK API).</summary>
internal static class GetIdentityFlags
{
    public static void Map(IEndpointRouteBuilder routes) =>
        routes
            .MapServed(HttpMethods.Get, "/identities", Handle)
            .WithOperation("getIdentity", "Flags of an identity")
            .HasQuery("identifier", "Who it is: 1 to 2000 characters of the application's choice.", "user-1")
            .Returns<FlagsmithIdentity>()
            .FailsWith(Problem.Invalid);

    private static Task Handle(HttpContext http, Snapshot snapshot)
    {
        var given = http.Request.Query["identifier"];
        var refusal =
            given is not [{ Length: > 0 } identifier]
                ? ProblemResult.Field("identifier", "This is required: the identifier of the user, device or whatever is assigned.")
            : !IsText(http.Request.QueryString.Value!) ? ProblemResult.Field("identifier", "This is not valid UTF-8.")
            : IdentityResponse.Failure(identifier);
        if (refusal is not null)
        {
            return BufferedResponse.Of(refusal).ExecuteAsync(http);
        }

        IdentityResponse.Write(http, snapshot, new Units(given[0]), "[]"u8);
        return Task.CompletedTask;
    }

    // What the framework cannot decode it leaves as it came.
    private static bool IsText(string query)
    {
        if (!query.Contains('%', StringComparison.Ordinal))
        {
            return true;
        }

        var bytes = Encoding.ASCII.GetBytes(query);
        return Utf8.IsValid(WebUtility.UrlDecodeToBytes(bytes, 0, bytes.Length));
    }
}
