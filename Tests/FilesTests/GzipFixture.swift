import Foundation

/// Data in gzip format, made without a compressor.
enum GzipFixture {
    /// One member with the bytes as they are, in stored blocks (RFC 1951, section 3.2.4) of at most `blockSize` bytes.
    static func stored(_ bytes: [UInt8], blockSize: Int = 65_535) -> [UInt8] {
        var member: [UInt8] = [0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255]
        var start = 0
        repeat {
            let block = bytes[start...].prefix(blockSize)
            start += block.count
            let length = UInt16(block.count)
            member.append(start == bytes.count ? 1 : 0)
            member += littleEndian(UInt32(length), bytes: 2) + littleEndian(UInt32(~length), bytes: 2)
            member += block
        } while start < bytes.count
        return member + littleEndian(checksum(bytes), bytes: 4) + littleEndian(UInt32(bytes.count), bytes: 4)
    }

    /// The 4,000 bytes of 500 lines `{"a":1}`, compressed by gzip with Huffman codes.
    static let deflated =
        Data(
            base64Encoded: "H4sIAAAAAAACA+3FIREAQAgAMP8xaPCWNuTg6E4MzGbWUZF/Xtu2bdu27bMX1mRFzKAPAAA="
        ).map([UInt8].init) ?? []

    private static func littleEndian(_ value: UInt32, bytes: Int) -> [UInt8] {
        (0..<bytes).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
    }

    /// CRC-32 (RFC 1952, section 8), bit by bit.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        ~bytes.reduce(UInt32.max) { crc, byte in
            (0..<8).reduce(crc ^ UInt32(byte)) { crc, _ in crc & 1 == 1 ? crc >> 1 ^ 0xedb8_8320 : crc >> 1 }
        }
    }
}
