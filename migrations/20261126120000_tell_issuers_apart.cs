using Experiments.Api.Platform.Data;
using Microsoft.EntityFrameworkCore.Infrastructure;
using Microsoft.EntityFrameworkCore.Migrations;

namespace Experiments.Migrations;

/// <summary>A subject is a person only together with the issuer that calls it so.</summary>
[DbContext(typeof(SchemaContext))]
[Migration("20261126120000_tell_issuers_apart")]
public sealed class TellIssuersApart : Migration
{
    protected override void Up(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        ALTER TABLE admins ADD issuer text CHECK (char_length(issuer) BETWEEN 1 AND 255);
        ALTER TABLE admins DROP CONSTRAINT admins_subject;
        ALTER TABLE admins ADD CONSTRAINT admins_subject UNIQUE NULLS NOT DISTINCT (subject, issuer, environment_id, project_id);
        COMMENT ON COLUMN admins.issuer IS 'Who issues the tokens of the subject; null for the only issuer that there was when it was added.';
        """);

    protected override void Down(MigrationBuilder migrationBuilder) => migrationBuilder.Sql(
        """
        DELETE FROM admins a USING admins b WHERE b.id < a.id AND (b.subject, b.environment_id, b.project_id) IS NOT DISTINCT FROM (a.subject, a.environment_id, a.project_id);
        ALTER TABLE admins DROP CONSTRAINT admins_subject;
        ALTER TABLE admins DROP issuer;
        ALTER TABLE admins ADD CONSTRAINT admins_subject UNIQUE NULLS NOT DISTINCT (subject, environment_id, project_id);
        """);
}
