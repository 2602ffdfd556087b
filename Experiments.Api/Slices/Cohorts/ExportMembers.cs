using System.Buffers;
using System.Globalization;
using Experiments.Api.Platform;
using Experiments.Api.Platform.Data;
using Experiments.Api.Platform.Http;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Slices.Cohorts;

/// <summary>
/// Sends all identities of a cohort as CSV, a piece at a time, so that neither the service nor the database holds more than one.
/// </summary>
internal static class ExportMembers
{
    public static void Map(RouteGroupBuilder cohorts) =>
        cohorts
            .MapGet("/{id}/export", Send)
            .WithMetadata(new TimeLimit(null))
            .WithOperation("exportMembers", "All identities of a cohort, as CSV")
            .ReturnsFile("text/csv", "identifier,variant,exposed_at\r\nuser-1,green,2026-11-22T12:00:00.000Z\r\n")
            .HasQuery(
                "spreadsheet",
                "false leaves out the apostrophe before what a spreadsheet would take for a formula.",
                "false",
                otherwise: "true"
            )
            .FailsWith(Problem.NoCohort, Problem.Invalid);

    private static async Task<IResult> Send(RequestContext context)
    {
        var outcome = await context.Send(new Query(context.Environment.Id, context.Id, context.Query["spreadsheet"]));
        return outcome.Failure is { } refusal
            ? BufferedResponse.Of(refusal)
            : new Csv(context.Resolve<Db>(), outcome.Value!, context.Query["spreadsheet"] != "false");
    }

    internal sealed record Query(long EnvironmentId, long Id, string? Spreadsheet) : IRequest<Result<Cohort>>;

    internal sealed class Validator : AbstractValidator<Query>
    {
        public Validator() => RuleFor(q => q.Spreadsheet).OneOf("true", "false");
    }

    internal sealed record Cohort(long Id, long ExperimentId, long EnvironmentId, short[] Indexes);

    internal sealed class Handler(Db db) : IRequestHandler<Query, Result<Cohort>>
    {
        private const string Sql = $"""
            SELECT c.id, c.experiment_id, c.environment_id, {CohortView.Indexes} AS indexes
            FROM cohorts c WHERE c.id = @Id AND c.environment_id = @EnvironmentId
            """;

        public async Task<Result<Cohort>> Handle(Query query, CancellationToken cancellationToken) =>
            await db.Row<Row>(Sql, query, cancellationToken) is { } row
                ? new Cohort(row.Id, row.ExperimentId, row.EnvironmentId, row.Indexes)
                : Problem.NoCohort;

        private sealed record Row
        {
            public long Id { get; init; }

            public long ExperimentId { get; init; }

            public long EnvironmentId { get; init; }

            public short[] Indexes { get; init; } = [];
        }
    }

    private sealed class Csv(Db db, Cohort cohort, bool forSpreadsheet) : IResult
    {
        private const int Size = 10_000;

        private static readonly SearchValues<char> Special = SearchValues.Create(",;\t\"\r\n");

        // Each variant by itself, so that the next piece begins in the index where the last one ended.
        private const string Piece = """
            SELECT x.identity, x.identifier, e.variants->x.counts_in->>'key' AS variant, x.enrolled_at AS exposed_at
            FROM exposures x JOIN experiments e ON e.id = x.experiment_id
            WHERE e.id = @ExperimentId AND e.environment_id = @EnvironmentId AND x.counts_in = @index AND x.identity > @after
            ORDER BY x.identity LIMIT @Size
            """;

        public async Task ExecuteAsync(HttpContext httpContext)
        {
            var (response, ct) = (httpContext.Response, httpContext.RequestAborted);
            response.ContentType = "text/csv; charset=utf-8";
            response.Headers.CacheControl = "no-store";
            response.Headers.ContentDisposition = $"attachment; filename=\"cohort-{cohort.Id.ToString(CultureInfo.InvariantCulture)}.csv\"";
            await using var text = new StreamWriter(response.Body, leaveOpen: true) { NewLine = "\r\n" };
            await text.WriteLineAsync("identifier,variant,exposed_at".AsMemory(), ct);
            foreach (var index in cohort.Indexes)
            {
                for (var after = Guid.Empty; ; )
                {
                    var rows = await db.Rows<Row>(
                        Piece,
                        new
                        {
                            cohort.ExperimentId,
                            cohort.EnvironmentId,
                            index,
                            after,
                            Size,
                        },
                        ct
                    );
                    foreach (var row in rows)
                    {
                        var exposedAt = row.ExposedAt.ToString("yyyy-MM-ddTHH:mm:ss.fffZ", CultureInfo.InvariantCulture);
                        await text.WriteLineAsync($"{Quoted(row.Identifier)},{row.Variant},{exposedAt}".AsMemory(), ct);
                    }

                    if (rows.Count < Size)
                    {
                        break;
                    }

                    after = rows[^1].Identity;
                }
            }
        }

        // RFC 4180. Identifiers come from anyone, and spreadsheets, some of which part cells by semicolons or tabs, run what looks like a
        // formula.
        private string Quoted(string text)
        {
            var safe = forSpreadsheet && IsFormula(text) ? "'" + text : text;
            return safe.AsSpan().IndexOfAny(Special) < 0 ? safe : $"\"{safe.Replace("\"", "\"\"", StringComparison.Ordinal)}\"";
        }

        // Also behind white space and control characters, and in full width.
        private static bool IsFormula(string text) =>
            text.SkipWhile(character => char.IsWhiteSpace(character) || char.IsControl(character)).FirstOrDefault()
                is '='
                    or '+'
                    or '-'
                    or '@'
                    or '＝'
                    or '＋'
                    or '－'
                    or '＠'
            || text is ['\t' or '\r' or '\n', ..];

        private sealed record Row(Guid Identity, string Identifier, string Variant, DateTime ExposedAt);
    }
}
