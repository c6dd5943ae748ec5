import Files
import Foundation
import Testing

@Suite("zstd")
struct ZstdTests {
    /// "hello" in a frame with a checksum, as `zstd` writes it.
    private static let hello: [UInt8] = [
        0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x05, 0x29, 0, 0, 0x68, 0x65, 0x6c, 0x6c, 0x6f,
    ]
    /// A million times the letter x, in one block that repeats a byte for every 128 KiB.
    private static let repeated: [UInt8] =
        [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x58]
        + [UInt8](repeating: 0, count: 0)
        + (0..<8).flatMap { index -> [UInt8] in
            let header = UInt32(131_072 << 3 | 1 << 1 | (index == 7 ? 1 : 0))
            return [UInt8(header & 0xff), UInt8(header >> 8 & 0xff), UInt8(header >> 16 & 0xff), 0x78]
        }

    private func decompress(_ bytes: [UInt8], part: Int = 3) throws -> [UInt8] {
        var rest = bytes[...]
        let reader = try ZstdReader {
            let next = Array(rest.prefix(part))
            rest = rest.dropFirst(part)
            return next.isEmpty ? nil : next
        }
        var output: [UInt8] = []
        while let chunk = try reader.nextChunk() {
            #expect(!chunk.isEmpty && chunk.count <= 1 << 18)
            output += chunk
        }
        return output
    }

    @Test("is decompressed frame by frame, however the input is cut", arguments: [1, 2, 13, 1000])
    func frames(part: Int) throws {
        let skippable: [UInt8] = [0x53, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 9, 9]
        #expect(try decompress(skippable + Self.hello + skippable + Self.hello, part: part) == Array("hellohello".utf8))
        #expect(
            ZstdReader.isStart(skippable) && ZstdReader.isStart(Self.hello) && !ZstdReader.isStart(Array("hello".utf8)))
    }

    @Test("gives a large output in bounded parts")
    func large() throws {
        #expect(try decompress(Self.repeated) == [UInt8](repeating: 0x78, count: 1 << 20))
    }

    @Test("is refused wherever it is cut")
    func truncation() throws {
        for length in 0..<Self.hello.count {
            #expect(throws: ZstdError.truncated) { try decompress(Array(Self.hello[..<length])) }
        }
    }

    @Test("is refused where other data follows, is damaged, or needs too large a window")
    func refusals() throws {
        #expect(throws: ZstdError.corrupt(reason: "other data follows the compressed data")) {
            try decompress(Self.hello + [1, 2, 3])
        }
        var damaged = Self.hello
        damaged[6] = 0xff
        #expect(throws: ZstdError.self) { try decompress(damaged) }
        // A window of a GiB.
        #expect(throws: ZstdError.windowTooLarge(limit: 1 << 27)) {
            try decompress([0x28, 0xb5, 0x2f, 0xfd, 0x00, 0xa0] + Self.repeated[6...])
        }
    }

    @Test("of a known size is decompressed at once, and refused where it is larger")
    func block() throws {
        let reader = try ZstdBlockReader()
        #expect(try reader.decompress(Self.hello[...], count: 5) == Array("hello".utf8))
        #expect(throws: ZstdError.tooLarge(limit: 4)) { try reader.decompress(Self.hello[...], count: 4) }
        #expect(throws: ZstdError.self) { try reader.decompress(Self.hello[..<9], count: 5) }
    }
}
