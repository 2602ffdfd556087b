using Experiments.Api.Platform;
using Experiments.Api.Platform.Http;

namespace Experiments.Tests.Architecture;

public class ErrorCatalogueTests(SharedService service) : IClassFixture<SharedService>
{
    [Fact]
    public Task The_committed_list_of_errors_is_the_one_of_the_catalogue() =>
        CommittedFile.ShouldBe("docs/errors.md", ErrorCatalogue.Markdown());

    [Fact]
    public void Each_error_has_a_code_of_its_own() => Problem.All.Select(problem => problem.Code).ShouldBeUnique();

    [Fact]
    public async Task The_type_of_a_problem_is_an_address_that_explains_it()
    {
        var problem = (await service.Admin.Get("/api/v1/nothing/")).MustBe(404, "route.not_found");
        var address = problem["type"].GetValue<string>().Split('#');

        var page = (await service.As(null).Get(address[0])).Must(200);

        page.ContentHeaders.ContentType!.MediaType.ShouldBe("text/html");
        page.Text.ShouldContain($"id=\"{address[1]}\"");
        page.Text.ShouldContain(System.Net.WebUtility.HtmlEncode(Problem.NoRoute.Advice));
    }
}
