using System.Globalization;
using System.Numerics;

namespace Experiments.Api.Aggregation;

/// <summary>
/// A sum of numbers and of products of two numbers, exact in decimal. Subtracting a value therefore leaves no residue, and the order does
/// not matter. A number counts as its shortest round-trip decimal form, as people write it.
/// </summary>
internal sealed class ExactSum
{
    // Keyed by the exponent (a power of ten). Integers, the common case, have a separate field.
    private Int128 _whole;
    private Dictionary<int, BigInteger>? _scaled;

    /// <summary>Adds the number, or subtracts it if the sign is negative.</summary>
    public void Add(Decimals number, int sign) => Add(number, Decimals.One, sign);

    /// <summary>Adds the product of two numbers, or subtracts it if the sign is negative.</summary>
    public void Add(Decimals one, Decimals other, int sign)
    {
        var exponent = one.Exponent + other.Exponent;
        var product = (Int128)one.Digits * other.Digits * sign;
        if (exponent != 0)
        {
            Scaled(exponent, product);
            return;
        }

        _whole += product;
        if (Int128.Abs(_whole) > Int128.MaxValue / 4)
        {
            Scaled(0, _whole);
            _whole = 0;
        }
    }

    /// <summary>The sum in the format of PostgreSQL's numeric type.</summary>
    public override string ToString()
    {
        if (_scaled is null)
        {
            return _whole.ToString(CultureInfo.InvariantCulture);
        }

        var least = Math.Min(0, _scaled.Keys.Min());
        var digits = (BigInteger)_whole * BigInteger.Pow(10, -least);
        foreach (var (exponent, sum) in _scaled)
        {
            digits += sum * BigInteger.Pow(10, exponent - least);
        }

        return string.Create(CultureInfo.InvariantCulture, $"{digits}e{least}");
    }

    private void Scaled(int exponent, Int128 sum) => (_scaled ??= [])[exponent] = _scaled.GetValueOrDefault(exponent) + (BigInteger)sum;
}

/// <summary>A number as an integer of at most 17 digits times a power of ten.</summary>
internal readonly record struct Decimals(long Digits, int Exponent)
{
    private const double Whole = 1e15;

    public static readonly Decimals One = new(1, 0);

    public static Decimals Of(double number)
    {
        if (Math.Abs(number) < Whole && number == Math.Truncate(number))
        {
            return new((long)number, 0);
        }

        var (digits, exponent, isFraction) = (0L, 0, false);
        var text = number.ToString("R", CultureInfo.InvariantCulture);
        foreach (var (index, character) in text.Index())
        {
            switch (character)
            {
                case '.':
                    isFraction = true;
                    break;
                case 'E':
                    exponent += int.Parse(text.AsSpan(index + 1), NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture);
                    return Signed();
                case >= '0' and <= '9':
                    digits = (digits * 10) + (character - '0');
                    exponent -= isFraction ? 1 : 0;
                    break;
            }
        }

        return Signed();

        Decimals Signed() => new(number < 0 ? -digits : digits, exponent);
    }
}
