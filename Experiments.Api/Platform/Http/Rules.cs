using System.Text.RegularExpressions;
using FluentValidation;
using FluentValidation.Validators;

namespace Experiments.Api.Platform.Http;

/// <summary>Rules that more than one slice has. Lengths count characters (Unicode scalars), as the database does.</summary>
internal static class Rules
{
    public static IRuleBuilderOptions<T, string?> Required<T>(this IRuleBuilder<T, string?> rule, int maxLength) =>
        rule.Holds(
                text => !string.IsNullOrWhiteSpace(text),
                "This is required and may not be blank.",
                constraints => (constraints.IsRequired, constraints.MinLength) = (true, 1)
            )
            .MaxCharacters(maxLength);

    public static IRuleBuilderOptions<T, string?> MaxCharacters<T>(this IRuleBuilder<T, string?> rule, int maxLength) =>
        rule.Holds(text => Fits(text, maxLength), TooLong(maxLength), constraints => constraints.MaxLength = maxLength);

    /// <summary>A member of a PATCH: absent is fine, null or blank is not.</summary>
    public static IRuleBuilderOptions<T, Optional<string>> RequiredIfPresent<T>(
        this IRuleBuilder<T, Optional<string>> rule,
        int maxLength
    ) =>
        rule.Holds(
                text => !text.IsPresent || !string.IsNullOrWhiteSpace(text.Value),
                "This may not be null or blank.",
                constraints => (constraints.IsNotNull, constraints.MinLength) = (true, 1)
            )
            .Holds(text => Fits(text.Value, maxLength), TooLong(maxLength), constraints => constraints.MaxLength = maxLength);

    public static IRuleBuilderOptions<T, Optional<TValue>> NotNullIfPresent<T, TValue>(this IRuleBuilder<T, Optional<TValue>> rule) =>
        rule.Holds(
            value => !value.IsPresent || value.Value is not null,
            "This may not be null.",
            constraints => constraints.IsNotNull = true
        );

    public static IRuleBuilderOptions<T, string?> OneOf<T>(this IRuleBuilder<T, string?> rule, params string[] words) =>
        rule.Holds(
            word => word is null || words.Contains(word, StringComparer.Ordinal),
            $"This must be one of: {string.Join(", ", words)}.",
            constraints => constraints.Words = words
        );

    /// <summary>A parameter of the query that names an object.</summary>
    public static IRuleBuilderOptions<T, string?> Id<T>(this IRuleBuilder<T, string?> rule, string of) =>
        rule.Holds(
            text => text is null || ObjectIds.In(text) is not null,
            $"This must be the id of {of}.",
            constraints => constraints.IsId = true
        );

    /// <summary>Text that is searched for, taken literally.</summary>
    public static IRuleBuilderOptions<T, string?> Search<T>(this IRuleBuilder<T, string?> rule) =>
        rule.MaxCharacters(1000)
            .Must(text => text is null || !text.Contains('\0', StringComparison.Ordinal))
            .WithMessage("This holds a NUL character.");

    /// <summary>
    /// The pattern that finds <paramref name="text"/> anywhere, with nothing in it taken for a wildcard; null finds everything.
    /// </summary>
    public static string? LikePattern(string? text) =>
        string.IsNullOrWhiteSpace(text) ? null : $"%{Regex.Replace(text.Trim(), @"[\\%_]", @"\$0")}%";

    /// <summary>Whether a text has so many characters at most.</summary>
    public static bool Fits(string? text, int maxLength) =>
        text is null || text.Length <= maxLength || text.Trim().EnumerateRunes().Count() <= maxLength;

    /// <summary>A rule that says in the document what it demands.</summary>
    public static IRuleBuilderOptions<T, TValue> Holds<T, TValue>(
        this IRuleBuilder<T, TValue> rule,
        Func<TValue, bool> holds,
        string message,
        Action<Constraints> describe
    ) => rule.SetValidator(new DescribedRule<T, TValue>(holds, message, describe));

    private sealed class DescribedRule<T, TValue>(Func<TValue, bool> holds, string message, Action<Constraints> describe)
        : PropertyValidator<T, TValue>,
            ISchemaRule
    {
        public override string Name => nameof(DescribedRule<,>);

        public void Describe(Constraints constraints) => describe(constraints);

        public override bool IsValid(ValidationContext<T> context, TValue value) => holds(value);

        protected override string GetDefaultMessageTemplate(string errorCode) => message;
    }

    private static string TooLong(int maxLength) => $"This may have {maxLength} characters at most.";
}
