import Foundation
import JSON
import Tables
import Testing

@Suite("A Parquet or Arrow file")
struct ColumnarTests {
    static let tables: [(file: String, rows: String)] =
        [
            "plain", "dictionary", "snappy", "gzip", "zstd", "v2", "v2-plain", "groups", "checksums", "delta-length",
            "delta-string",
            "not-compliant",
        ].map { ("\($0).parquet", "rows.jsonl") }
        + ["file", "stream", "zstd", "large", "dictionary"].map { ("\($0).arrow", "rows.jsonl") }
        + [("pandas.parquet", "pandas.jsonl"), ("long.parquet", "long.jsonl"), ("long-snappy.parquet", "long.jsonl")]

    @Test("has the rows that pyarrow wrote to it", arguments: tables)
    func rows(table: (file: String, rows: String)) throws {
        let expected = try TableFixture.lines(table.rows).map(\.normalized)
        let reader = try TableFixture.open(table.file)
        #expect(try reader.rows().map(\.normalized) == expected)
        #expect(reader.columns == expected.first.map(names))
        #expect(try reader.bytesRead == TableFixture.bytes(table.file).count)
    }

    private func names(_ row: JSONTree) -> [String] {
        guard case .object(let members) = row else { return [] }
        return members.map(\.name)
    }

    @Test("has as many rows of each batch as it says, one by one")
    func batches() throws {
        let expected = try TableFixture.lines("rows.jsonl").prefix(20).map(\.normalized)
        #expect(try TableFixture.open("sliced.arrow").rows().map(\.normalized) == expected)
        #expect(try TableFixture.open("empty.parquet").rows().isEmpty)
    }

    @Test("gives the columns that are asked for, in the order asked for", arguments: ["groups.parquet", "zstd.arrow"])
    func selection(file: String) throws {
        let reader = try TableFixture.open(file)
        try reader.select(["messages", "text"])
        let rows = try reader.rows()
        #expect(rows.map(names) == Array(repeating: ["messages", "text"], count: 40))
        let expected = try TableFixture.lines("rows.jsonl")
        #expect(rows.map { $0["text"] } == expected.map { $0["text"] })
        #expect(rows.map { $0["messages"] } == expected.map { $0["messages"] })
    }

    @Test("lists its columns where one is not there", arguments: ["pandas.parquet"])
    func missingColumn(file: String) throws {
        let reader = try TableFixture.open(file)
        #expect(throws: TableError.missingColumn(file: file, column: "prompt", columns: ["id", "text", "source"])) {
            try reader.select(["prompt"])
        }
        let error = TableError.missingColumn(file: file, column: "prompt", columns: ["id", "text"])
        #expect(error.description == "pandas.parquet: there is no column \"prompt\". The columns are \"id\", \"text\".")
    }

    @Test(
        "is refused by name where it uses what is not read",
        arguments: [
            ("lz4.parquet", "LZ4"), ("brotli.parquet", "Brotli"), ("split.parquet", "BYTE_STREAM_SPLIT"),
            ("decimal.parquet", "\"price\", a decimal number"), ("lz4.arrow", "LZ4"), ("view.arrow", "string view"),
            ("half.arrow", "\"half\", a 16-bit floating-point number"),
        ])
    func unsupported(file: String, words: String) throws {
        let error = try #require(throws: TableError.self) { try TableFixture.open(file).rows() }
        #expect(error.description.contains(words) && error.description.hasPrefix(file), "\(error)")
    }

    @Test("is read where a column that is not read is not asked for", arguments: ["decimal.parquet", "half.arrow"])
    func unusedColumn(file: String) throws {
        let reader = try TableFixture.open(file)
        try reader.select(["text"])
        #expect(try reader.rows() == [["text": "a"]])
    }

    @Test("has a bad row where a value is not text, and goes on after it")
    func notText() throws {
        let reader = try TableFixture.open("binary.parquet")
        #expect(try reader.nextRow()?.values == .success(["text": "good"]))
        #expect(
            try reader.nextRow()?.values
                == .failure(
                    .badValue(file: "binary.parquet", row: 2, line: nil, column: "text", reason: "is not text in UTF-8")
                ))
        #expect(try reader.nextRow()?.values == .success(["text": "fine"]))
        #expect(try reader.nextRow() == nil)
    }

    @Test("refuses a row that is longer than the limit")
    func rowLimit() throws {
        let bytes = try TableFixture.bytes("long.parquet")
        let reader = try ParquetReader(.bytes(bytes, name: "long.parquet"), rowLimit: 1000)
        let error = try #require(throws: TableError.self) { try reader.rows() }
        guard case .tooLong("long.parquet", _, nil, 1000) = error else {
            Issue.record("\(error)")
            return
        }
    }

    @Test("is refused at every length that it is cut to", arguments: ["pandas.parquet", "half.arrow", "lines.arrow"])
    func truncation(file: String) throws {
        let name = file == "lines.arrow" ? "saved/data-00001-of-00002.arrow" : file
        let whole = try TableFixture.bytes(name)
        for length in 0..<whole.count {
            let error = try #require(throws: TableError.self, "cut to \(length) of \(whole.count)") {
                let reader = try TableFixture.open(file, Array(whole[..<length]))
                try reader.select(["text"])
                _ = try reader.rows()
            }
            #expect(error.description.hasPrefix(file))
        }
    }

    @Test(
        "never traps, whatever its bytes",
        arguments: [
            "plain.parquet", "groups.parquet", "v2.parquet", "gzip.parquet", "delta-length.parquet",
            "delta-string.parquet", "pandas.parquet",
            "file.arrow", "zstd.arrow", "dictionary.arrow", "large.arrow",
        ])
    func corruption(file: String) throws {
        let whole = try TableFixture.bytes(file)
        var generator = SeededGenerator(seed: 11)
        var refused = 0
        for _ in 0..<250 {
            var bytes = whole
            for _ in 0..<Int.random(in: 1...3, using: &generator) {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            do {
                _ = try TableFixture.open(file, bytes).rows()
            } catch {
                #expect(error is TableError, "\(error)")
                refused += 1
            }
        }
        #expect(refused > 20)
    }

    @Test("is refused where a page does not match its checksum")
    func checksum() throws {
        let whole = try TableFixture.bytes("checksums.parquet")
        var bytes = whole
        // Inside the first page's data.
        bytes[80] ^= 1
        let error = try #require(throws: TableError.self) { try TableFixture.open("checksums.parquet", bytes).rows() }
        #expect(error.description.contains("checksum"), "\(error)")
    }
}
