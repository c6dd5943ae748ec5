import HTTP
import JSON
import Testing

@testable import InfluenceService

@Suite("A field of a request's JSON", .timeLimit(.minutes(30)))
struct RequestDecodingTests {
    private struct Numbers: Decodable, Equatable {
        var small: Int8?
        var seed: UInt64?
        var list: [Double]?
    }

    private func decode(_ text: String) throws -> Numbers {
        try JSONReader.read(Array(text.utf8)).decoded(as: Numbers.self)
    }

    @Test("keeps whole numbers exact, up to the largest")
    func numbers() throws {
        #expect(try decode("{\"seed\": 18446744073709551615}").seed == .max)
        #expect(try decode("{\"small\": 1e2}").small == 100)
        #expect(try decode("{\"small\": -128.0}").small == -128)
        #expect(try decode("{\"list\": [1, 2.5, -1e-3]}").list == [1, 2.5, -0.001])
    }

    @Test(
        "of the wrong type is refused by the path of the field, with what is expected and found",
        arguments: [
            ("{\"small\": 1.5}", "small", "expected a whole number from -128 to 127, found 1.5"),
            ("{\"small\": 128}", "small", "expected a whole number from -128 to 127, found 128"),
            ("{\"seed\": \"1\"}", "seed", "expected a whole number, found a string"),
            ("{\"list\": [1, 1e999]}", "list[1]", "found 1e999"),
            ("{\"list\": {}}", "list", "expected a list, found an object"),
            ("[]", nil, "expected an object, found a list"),
        ])
    func wrongTypes(text: String, field: String?, words: String) {
        let problem = #expect(throws: Problem.self) { try decode(text) }
        #expect(problem?.field == field)
        #expect(problem?.detail.contains(words) == true, "\(String(describing: problem))")
    }
}
