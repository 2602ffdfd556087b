using Deque.AxeCore.Playwright;
using Microsoft.Playwright;

namespace Experiments.Tests.Pages;

/// <summary>Chromium, as it is installed on the machine.</summary>
public sealed class Browser : IAsyncLifetime
{
    private IPlaywright? _playwright;
    private IBrowser? _browser;

    /// <summary>Where screenshots are kept, for whoever wants to see what a test saw.</summary>
    public static string Screenshots { get; } = Path.Combine(AppContext.BaseDirectory, "screenshots");

    public async ValueTask InitializeAsync()
    {
        Directory.CreateDirectory(Screenshots);
        _playwright = await Playwright.CreateAsync();
        _browser = await _playwright.Chromium.LaunchAsync(
            new() { ExecutablePath = Environment.GetEnvironmentVariable("CHROMIUM") ?? "/usr/bin/chromium", Args = ["--no-sandbox"] }
        );
    }

    public async ValueTask DisposeAsync()
    {
        if (_browser is not null)
        {
            await _browser.DisposeAsync();
        }

        _playwright?.Dispose();
    }

    /// <summary>A tab of its own.</summary>
    /// <param name="service">The service.</param>
    /// <param name="credential">The value of the Authorization header of whoever is signed in; null for nobody.</param>
    /// <param name="isDark">The theme of the system.</param>
    /// <param name="width">The width of the window.</param>
    internal Task<Tab> Open(TestService service, string? credential, bool isDark = false, int width = 1280) =>
        OpenAt(service.Address, credential, isDark, width);

    /// <inheritdoc cref="Open"/>
    internal async Task<Tab> OpenAt(Uri address, string? credential, bool isDark = false, int width = 1280)
    {
        var context = await _browser!.NewContextAsync(
            new()
            {
                BaseURL = address.GetLeftPart(UriPartial.Authority),
                ColorScheme = isDark ? ColorScheme.Dark : ColorScheme.Light,
                ViewportSize = new() { Width = width, Height = 900 },
                ReducedMotion = ReducedMotion.Reduce,
            }
        );
        if (credential is not null)
        {
            await context.AddInitScriptAsync($"sessionStorage.setItem('experiments.credential', '{credential}')");
        }

        return new Tab(context, await context.NewPageAsync());
    }
}

/// <summary>A page, with what went wrong in it.</summary>
internal sealed class Tab : IAsyncDisposable
{
    private readonly IBrowserContext _context;

    public Tab(IBrowserContext context, IPage page)
    {
        (_context, Page) = (context, page);
        page.Console += (_, message) =>
        {
            if (message.Type == "error")
            {
                Problems.Add(message.Text);
            }
        };
        page.PageError += (_, error) => Problems.Add(error);
    }

    public IPage Page { get; }

    /// <summary>What the browser refused, could not load, or did not understand.</summary>
    public List<string> Problems { get; } = [];

    public ILocator Heading => Page.Locator("h1");

    public ILocator Main => Page.Locator("main");

    public Task Goto(string address) => Page.GotoAsync(address);

    public ILocator Button(string name) => Page.GetByRole(AriaRole.Button, new() { Name = name });

    /// <summary>A button of the dialog that is open.</summary>
    public ILocator InDialog(string name) =>
        Page.GetByRole(AriaRole.Dialog).GetByRole(AriaRole.Button, new() { Name = name, Exact = true });

    public ILocator Link(string name) => Page.GetByRole(AriaRole.Link, new() { Name = name });

    /// <summary>Waits until the page says this.</summary>
    public Task Says(string text) => Assertions.Expect(Main).ToContainTextAsync(text, new() { Timeout = 15_000 });

    public Task NeverSays(string text) => Assertions.Expect(Main).Not.ToContainTextAsync(text);

    /// <summary>What on it keeps somebody out.</summary>
    public async Task<IEnumerable<string>> Barriers(string where) =>
        (await Page.RunAxe()).Violations.Select(one => $"{where}: {one.Id}: {one.Help}: {one.Nodes[0].Html}");

    public Task Screenshot(string name) =>
        Page.ScreenshotAsync(new() { Path = Path.Combine(Browser.Screenshots, $"{name}.png"), FullPage = true });

    public async ValueTask DisposeAsync() => await _context.DisposeAsync();
}
