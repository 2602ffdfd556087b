using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using Experiments.Api.Platform.Data;

namespace Experiments.Api.Platform.Http;

/// <summary>
/// The same key and request get the first response again. The key, the change and the response are one transaction: a concurrent
/// duplicate waits for it, and a crash leaves none of the three. A response without a change, because the request was invalid (400) or
/// the service failed (5xx), is not stored. A response may contain a secret, so it is encrypted with values that only the client knows:
/// its Idempotency-Key, of which only the hash is stored, and its API key.
/// </summary>
internal sealed class Idempotency(Db db)
{
    private const int NonceSize = 12;
    private const int TagSize = 16;

    // The update locks the row of a key that exists, and gives a key that is a day old to its new user.
    private const string Claim = """
        INSERT INTO idempotency_keys AS k (caller, scope, key, fingerprint)
        VALUES (@Caller, @Scope, @Key, @Fingerprint)
        ON CONFLICT (caller, scope, key) DO UPDATE SET
            fingerprint = CASE WHEN k.created_at < now() - interval '24 hours' THEN excluded.fingerprint ELSE k.fingerprint END,
            response = CASE WHEN k.created_at < now() - interval '24 hours' THEN NULL ELSE k.response END,
            created_at = CASE WHEN k.created_at < now() - interval '24 hours' THEN excluded.created_at ELSE k.created_at END
        RETURNING fingerprint, response::text, body
        """;

    private const string Save = """
        UPDATE idempotency_keys SET response = @Response::jsonb, body = @Body
        WHERE caller = @Caller AND scope = @Scope AND key = @Key
        RETURNING fingerprint, response::text, body
        """;

    public static byte[] Fingerprint(HttpRequest request, byte[] body)
    {
        var target = Encoding.UTF8.GetBytes($"{request.Method} {request.Path.Value?.TrimEnd('/')}\n");
        return SHA256.HashData([.. target, .. body]);
    }

    public Task<BufferedResponse> Once(Use use, Func<Task<BufferedResponse>> act, CancellationToken ct) =>
        db.InTransaction(
            async () =>
            {
                var parameters = new
                {
                    use.Caller,
                    use.Scope,
                    Key = Hash("name", use.Key),
                    use.Fingerprint,
                };
                var claimed = await db.Change<Row>(Claim, parameters, ct);
                if (claimed!.Response is { } kept)
                {
                    return claimed.Fingerprint.AsSpan().SequenceEqual(use.Fingerprint)
                        ? JsonSerializer.Deserialize<BufferedResponse>(kept)! with
                        {
                            Body = Decrypt(claimed.Body!, use.Cipher),
                            Replayed = true,
                        }
                        : BufferedResponse.Of(Problem.KeyReused);
                }

                ct.ThrowIfCancellationRequested();
                var answer = await act();
                if (IsKept(answer))
                {
                    var head = JsonSerializer.Serialize(answer with { Body = default });
                    await db.Change<Row>(
                        Save,
                        new
                        {
                            parameters.Caller,
                            parameters.Scope,
                            parameters.Key,
                            Response = head,
                            Body = Encrypt(answer.Body.Span, use.Cipher),
                        },
                        ct
                    );
                }

                return answer;
            },
            IsKept,
            ct
        );

    private static bool IsKept(BufferedResponse answer) => answer.Status is not StatusCodes.Status400BadRequest and < 500;

    private static byte[] Hash(string purpose, string key) => SHA256.HashData(Encoding.UTF8.GetBytes($"{purpose}:{key}"));

    // Nonce, tag, cipher text. A key encrypts one answer only.
    private static byte[] Encrypt(ReadOnlySpan<byte> body, byte[] key)
    {
        var kept = new byte[NonceSize + TagSize + body.Length];
        RandomNumberGenerator.Fill(kept.AsSpan(0, NonceSize));
        using var aes = new AesGcm(key, TagSize);
        aes.Encrypt(kept.AsSpan(0, NonceSize), body, kept.AsSpan(NonceSize + TagSize), kept.AsSpan(NonceSize, TagSize));
        return kept;
    }

    private static byte[] Decrypt(byte[] kept, byte[] key)
    {
        var body = new byte[kept.Length - NonceSize - TagSize];
        using var aes = new AesGcm(key, TagSize);
        aes.Decrypt(kept.AsSpan(0, NonceSize), kept.AsSpan(NonceSize + TagSize), kept.AsSpan(NonceSize, TagSize), body);
        return body;
    }

    /// <summary>A use of a key: by whom, in which environment, and for what.</summary>
    internal sealed record Use(string Caller, string Scope, string Key, string Secret, byte[] Fingerprint)
    {
        /// <summary>The key that encrypts the response. It can be derived only from the caller's own request.</summary>
        public byte[] Cipher => Hash("body", $"{Secret}:{Key}");
    }

    private sealed record Row
    {
        public byte[] Fingerprint { get; init; } = [];

        public string? Response { get; init; }

        public byte[]? Body { get; init; }
    }
}
