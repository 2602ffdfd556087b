using Microsoft.EntityFrameworkCore;

namespace Experiments.Api.Platform.Data;

/// <summary>Carries the migrations, and nothing else: there is no model, and no query goes through it.</summary>
public sealed class SchemaContext(DbContextOptions<SchemaContext> options) : DbContext(options);
