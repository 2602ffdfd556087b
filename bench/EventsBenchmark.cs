namespace Experiments.Bench;

internal static class EventsBenchmark
{
    public static Task Run() => Task.CompletedTask;
}
