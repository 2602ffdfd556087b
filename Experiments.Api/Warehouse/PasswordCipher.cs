using System.Security.Cryptography;
using System.Text;
using Experiments.Api.Platform.Settings;
using Microsoft.Extensions.Options;

namespace Experiments.Api.Warehouse;

/// <summary>Encrypts the passwords of connections as they are stored (AES-256-GCM).</summary>
internal sealed class PasswordCipher(IOptions<WarehouseOptions> options)
{
    private const int NonceSize = 12;
    private const int TagSize = 16;

    /// <summary>The nonce, the tag and the encrypted password.</summary>
    /// <param name="password">The password.</param>
    /// <param name="projectId">The project; the result cannot be read for another one.</param>
    public byte[] Encrypt(string password, long projectId)
    {
        var plain = Encoding.UTF8.GetBytes(password);
        var stored = new byte[NonceSize + TagSize + plain.Length];
        var (nonce, tag, secret) = Parts(stored);
        RandomNumberGenerator.Fill(nonce.Span);
        using var aes = new AesGcm(Key, TagSize);
        aes.Encrypt(nonce.Span, plain, secret.Span, tag.Span, BitConverter.GetBytes(projectId));
        return stored;
    }

    /// <summary>The password that was encrypted for a project.</summary>
    /// <exception cref="WarehouseException">It was encrypted with another key.</exception>
    public string Decrypt(byte[] stored, long projectId)
    {
        try
        {
            var (nonce, tag, secret) = Parts(stored);
            var plain = new byte[secret.Length];
            using var aes = new AesGcm(Key, TagSize);
            aes.Decrypt(nonce.Span, secret.Span, tag.Span, plain, BitConverter.GetBytes(projectId));
            return Encoding.UTF8.GetString(plain);
        }
        catch (CryptographicException)
        {
            throw new WarehouseException(
                "The password of the connection was encrypted with another Warehouse:EncryptionKey. Set it again with PATCH."
            );
        }
    }

    private byte[] Key => options.Value.Key ?? throw new WarehouseException("Warehouse:EncryptionKey is not set.");

    private static (Memory<byte> Nonce, Memory<byte> Tag, Memory<byte> Secret) Parts(byte[] stored) =>
        (stored.AsMemory(0, NonceSize), stored.AsMemory(NonceSize, TagSize), stored.AsMemory(NonceSize + TagSize));
}
