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
        SecurityAlgorithms.RsaSha256,
        SecurityAlgorithms.RsaSha384,
        SecurityAlgorithms.RsaSha512,
        SecurityAlgorithms.RsaSsaPssSha256,
        SecurityAlgorithms.RsaSsaPssSha384,
        SecurityAlgorithms.RsaSsaPssSha512,
        SecurityAlgorithms.EcdsaSha256,
        SecurityAlgorithms.EcdsaSha384,
        SecurityAlgorithms.EcdsaSha512,
        SecurityAlgorithms.HmacSha256,
    ];

    public static void AddAccess(this IHostApplicationBuilder builder)
    {
        var services = builder.Services;
        services.AddSingleton<AccessCache>();
        services.AddSingleton<FailedSignIns>();
        services.AddSingleton<Issuers>();

        // No scheme is the default: only a route that asks who is calling looks at the credential, and so at the database.
        services
            .AddAuthentication()
            .AddScheme<AuthenticationSchemeOptions, ApiKeyAuthentication>(
                ApiKeyAuthentication.Scheme,
                options =>
                {
                    options.ForwardDefaultSelector = context =>
                        context.Request.Headers.Authorization is [{ } value]
                        && value.StartsWith("Bearer ", StringComparison.OrdinalIgnoreCase)
                        && ApiKeyAuthentication.TrySecret(context.Request) is null
                            ? JwtBearerDefaults.AuthenticationScheme
                            : null;
                    options.ForwardChallenge = ApiKeyAuthentication.Scheme;
                }
            )
            .AddJwtBearer();
        // Nothing here writes cookies, so no key for them needs to be made at every start.
        foreach (var service in services.Where(service => service.ImplementationType?.Name == "DataProtectionHostedService").ToList())
        {
            services.Remove(service);
        }

        services
            .AddOptions<JwtBearerOptions>(JwtBearerDefaults.AuthenticationScheme)
            .Configure<Issuers>(
                (options, issuers) =>
                {
                    // What issuer, audience and keys are comes from the section Authentication:Schemes:Bearer.
                    options.MapInboundClaims = false;
                    options.BackchannelTimeout = TimeSpan.FromSeconds(2);
                    // How soon a token with an unknown key makes the issuer's keys be read again, and when they are in any case.
                    options.RefreshInterval = TimeSpan.FromSeconds(30);
                    options.AutomaticRefreshInterval = TimeSpan.FromHours(1);
                    options.TokenValidationParameters.ClockSkew = TimeSpan.FromSeconds(30);
                    options.TokenValidationParameters.RequireExpirationTime = true;
                    options.TokenValidationParameters.RequireSignedTokens = true;
                    options.TokenValidationParameters.ValidAlgorithms = Algorithms;
                    // By itself the library tries every key on every token, and where the resolver knows none, all of them again.
                    options.TokenValidationParameters.TryAllIssuerSigningKeys = false;
                    options.TokenValidationParameters.IssuerSigningKeyResolverUsingConfiguration = (_, token, keyId, _, metadata) =>
                        issuers.KeysOf(token.Issuer, keyId, metadata);
                    options.Events = new JwtBearerEvents
                    {
                        OnAuthenticationFailed = context =>
                        {
                            // The library's messages name what is wrong with the token, and leave out what could be personal.
                            context.HttpContext.Features.Set(new RefusalReason($"bad token: {context.Exception.GetType().Name}"));
                            return Task.CompletedTask;
                        },
                        OnTokenValidated = context =>
                        {
                            if (context.Principal?.FindFirst("sub")?.Value is { } subject && Actor.IsSubject(subject))
                            {
                                context.Principal = new(
                                    new ActorIdentity(
                                        issuers.Person(context.SecurityToken.Issuer, subject),
                                        JwtBearerDefaults.AuthenticationScheme
                                    )
                                );
                            }
                            else
                            {
                                context.Fail("The token has no subject that could be an admin.");
                            }

                            return Task.CompletedTask;
                        },
                    };
                }
            );

        services
            .AddAuthorizationBuilder()
            .AddPolicy(Policies.EnvironmentAdmin, policy => policy.ForCallers().AddRequirements(new EnvironmentAdminHandler.Requirement()))
            .AddPolicy(Policies.ProjectAdmin, policy => policy.ForCallers().AddRequirements(new ProjectAdminHandler.Requirement()))
            .AddPolicy(Policies.InstanceAdmin, policy => policy.ForCallers().AddRequirements(new InstanceAdminHandler.Requirement()))
            .AddPolicy(Policies.AnyCaller, policy => policy.ForCallers())
            .AddPolicy(Policies.Everyone, policy => policy.RequireAssertion(_ => true))
            .SetFallbackPolicy(new AuthorizationPolicyBuilder().ForCallers().Build());
        services.AddSingleton<IAuthorizationHandler, EnvironmentAdminHandler>();
        services.AddSingleton<IAuthorizationHandler, ProjectAdminHandler>();
        services.AddSingleton<IAuthorizationHandler, InstanceAdminHandler>();

        services.AddFeatureManagement();
        services.AddSingleton<FeatureGate>();
    }

    private static AuthorizationPolicyBuilder ForCallers(this AuthorizationPolicyBuilder policy) =>
        policy.AddAuthenticationSchemes(ApiKeyAuthentication.Scheme).RequireAuthenticatedUser();
}
