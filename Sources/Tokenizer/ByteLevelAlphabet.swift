/// The 256 printable characters that stand for bytes in the token texts of a byte-level tokenizer's file.
///
/// Bytes that are printable in Latin-1 stand for themselves; the other 68 take U+0100 onwards, in order of the byte
/// (Radford et al. 2019, the GPT-2 release). A space is written `Ġ`, a line feed `Ċ`.
enum ByteLevelAlphabet {
    /// The character for each byte.
    static let scalars: [Unicode.Scalar] = {
        var substitutes = 0
        return (UInt8.min...UInt8.max).map { byte in
            if isWrittenAsItself(byte) { return Unicode.Scalar(byte) }
            defer { substitutes += 1 }
            return Unicode.Scalar(UInt16(256 + substitutes)) ?? Unicode.Scalar(byte)
        }
    }()

    /// The bytes in order of their characters: the order in which a trained vocabulary lists its byte symbols.
    static let bytesInOrderOfScalars: [UInt8] = (UInt8.min...UInt8.max).sorted { scalars[Int($0)] < scalars[Int($1)] }

    private static let byteOfScalar: [UInt8?] = {
        var bytes = [UInt8?](repeating: nil, count: 512)
        for byte in UInt8.min...UInt8.max { bytes[Int(scalars[Int(byte)].value)] = byte }
        return bytes
    }()

    private static func isWrittenAsItself(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) || (0xA1...0xAC).contains(byte) || (0xAE...0xFF).contains(byte)
    }

    /// The bytes that a token's text stands for; nil where a character is not of the alphabet.
    static func bytes(of text: String) -> [UInt8]? {
        var bytes: [UInt8] = []
        bytes.reserveCapacity(text.utf8.count)
        for scalar in text.unicodeScalars {
            guard scalar.value < 512, let byte = byteOfScalar[Int(scalar.value)] else { return nil }
            bytes.append(byte)
        }
        return bytes
    }

    /// The text that stands for bytes.
    static func text(of bytes: some Sequence<UInt8>) -> String {
        var text = String.UnicodeScalarView()
        for byte in bytes { text.append(scalars[Int(byte)]) }
        return String(text)
    }
}
