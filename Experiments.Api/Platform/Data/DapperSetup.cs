using System.Reflection;
using Dapper;

namespace Experiments.Api.Platform.Data;

/// <summary>How Dapper maps columns to records. Must run before the first query.</summary>
internal static class DapperSetup
{
    private static readonly Lazy<bool> Once = new(() =>
    {
        DefaultTypeMap.MatchNamesWithUnderscores = true;
        var shapes = Assembly
            .GetExecutingAssembly()
            .GetTypes()
            .SelectMany(type => type.GetProperties(BindingFlags.Instance | BindingFlags.Public))
            .Select(property => Nullable.GetUnderlyingType(property.PropertyType) ?? property.PropertyType)
            .Where(type => type.IsGenericType && !type.ContainsGenericParameters && type.GetGenericTypeDefinition() == typeof(Json<>))
            .Distinct();
        foreach (var shape in shapes)
        {
            var handler = typeof(Json<>.FromColumn).MakeGenericType(shape.GenericTypeArguments);
            SqlMapper.AddTypeHandler(shape, (SqlMapper.ITypeHandler)Activator.CreateInstance(handler)!);
        }

        return true;
    });

    public static void Run() => _ = Once.Value;
}
