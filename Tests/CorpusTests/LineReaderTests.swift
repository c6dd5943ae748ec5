import Testing

@testable import Corpus

@Suite("Lines")
struct LineReaderTests {
    /// Bytes in chunks of one size.
    private final class Chunks: ByteSource {
        private var rest: ArraySlice<UInt8>
        private let size: Int
        let bytesRead = 0

        init(_ text: String, size: Int) {
            rest = Array(text.utf8)[...]
            self.size = size
        }

        func nextChunk() -> [UInt8]? {
            guard !rest.isEmpty else { return nil }
            defer { rest = rest.dropFirst(size) }
            return Array(rest.prefix(size))
        }
    }

    @Test("are the same whatever the chunks they come in", arguments: 1...12)
    func chunks(size: Int) throws {
        func lines(_ text: String) throws -> [String] {
            var reader = LineReader(Chunks(text, size: size), file: "f", limit: 5)
            var lines: [String] = []
            while let line = try reader.next() {
                lines.append(String(decoding: line, as: UTF8.self))
                #expect(reader.lineNumber == lines.count)
            }
            return lines
        }
        #expect(try lines("") == [])
        #expect(try lines("\n") == [""])
        #expect(try lines("a") == ["a"])
        #expect(try lines("a\nbc\r\n\r\n\rd\n\n12345") == ["a", "bc", "", "\rd", "", "12345"])
        #expect(throws: CorpusImportError.tooLong(location: .line(2, of: "f"), limit: 5)) { try lines("a\n123456\n") }
    }

    @Test("that are blank can be passed over at once, and are counted", arguments: 1...12)
    func blankLines(size: Int) throws {
        func lines(_ text: String) throws -> [String] {
            var reader = LineReader(Chunks(text, size: size), file: "f", limit: 5)
            var lines: [String] = []
            try reader.skipBlankLines()
            while let line = try reader.next() {
                lines.append("\(reader.lineNumber):" + String(decoding: line, as: UTF8.self))
                try reader.skipBlankLines()
            }
            return lines
        }
        #expect(try lines("") == [])
        #expect(try lines("\n\r\n \t\n") == [])
        #expect(try lines("\n\n  a\n \r\n\n\tb\n\n c") == ["3:  a", "6:\tb", "8: c"])
        #expect(try lines("a\n\n  ") == ["1:a", "3:  "])
        #expect(throws: CorpusImportError.tooLong(location: .line(2, of: "f"), limit: 5)) { try lines("\n      ") }
    }
}
