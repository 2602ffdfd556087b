using Experiments.Bench;

if (args is ["twin", var connectionString, var address])
{
    await Twin.Run(connectionString, address);
    return;
}

await Benchmark.Run(TimeSpan.FromSeconds(args is [var seconds] ? double.Parse(seconds, System.Globalization.CultureInfo.InvariantCulture) : 4));
