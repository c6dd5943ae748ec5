import Foundation

/// A job's name: 26 letters and digits that are safe in a URL, sort by the time of creation, and cannot be guessed.
///
/// The form is that of a ULID: 48 bits of milliseconds since 1970 and 80 random bits, in Crockford's base 32.
public struct JobIdentifier: Sendable, Hashable, CustomStringConvertible {
    public let description: String

    private static let alphabet = Array("0123456789ABCDEFGHJKMNPQRSTVWXYZ".utf8)

    /// Takes text as an identifier.
    ///
    /// - Returns: `nil` if it is not the form of one; small letters are taken as capitals.
    public init?(_ text: some StringProtocol) {
        let capitals = text.uppercased()
        guard capitals.utf8.count == 26, capitals.utf8.allSatisfy(Self.alphabet.contains) else { return nil }
        description = capitals
    }

    /// A new identifier.
    public init(at date: Date = Date()) {
        var generator = SystemRandomNumberGenerator()
        let milliseconds = UInt128(max(0, date.timeIntervalSince1970 * 1_000).rounded(.down))
        var rest = (milliseconds & 0xFFFF_FFFF_FFFF) << 80
        rest |= UInt128(generator.next() as UInt64) << 16 | UInt128(generator.next() as UInt16)
        var letters: [UInt8] = []
        for _ in 0..<26 {
            letters.append(Self.alphabet[Int(rest & 31)])
            rest >>= 5
        }
        description = String(decoding: letters.reversed(), as: UTF8.self)
    }
}
