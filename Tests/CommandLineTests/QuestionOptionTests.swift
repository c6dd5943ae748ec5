import ArgumentParser
import Testing

@testable import tributary

@Suite("The options that say what is asked")
struct QuestionOptionTests {
    private func refusal(_ arguments: String) -> String? {
        do {
            _ = try Query.parse(arguments.split(separator: " ").map(String.init))
            return nil
        } catch {
            return Query.message(for: error)
        }
    }

    @Test(
        "are refused where they would be ignored",
        arguments: [
            ("--prompt a --completion b --combine sum", "--combine goes with --behaviour"),
            ("--chat c.json --combine mean", "--combine goes with --behaviour"),
            ("--prompt a --completion b --drop-turns", "--drop-turns goes with --chat or --behaviour"),
            ("--queries q.jsonl --drop-turns", "\"drop_turns\""),
            ("--behaviour b.jsonl --contrast c", "--contrast goes with --completion or --chat"),
            ("--chat c.json --span c", "--span with --completion"),
        ])
    func refused(arguments: String, reason: String) {
        #expect(refusal(arguments)?.contains(reason) == true, "\(refusal(arguments) ?? "taken")")
    }

    @Test(
        "are taken where they mean something",
        arguments: [
            "--behaviour b.jsonl --combine sum --drop-turns", "--chat c.json --contrast c --drop-turns",
            "--prompt a --completion b --contrast c --span b",
        ])
    func taken(arguments: String) {
        #expect(refusal(arguments) == nil)
    }
}
