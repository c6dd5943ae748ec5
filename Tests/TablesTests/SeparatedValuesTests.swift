import JSON
import Tables
import Testing

@Suite("Separated values")
struct SeparatedValuesTests {
    @Test("have the rows that pandas wrote", arguments: [1, 3, 64, 1 << 20])
    func pandas(part: Int) throws {
        let expected = try TableFixture.lines("flat.jsonl")
        for (file, separator) in [("flat.csv", ","), ("flat.tsv", "\t")] as [(String, Unicode.Scalar)] {
            let reader = try TableFixture.separated(try TableFixture.bytes(file), separator: separator, part: part)
            #expect(try reader.rows() == expected, "\(file)")
        }
        // Everything is quoted, so that a missing value is an empty string.
        let quoted = try TableFixture.separated(try TableFixture.bytes("quoted.csv"), part: part)
        #expect(quoted.columns == ["id", "text", "source"])
        #expect(try quoted.rows().map { $0["text"] } == expected.map { $0["text"] })
    }

    @Test(
        "follow RFC 4180",
        arguments: [
            ("a,b\n1,2", [["a": "1", "b": "2"]]),
            ("a,b\r\n\"x\r\ny\",\"say \"\"hi\"\"\"\r\n", [["a": "x\r\ny", "b": "say \"hi\""]]),
            ("a,b\n,\"\"\n", [["a": .null, "b": ""]]),
            ("\u{feff}a\nx\n\n\r\ny\r", [["a": "x"], ["a": "y"]]),
            ("a\n\"\"\n", [["a": ""]]),
            ("a,b\n5\" pipe,c\"d\n", [["a": "5\" pipe", "b": "c\"d"]]),
            ("a,b\n", []),
        ] as [(String, [JSONTree])])
    func format(text: String, rows: [JSONTree]) throws {
        for part in [1, 2, 100] {
            #expect(try TableFixture.separated(Array(text.utf8), part: part).rows() == rows)
        }
    }

    @Test("have a bad row where its fields are more or fewer than the header's")
    func ragged() throws {
        let reader = try TableFixture.separated(Array("a,b\n1,2\n\"x\ny\"\n3,4,5\n6,7\n".utf8))
        var rows: [TableRow] = []
        while let row = try reader.nextRow() { rows.append(row) }
        #expect(rows.map(\.number) == [1, 2, 3, 4])
        #expect(rows.map(\.line) == [2, 3, 5, 6])
        #expect(rows[1].values == .failure(.raggedRow(file: "x.csv", row: 2, line: 3, fields: 1, columns: 2)))
        #expect(rows[2].values == .failure(.raggedRow(file: "x.csv", row: 3, line: 5, fields: 3, columns: 2)))
        #expect(rows[3].values == .success(["a": "6", "b": "7"]))
    }

    @Test("end with a sentence where a quote is left open, or text follows it")
    func quotes() throws {
        #expect(
            throws: TableError.truncated(file: "x.csv", missing: "the end of the quoted field that begins on line 2")
        ) {
            try TableFixture.separated(Array("a\n\"x\ny".utf8)).rows()
        }
        let error = try #require(throws: TableError.self) {
            try TableFixture.separated(Array("a\n\"x\"y\n".utf8)).rows()
        }
        #expect(error.description.hasPrefix("x.csv:2: a field goes on"))
        #expect(throws: TableError.self) { try TableFixture.separated([]) }
    }

    @Test("name the column that is not UTF-8")
    func notUTF8() throws {
        let row = try TableFixture.separated(Array("a,b\n1,".utf8) + [0xff]).nextRow()
        guard case .failure(.badValue("x.csv", 1, 2, "b", _))? = row?.values else {
            Issue.record("\(String(describing: row))")
            return
        }
    }
}

@Suite("A JSON array")
struct JSONArrayTests {
    private func elements(_ text: String, part: Int) throws -> [(String, Int)] {
        var rest = Array(text.utf8)[...]
        var reader = JSONArrayReader(file: "x.json", limit: 100) {
            let next = Array(rest.prefix(part))
            rest = rest.dropFirst(part)
            return next.isEmpty ? nil : next
        }
        var elements: [(String, Int)] = []
        while let element = try reader.next() {
            elements.append((String(decoding: element.bytes, as: UTF8.self), element.line))
        }
        return elements
    }

    @Test("is split into its elements, with their lines", arguments: [1, 2, 5, 1000])
    func split(part: Int) throws {
        let found = try elements(" [{\"a\": \"],}\\\"[\"},\n\n {\"b\": [1, {}]} , 3\n]\n ", part: part)
        #expect(found.map(\.0) == ["{\"a\": \"],}\\\"[\"}", "{\"b\": [1, {}]} ", "3\n"])
        #expect(found.map(\.1) == [1, 3, 3])
        #expect(try elements("[]", part: part).isEmpty)
    }

    @Test(
        "is refused where it is cut, or something else",
        arguments: ["[", "[1", "[1,", "[{\"a\": 1}", "", "{}", "[1,]", "[1] 2", "[,1]"])
    func refused(text: String) {
        #expect(throws: TableError.self) { try elements(text, part: 3) }
    }

    @Test("is refused where an element is longer than the limit")
    func limit() {
        #expect(throws: TableError.self) { try elements("[\"" + String(repeating: "a", count: 200) + "\"]", part: 50) }
    }
}
