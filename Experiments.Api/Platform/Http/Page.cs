using System.Globalization;
using FluentValidation;
using Microsoft.AspNetCore.Http.Extensions;
using Microsoft.AspNetCore.WebUtilities;

namespace Experiments.Api.Platform.Http;

/// <summary>Which part of a list is asked for. A number that cannot be read is 0 and one beyond 64 bits is the largest.</summary>
internal readonly record struct Page(long Number, long Size)
{
    public const int DefaultSize = 20;
    public const int MaxSize = 100;

    public int Limit => (int)Size;

    /// <summary>How many rows come before this page. No list is so long that the largest number is one of its pages.</summary>
    public long Offset => Number > long.MaxValue / MaxSize ? long.MaxValue : (Number - 1) * Size;

    public static Page From(IQueryCollection query) => new(Read(query, "page", 1), Read(query, "page_size", DefaultSize));

    private static long Read(IQueryCollection query, string name, long otherwise)
    {
        var values = query[name];
        return values.Count switch
        {
            0 => otherwise,
            1 when long.TryParse(values[0], NumberStyles.None, CultureInfo.InvariantCulture, out var number) => number,
            1 when values[0] is { Length: > 0 } text && text.All(char.IsAsciiDigit) => long.MaxValue,
            _ => 0,
        };
    }
}

/// <summary>A page of a list, as every list answers.</summary>
internal sealed record Listing<T>(long Count, string? Next, string? Previous, IReadOnlyList<T> Results);

/// <summary>A query that asks for a page.</summary>
internal interface IPaged
{
    Page Page { get; }
}

internal static class PageRules
{
    /// <summary>The rules that every list has for <c>page</c> and <c>page_size</c>.</summary>
    public static void RulesForPage<T>(this AbstractValidator<T> validator)
        where T : IPaged
    {
        validator
            .RuleFor(query => query.Page.Number)
            .GreaterThan(0)
            .OverridePropertyName("page")
            .WithMessage("This must be a whole number from 1.");
        validator
            .RuleFor(query => query.Page.Size)
            .InclusiveBetween(1, Page.MaxSize)
            .OverridePropertyName("page_size")
            .WithMessage($"This must be a whole number from 1 to {Page.MaxSize}.");
    }
}

internal static class PageLinks
{
    /// <summary>The listing of <paramref name="rows"/> out of <paramref name="count"/>, or 404 when there is no such page.</summary>
    public static Result<Listing<T>> Of<T>(this Page page, Uri address, long count, IReadOnlyList<T> rows) =>
        page.Links(address, count) is var (exists, next, previous) && exists ? new Listing<T>(count, next, previous, rows) : Problem.NoPage;

    public static (bool Exists, string? Next, string? Previous) Links(this Page page, Uri address, long count)
    {
        var pages = Math.Max(1, (count + page.Size - 1) / page.Size);
        return (
            page.Number <= pages,
            page.Number < pages ? Link(address, page.Number + 1) : null,
            page.Number > 1 ? Link(address, page.Number - 1) : null
        );
    }

    private static string Link(Uri address, long number)
    {
        var query = QueryHelpers.ParseQuery(address.Query);
        query["page"] = number.ToString(CultureInfo.InvariantCulture);
        return address.GetLeftPart(UriPartial.Path) + new QueryBuilder(query).ToQueryString();
    }
}
