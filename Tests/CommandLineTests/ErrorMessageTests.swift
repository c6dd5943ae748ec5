import Foundation
import Testing

@testable import tributary

@Suite("An error's message")
struct ErrorMessageTests {
    private struct Shape: Decodable {
        let name: String
        let sides: [Side]
        struct Side: Decodable { let length: Int }
    }

    @Test(
        "names the field of JSON that is not as expected, in words",
        arguments: [
            (#"{"name": 1, "sides": []}"#, "name: expected a string"),
            (#"{"sides": []}"#, "name: expected a value, but the field is missing"),
            (#"{"name": "a", "sides": 1}"#, "sides: expected a list"),
            (
                #"{"name": "a", "sides": [{"length": 1}, {"length": "long"}]}"#,
                "sides[1].length: expected a whole number"
            ),
        ])
    func decoding(_ json: String, _ message: String) {
        let error = #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(Shape.self, from: Data(json.utf8))
        }
        #expect(error.map { ErrorMessage($0).description } == message)
    }

    @Test("names the file that cannot be read, on one line and without a type's name")
    func file() {
        let error = #expect(throws: (any Error).self) { try Data(contentsOf: URL(fileURLWithPath: "/nowhere/at/all")) }
        let message = error.map { ErrorMessage($0).description } ?? ""
        #expect(message.contains("/nowhere/at/all"))
        #expect(!message.contains("\n"))
        #expect(!message.contains("Error"))
    }
}
