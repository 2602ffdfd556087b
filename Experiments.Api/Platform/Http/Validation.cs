using System.Text.Json;
using FluentValidation;
using MediatR;

namespace Experiments.Api.Platform.Http;

/// <summary>Runs the validator of a request before its handler, and refuses with the fields' names as they are on the wire.</summary>
internal sealed class Validation<TRequest, TResult>(IEnumerable<IValidator<TRequest>> validators) : IPipelineBehavior<TRequest, TResult>
    where TRequest : notnull
    where TResult : IFailable<TResult>
{
    public Task<TResult> Handle(TRequest request, CancellationToken cancellationToken, RequestHandlerDelegate<TResult> next) =>
        validators.Any() ? Validate(request, next, cancellationToken) : next();

    private async Task<TResult> Validate(TRequest request, RequestHandlerDelegate<TResult> next, CancellationToken cancellationToken)
    {
        foreach (var validator in validators)
        {
            var result = await validator.ValidateAsync(request, cancellationToken);
            if (!result.IsValid)
            {
                return TResult.Failed(
                    ProblemResult.Fields(result.Errors.Select(error => (WirePath(error.PropertyName), error.ErrorMessage)))
                );
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
