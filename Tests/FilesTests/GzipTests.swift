import Files
import Testing

@Suite("A gzip stream")
struct GzipTests {
    private static let chunkSize = 1 << 18

    private func decompressed(_ bytes: [UInt8]) throws -> [UInt8] {
        var remaining = bytes[...]
        let reader = try GzipReader {
            let chunk = Array(remaining.prefix(Self.chunkSize))
            remaining = remaining.dropFirst(chunk.count)
            return chunk.isEmpty ? nil : chunk
        }
        var output: [UInt8] = []
        while let chunk = try reader.nextChunk() {
            #expect(!chunk.isEmpty)
            output += chunk
        }
        #expect(remaining.isEmpty)
        return output
    }

    private let text = Array(String(repeating: "{\"a\":1}\n", count: 500).utf8)

    @Test("is what another program compressed")
    func deflated() throws {
        #expect(try decompressed(GzipFixture.deflated) == text)
    }

    @Test("may be larger than a chunk, on either side")
    func large() throws {
        let bytes = (0..<1_000_000).map { UInt8(truncatingIfNeeded: $0 ^ $0 >> 7 ^ $0 >> 13) }
        #expect(try decompressed(GzipFixture.stored(bytes)) == bytes)
    }

    @Test("may have several members, empty ones, and zeros at the end")
    func members() throws {
        let member = GzipFixture.deflated
        #expect(try decompressed(member + member) == text + text)
        #expect(try decompressed(GzipFixture.stored([]) + member + GzipFixture.stored([1, 2])) == text + [1, 2])
        #expect(try decompressed(member + [0, 0, 0]) == text)
        #expect(try decompressed(GzipFixture.stored([])) == [])
    }

    @Test("may be split anywhere between members and chunks")
    func memberAtChunkEnd() throws {
        for extra in -3...3 {
            let first = GzipFixture.stored([UInt8](repeating: 7, count: Self.chunkSize - 43 + extra))
            #expect(try decompressed(first + GzipFixture.stored([8])).count == Self.chunkSize - 42 + extra)
        }
    }

    @Test("that is cut short is refused, wherever it is cut")
    func truncated() throws {
        let member = GzipFixture.deflated
        for length in 0..<member.count {
            #expect(throws: GzipError.truncated, "\(length)") {
                try decompressed(Array(member.prefix(length)))
            }
        }
        #expect(throws: GzipError.truncated) { try decompressed(member + member.dropLast(5)) }
    }

    @Test("that is damaged is refused, whichever byte it is")
    func corrupt() throws {
        let member = GzipFixture.stored(Array("some text".utf8))
        // The bytes from 4 to 9 are time, flags and system: nothing depends on them (RFC 1952, section 2.3.1).
        for index in member.indices where !(4...9).contains(index) {
            var bytes = member
            bytes[index] ^= 0xff
            #expect(throws: GzipError.self, "byte \(index)") { try decompressed(bytes) }
        }
        #expect(
            throws: GzipError.corrupt(reason: "other data follows the compressed data")
        ) { try decompressed(member + [0, 1, 2]) }
    }

    @Test("is decompressed in memory up to a size, and not if it is damaged")
    func compressed() throws {
        #expect(try GzipReader.decompress(GzipFixture.deflated, limit: 4_000).count == 4_000)
        #expect(throws: GzipError.tooLarge(limit: 3_999)) {
            try GzipReader.decompress(GzipFixture.deflated, limit: 3_999)
        }
        #expect(throws: GzipError.truncated) {
            try GzipReader.decompress(Array(GzipFixture.deflated.dropLast(9)), limit: 4_000)
        }
        #expect(throws: GzipError.self) {
            try GzipReader.decompress(Array("plain".utf8), limit: 4_000)
        }
    }

    @Test("asks before it takes memory, and ends where it is refused")
    func growth() throws {
        var bytes = 0
        _ = try GzipReader.decompress(GzipFixture.deflated, limit: 4_000) { bytes += $0 }
        #expect(bytes == 4_000)
        #expect(throws: CancellationError.self) {
            try GzipReader.decompress(GzipFixture.deflated, limit: 4_000) { _ in throw CancellationError() }
        }
        // What a stream says of its length is no reason to believe it.
        let lying = GzipFixture.deflated.dropLast(4) + [0xFF, 0xFF, 0xFF, 0x7F]
        #expect(throws: GzipError.self) { try GzipReader.decompress(Array(lying), limit: 1 << 30) }
    }
}
