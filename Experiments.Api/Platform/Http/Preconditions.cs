using Microsoft.Extensions.Primitives;
using Microsoft.Net.Http.Headers;

namespace Experiments.Api.Platform.Http;

/// <summary>If-Match and If-None-Match (RFC 9110, section 13.1).</summary>
internal static class Preconditions
{
    /// <summary>The tags of which the object must have one, or null when any will do. A weak tag never matches.</summary>
    public static Result<string[]>? Required(StringValues ifMatch)
    {
        if (ifMatch.Count == 0)
        {
            return null;
        }

        if (!EntityTagHeaderValue.TryParseStrictList([.. ifMatch.OfType<string>()], out var tags))
        {
            return ProblemResult.Field("If-Match", "This must be '*' or a list of quoted ETags.");
        }

        if (tags.Any(tag => tag.Equals(EntityTagHeaderValue.Any)))
        {
            return null;
        }

        return tags.Where(tag => !tag.IsWeak).Select(tag => tag.Tag.Value!).ToArray();
    }

    /// <summary>Whether the client has this version already. A weak tag will do; what cannot be read is no condition.</summary>
    public static bool IsKnown(StringValues ifNoneMatch, string etag)
    {
        if (ifNoneMatch.Count == 0 || !EntityTagHeaderValue.TryParseList([.. ifNoneMatch.OfType<string>()], out var tags))
        {
            return false;
        }

        var current = new EntityTagHeaderValue(etag);
        return tags.Any(tag => tag.Equals(EntityTagHeaderValue.Any) || tag.Compare(current, useStrongComparison: false));
    }
}
