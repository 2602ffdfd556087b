using Experiments.Api.Platform.Wire;

namespace Experiments.Api.Slices.Projects;

/// <summary>A project as it is read.</summary>
internal record ProjectView : IIdentified
{
    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Organisation { get; init; }

    public required DateTime CreatedAt { get; init; }
}

/// <summary>An environment as it is read. Its key is public: it stands in addresses and in applications.</summary>
internal record EnvironmentView : IIdentified
{
    public required long Id { get; init; }

    public required string Name { get; init; }

    public required string Key { get; init; }

    public required DateTime CreatedAt { get; init; }
}
