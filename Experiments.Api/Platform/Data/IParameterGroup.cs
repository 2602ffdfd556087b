namespace Experiments.Api.Platform.Data;

/// <summary>Several parameters that belong together: a statement can use each property by its name.</summary>
internal interface IParameterGroup;
