import Foundation
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
                #expect(
                    (try? JSONSerialization.jsonObject(with: Data(changed), options: .fragmentsAllowed)) != nil,
                    "\(tree)")
            }
        }
    }

    @Test(
        "with what Python writes for no number is refused by that name, and by its place",
        arguments: [
            (#"{"text": "a", "metadata": {"s": [1, NaN]}}"#, "NaN", "metadata.s[1]", 37),
            (#"{"score": -Infinity}"#, "-Infinity", "score", 11), (#"[Infinity]"#, "Infinity", "[0]", 2),
            (#"{"a": nan}"#, "nan", "a", 7),
        ])
    func notANumber(text: String, word: String, place: String, column: Int) {
        let mistake = #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.utf8)) }
        #expect(mistake?.reason == "\(word) is not JSON, in \"\(place)\": write null, or leave it out")
        #expect(mistake?.line == 1 && mistake?.column == column)
    }

    @Test("tells members apart by their bytes, be they few or many", arguments: [0, 11, 12, 13, 50])
    func memberNames(others: Int) throws {
        let more = (0..<others).map { "\"m\($0)\":0," }.joined()
        let tree = try JSONReader.read(Array("{\(more)\"caf\u{E9}\":1,\"cafe\u{301}\":2}".utf8))
        #expect(tree["caf\u{E9}"] == 1 && tree["cafe\u{301}"] == 2)
        #expect(tree.text == "{\(more)\"caf\u{E9}\":1,\"cafe\u{301}\":2}")
        let mistake = #expect(throws: JSONReader.Mistake.self) {
            try JSONReader.read(Array("{\(more)\"a\":1,\"\\u0061\":2}".utf8))
        }
        #expect(mistake?.reason.contains("\"a\" appears twice") == true)
    }

    @Test("keeps every digit of its numbers, and the order of members")
    func digits() throws {
        let text = #"{"b":1234567890123456789012345,"a":[1.50,1E+2,-0,1e400,0.1000],"":{}}"#
        #expect(try JSONReader.read(Array(text.utf8)).text == text)
    }

    @Test("that ends too early is told from what is malformed")
    func cut() {
        let text = Array(#"{"a": [1, -2.5e3, "x\u00e9\ud83d\ude00\n", true, null], "b": {"c": "é"}}"#.utf8)
        for length in 0..<text.count {
            let mistake = #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.prefix(length))) }
            #expect(mistake?.isAtEnd == true, "\(length): \(String(describing: mistake))")
        }
        for text in ["{\"a\": 1,}", "[1 2]", "{a: 1}", "[tru ]", "[1] x"] {
            let mistake = #expect(throws: JSONReader.Mistake.self) { try JSONReader.read(Array(text.utf8)) }
            #expect(mistake?.isAtEnd == false, "\(text)")
        }
    }

    @Test("of a line that is only the beginning of an object says how to put it on one line")
    func lines() {
        let mistake = #expect(throws: JSONReader.Mistake.self) { try JSONReader.readLine(Array("{".utf8)) }
        #expect(mistake?.reason.contains("jq -c .") == true)
        let other = #expect(throws: JSONReader.Mistake.self) { try JSONReader.readLine(Array("{]".utf8)) }
        #expect(other?.reason.contains("jq") == false)
    }
}
