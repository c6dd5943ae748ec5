import COpenSSL
import Foundation

/// A SHA-256 digest (FIPS 180-4) taken over bytes as they arrive.
///
/// Names content: models, tokenizers and texts that have the same digest are the same. Feed lengths along with parts
/// of varying length (``update(_:)-(UInt64)``) where two different lists of parts must not give one digest.
public struct ContentDigest: Sendable {
    /// Bytes of a digest.
    public static let byteCount = Int(SHA256_DIGEST_LENGTH)

    private var state = SHA256_CTX()

    public init() {
        SHA256_Init(&state)
    }

    /// The 32 bytes of a whole text's digest, in UTF-8.
    public static func bytes(of text: String) -> [UInt8] {
        var digest = ContentDigest()
        digest.update(text)
        return digest.bytes
    }

    /// Takes more bytes. Cutting them differently over several calls changes nothing.
    public mutating func update(_ bytes: Span<UInt8>) {
        bytes.withUnsafeBufferPointer { _ = SHA256_Update(&state, $0.baseAddress, $0.count) }
    }

    public mutating func update(_ bytes: RawSpan) {
        bytes.withUnsafeBytes { _ = SHA256_Update(&state, $0.baseAddress, $0.count) }
    }

    public mutating func update(_ bytes: [UInt8]) { update(bytes.span) }

    public mutating func update(_ bytes: Data) { update(bytes.span) }

    /// Takes a string's UTF-8 bytes, without its length.
    public mutating func update(_ text: String) { update(text.utf8Span.span) }

    /// Takes a number as eight bytes, least significant first.
    public mutating func update(_ number: UInt64) {
        withUnsafeBytes(of: number.littleEndian) { update($0.bytes) }
    }

    /// The 32 bytes of the digest of everything taken so far. More bytes may follow.
    public var bytes: [UInt8] {
        var final = state
        return [UInt8](unsafeUninitializedCapacity: Self.byteCount) { buffer, count in
            SHA256_Final(buffer.baseAddress, &final)
            count = Self.byteCount
        }
    }

    /// The digest of everything taken so far as 64 lower-case hexadecimal digits.
    public var hexadecimal: String { bytes.hexadecimal }
}

extension [UInt8] {
    /// Whether two byte strings are the same, found in a time that depends on their length alone.
    public func isEqualInConstantTime(to other: [UInt8]) -> Bool {
        count == other.count && CRYPTO_memcmp(self, other, count) == 0
    }

    /// Two lower-case hexadecimal digits a byte.
    public var hexadecimal: String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
    }
}
