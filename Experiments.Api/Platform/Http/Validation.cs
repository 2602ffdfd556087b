using System.Text.Json;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Platform.Http;

/// <summary>Runs the validator of a request before its handler, and refuses with the fields' names as they are on the wire.</summary>
internal sealed class Validation<TRequest, TOutcome>(IEnumerable<IValidator<TRequest>> validators) : IPipelineBehavior<TRequest, TOutcome>
    where TRequest : notnull
    where TOutcome : IOutcome<TOutcome>
{
    public async Task<TOutcome> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TOutcome> next)
    {
        foreach (var validator in validators)
        {
            var result = await validator.ValidateAsync(request, cancellationToken);
            if (!result.IsValid)
            {
                return TOutcome.Refused(Refusal.Fields(result.Errors.Select(error => (WirePath(error.PropertyName), error.ErrorMessage))));
            }
        }

        return await next();
    }

    // Body.MultivariateOptions[0].Key is multivariate_options[0].key to the client.
    private static string WirePath(string property)
    {
        var path = property.StartsWith("Body.", StringComparison.Ordinal) ? property[5..] : property;
        return string.Join('.', path.Split('.').Select(JsonNamingPolicy.SnakeCaseLower.ConvertName));
    }
}
