import Foundation
import Testing

@testable import JSON

@Suite("A JSON tree")
struct JSONTreeTests {
    private func read(_ text: String) throws -> JSONTree { try JSONReader.read(Array(text.utf8)) }

    @Test("is compared by bytes: what Unicode calls equal is not")
    func equality() throws {
        #expect(JSONTree.string("\u{E9}") != .string("e\u{301}"))
        #expect(JSONTree.object([.init(name: "\u{E9}", value: 1)]) != .object([.init(name: "e\u{301}", value: 1)]))
        #expect(try read("[1.0]") != read("[1.00]"))
        #expect(try read("{\"a\": [true, null]}") == ["a": [true, .null]])
    }

    @Test("is written with escapes where a reader or a terminal needs them")
    func escapes() throws {
        let text = "a\"\\/\n\r\t\u{1B}\u{7F}\u{9B}\u{E9}\u{1F600}"
        let written = JSONTree.string(text).text
        #expect(written == "\"a\\\"\\\\/\\n\\r\\t\\u001b\\u007f\\u009b\u{E9}\u{1F600}\"")
        #expect(try read(written) == .string(text))
        #expect(JSONTree.string("plain").text == "\"plain\"")
    }

    /// A value with a tree in it, as results have metadata.
    private struct Holder: Codable, Equatable {
        var name: String
        var tree: JSONTree?
        var numbers: [Double]
        var flags: [String: Bool] = [:]
        var nested: [[Int]] = [[1], []]
    }

    @Test("keeps digits and order within other values, written and read again")
    func withinValues() throws {
        let tree = try read(#"{"z":1234567890123456789012345,"a":[1.50,1e400,{"caf\#u{E9}":1,"cafe\#u{301}":2}]}"#)
        let holder = Holder(name: "n", tree: tree, numbers: [1, -2.5, 1e300], flags: ["b": true, "a": false])
        let text = try JSONTreeEncoder.tree(of: holder).text
        #expect(
            text
                == #"{"flags":{"a":false,"b":true},"name":"n","nested":[[1],[]],"numbers":[1,-2.5,1e+300],"tree":"#
                + tree.text + "}")
        #expect(try JSONTreeDecoder.decode(Holder.self, from: text.utf8) == holder)
    }

    @Test("is written as Foundation's encoder writes values, where there is no tree in them")
    func likeFoundation() throws {
        let holder = Holder(name: "a/b\n\u{E9}", tree: nil, numbers: [0.1, 1e21, 12_345_678, -0.0, 1e-300])
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        #expect(
            try JSONTreeEncoder.tree(of: holder).text == String(decoding: try encoder.encode(holder), as: UTF8.self))
        for number in [Double.nan, .infinity, -.infinity] {
            #expect(throws: EncodingError.self) { try JSONTreeEncoder.tree(of: [number]) }
        }
    }

    @Test("goes through other coders, too, each value visited once")
    func otherCoders() throws {
        let depth = 400
        let text = String(repeating: "[", count: depth) + "1" + String(repeating: "]", count: depth)
        #expect(try JSONDecoder().decode(JSONTree.self, from: Data(text.utf8)) == read(text))
        let tree = try read(#"{"a":[1,2.5,"x",null,true,{}],"b":18446744073709551615}"#)
        let encoder = JSONEncoder()
        encoder.outputFormatting = .sortedKeys
        #expect(String(decoding: try encoder.encode(tree), as: UTF8.self) == tree.text)
        #expect(throws: EncodingError.self) { try JSONEncoder().encode(read("[1e400]")) }
    }

    @Test("of thousands of members and of the greatest depth is read, written and decoded in one pass")
    func large() throws {
        let names = (0..<20_000).map { "m\($0)" }
        let members = names.map { "\"\($0)\":[\"\($0)\"]" }.joined(separator: ",")
        let tree = try read("{\(members)}")
        let decoded = try JSONTreeDecoder(tree: tree).decode([String: [String]].self)
        #expect(decoded.count == names.count && decoded["m19999"] == ["m19999"])
        let open = String(repeating: "{\"a\":[", count: JSONReader.maximumDepth / 2)
        let deep = open + "1" + String(repeating: "]}", count: JSONReader.maximumDepth / 2)
        #expect(try read(deep).text == deep)
        #expect(try read(deep) == read(deep))
    }

    @Test(
        "gives whole numbers however they are spelt, exactly or not at all",
        arguments: [
            ("1e3", 1_000), ("20.0", 20), ("-2.50e2", -250), ("9007199254740993.0", 9_007_199_254_740_993),
            ("100e-2", 1), ("0.0", 0), ("1.5", nil), ("1e-1", nil), ("1e400", nil), ("9223372036854775808", nil),
            ("9223372036854775807", .max), ("1e99999999999999999999", nil),
        ] as [(String, Int?)])
    func wholeNumbers(digits: String, value: Int?) throws {
        #expect((try? JSONTreeDecoder(tree: .number(digits)).decode(Int.self)) == value)
    }

    @Test("has strings that are equal by their bytes alone as keys")
    func exactStrings() {
        let keys = Set(["\u{E9}", "e\u{301}", "e", ""].map(ExactString.init))
        #expect(keys.count == 4)
        #expect(keys.contains(ExactString("e\u{301}")) && !keys.contains(ExactString("e\u{300}")))
        #expect(
            ["b", "\u{E9}", "a", "e\u{301}"].map(ExactString.init).sorted().map { Array($0.text.utf8) }
                == ["a", "b", "e\u{301}", "\u{E9}"].map { Array($0.utf8) })
    }
}
