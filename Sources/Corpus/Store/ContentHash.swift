import Files

/// The identity of a text: the SHA-256 digest of its UTF-8 form.
struct ContentHash: Hashable, Sendable {
    /// 32 bytes.
    let bytes: [UInt8]

    init(of text: String) {
        bytes = ContentDigest.bytes(of: text)
    }

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    /// 64 lower-case hexadecimal digits.
    var hexadecimal: String { bytes.hexadecimal }
}

/// A sum of content hashes that does not depend on their order.
///
/// The hashes are added as little-endian numbers modulo 2²⁵⁶, so that a document is added in constant time and documents
/// that were imported in another order give the same sum.
struct ContentHashSum: Equatable, Sendable {
    /// 32 bytes, least significant first.
    private(set) var bytes = [UInt8](repeating: 0, count: 32)

    init() {}

    init(bytes: [UInt8]) {
        self.bytes = bytes
    }

    mutating func add(_ hash: ContentHash) {
        var carry: UInt16 = 0
        for (index, byte) in hash.bytes.enumerated() {
            let sum = UInt16(bytes[index]) + UInt16(byte) + carry
            bytes[index] = UInt8(truncatingIfNeeded: sum)
            carry = sum >> 8
        }
    }
}
