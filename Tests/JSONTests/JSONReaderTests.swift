import Testing

@testable import JSON

@Suite("JSON text", .timeLimit(.minutes(30)))
struct JSONReaderTests {
    @Test(
        "is read as RFC 8259 has it",
        arguments: [
            ("null", JSONTree.null), (" [ ] ", .array([])), ("{}", .object([])), ("-0.5e+3", .number("-0.5e+3")),
            ("\"a\\u00e9\\n\\\"\\/\"", .string("a\u{e9}\n\"/")), ("\"\\ud83d\\ude00😀\"", .string("😀😀")),
            ("[true,false]", .array([.boolean(true), .boolean(false)])),
            ("{\"a\":{\"b\":1}}", .object([.init(name: "a", value: .object([.init(name: "b", value: .number("1"))]))])),
        ])
    func valid(text: String, tree: JSONTree) throws {
        #expect(try JSONReader.read(Array(text.utf8)) == tree)
    }

    @Test(
        "that is malformed is refused at its place",
        arguments: [
            ("", 1, 1), ("{", 1, 2), ("{\"a\": 1,}", 1, 9), ("[1,]", 1, 4), ("[01]", 1, 3), ("[1.]", 1, 4),
            ("[+1]", 1, 2),
            ("nul", 1, 1), ("[NaN]", 1, 2), ("{'a': 1}", 1, 2), ("[1] x", 1, 5), ("{\"a\" 1}", 1, 6), ("[1 2]", 1, 4),
            ("{\"é\":\n 1,\n  \"é\": 2}", 3, 3), ("[\"a\nb\"]", 1, 4), ("\"abc", 1, 1), ("\"\\x\"", 1, 3),
            ("\"\\ud83d!\"", 1, 4), ("\"\\u12g4\"", 1, 6), ("// a\n1", 1, 1), ("[1e]", 1, 4), ("\u{FEFF}1", 1, 1),
        ])
    func malformed(text: String, line: Int, column: Int) {
        let mistake = #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.utf8)) }
        #expect(mistake?.line == line && mistake?.column == column, "\(String(describing: mistake))")
    }

    @Test("that is not UTF-8 is refused")
    func invalidUTF8() {
        #expect(throws: JSONReader.Mistake.self) { try JSONReader.read([0x22, 0xFF, 0x22]) }
        #expect(throws: JSONReader.Mistake.self) { try JSONReader.read([0x22, 0xED, 0xA0, 0x80, 0x22]) }
    }

    @Test("may not be nested without end")
    func depth() throws {
        func nested(_ depth: Int) -> [UInt8] {
            Array((String(repeating: "[", count: depth) + String(repeating: "]", count: depth)).utf8)
        }
        _ = try JSONReader.read(nested(JSONReader.maximumDepth))
        #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(nested(JSONReader.maximumDepth + 1)) }
        #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(repeating: 0x5B, count: 1_000_000)) }
    }

    @Test("survives every cut and every changed byte")
    func mutations() {
        let text = Array("{\"a\": [1, -2.5e3, \"x\\u00e9\\n\", true, null], \"b\": {\"c\": \"é\"}}".utf8)
        for length in 0..<text.count {
            #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.prefix(length))) }
        }
        for position in text.indices {
            for byte in UInt8.min...UInt8.max {
                var changed = text
                changed[position] = byte
                guard let tree = try? JSONReader.read(changed) else { continue }
                // What is taken must be JSON for Foundation, too.
                #expect(JSONValue(text: String(decoding: changed, as: UTF8.self)) != nil, "\(tree)")
            }
        }
    }
}
