using System.Globalization;
using Experiments.Bench;

switch (args)
{
    case ["twin", var connectionString, var address]:
        await Twin.Run(connectionString, address);
        break;
    case ["constant", var address, var directory]:
        await Constant.Run(address, directory);
        break;
    default:
        var part = args is [var name, ..] && !char.IsAsciiDigit(name[0]) ? name : "all";
        var duration = TimeSpan.FromSeconds(
            args is [.., var seconds] && char.IsAsciiDigit(seconds[0]) ? double.Parse(seconds, CultureInfo.InvariantCulture) : 4
        );
        if (part is "all" or "management")
        {
            var rows = args is [_, var row, ..] && !char.IsAsciiDigit(row[0]) ? row : "";
            await ManagementBenchmark.Run(duration, rows);
        }

        if (part is "all" or "serving")
        {
            await ServingBenchmark.Run(duration);
        }

        if (part is "all" or "streams")
        {
            await StreamsBenchmark.Run();
        }

        if (part is "all" or "pages")
        {
            await PagesBenchmark.Run();
        }

        if (part is "all" or "events")
        {
            await EventsBenchmark.Run();
        }

        if (part is "all" or "scale")
        {
            var options = part == "scale" ? args.Skip(1).ToList() : [];
            await ScaleBenchmark.Run(
                options
                    .Where(option => char.IsAsciiDigit(option[0]))
                    .Select(option => int.Parse(option, CultureInfo.InvariantCulture))
                    .FirstOrDefault(600_000),
                options.FirstOrDefault(option => option is "postgresql" or "clickhouse" or "replicas"),
                options.FirstOrDefault(option => option.EndsWith(".dll", StringComparison.Ordinal))
            );
        }

        if (part is "all" or "results")
        {
            await ResultsBenchmark.Run(1_000_000, 10_000_000);
        }
        else if (part == "results-small")
        {
            await ResultsBenchmark.Run(300_000);
        }

        break;
}
