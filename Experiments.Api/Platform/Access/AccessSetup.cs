using Microsoft.AspNetCore.Authentication;
using Microsoft.AspNetCore.Authentication.JwtBearer;
using Microsoft.AspNetCore.Authorization;
using Microsoft.FeatureManagement;
using Microsoft.IdentityModel.Tokens;

namespace Experiments.Api.Platform.Access;

/// <summary>Who is let in: two schemes, three policies and the gate.</summary>
internal static class AccessSetup
{
    // Signatures that need the issuer's private key, and the symmetric one of `dotnet user-jwts`.
    private static readonly string[] Algorithms =
    [
        SecurityAlgorithms.RsaSha256, SecurityAlgorithms.RsaSha384, SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256, SecurityAlgorithms.RsaSsaPssSha384, SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256, SecurityAlgorithms.EcdsaSha384, SecurityAlgorithms.EcdsaSha512,
        SecurityAlgorithms.HmacSha256,
    ];

    public static void AddAccess(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<AccessStore>();

        services.AddAuthentication("Authorization")
            .AddPolicyScheme("Authorization", null, options =>
            {
                options.ForwardDefaultSelector = context =>
                    context.Request.Headers.Authorization is [{ } value] && value.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
                        ? JwtBearerDefaults.AuthenticationScheme
                        : ApiKeyAuthentication.Scheme;
                options.ForwardChallenge = ApiKeyAuthentication.Scheme;
            })
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(ApiKeyAuthentication.Scheme, null)
            .AddJwtBearer();
        // Nothing here writes cookies, so no key for them needs to be made at every start.
        services.Remove(services.Single(service => service.ImplementationType?.Name == "DataProtectionHostedService"));
        services.AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme).Configure(options =>
        {
            // What issuer, audience and keys are comes from the section Authentication:Schemes:Bearer.
            options.MapInboundClaims = false;
            options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);
            options.TokenValidationParameters.RequireExpirationTime = true;
            options.TokenValidationParameters.RequireSignedTokens = true;
            options.TokenValidationParameters.ValidAlgorithms = Algorithms;
            options.Events = new JwtBearerEvents
            {
                OnTokenValidated = context =>
                {
                    var subject = context.Principal?.FindFirst("sub")?.Value;
                    if (string.IsNullOrWhiteSpace(subject) || subject.StartsWith(Actor.KeyPrefix, StringComparison.OrdinalIgnoreCase))
                    {
                        context.Fail("The token has no subject that could be an admin.");
                    }

                    return Task.CompletedTask;
                },
            };
        });

        services.AddAuthorizationBuilder()
            .AddPolicy(Policies.EnvironmentAdmin, policy => policy.RequireAuthenticatedUser().AddRequirements(new EnvironmentAdmin.Requirement()))
            .AddPolicy(Policies.ProjectAdmin, policy => policy.RequireAuthenticatedUser().AddRequirements(new ProjectAdmin.Requirement()))
            .AddPolicy(Policies.InstanceAdmin, policy => policy.RequireAuthenticatedUser().AddRequirements(new InstanceAdmin.Requirement()))
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().RequireAuthenticatedUser().Build());
        services.AddSingleton<IAuthorizationHandler, EnvironmentAdmin>();
        services.AddSingleton<IAuthorizationHandler, ProjectAdmin>();
        services.AddSingleton<IAuthorizationHandler, InstanceAdmin>();

        services.AddHttpContextAccessor();
        services.AddScopedFeatureManagement().WithTargeting<FeatureGate.Audience>();
    }
}
