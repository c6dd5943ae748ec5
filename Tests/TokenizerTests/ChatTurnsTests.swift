import JSON
import Testing

@testable import Tokenizer

@Suite("The turns of a long chat") struct ChatTurnsTests {
    /// A chat by the first letters of its messages' roles, each with its position as content.
    private func chat(_ roles: String) -> [JSONTree] {
        let names: [Character: JSONTree] = [
            "s": "system", "d": "developer", "u": "user", "a": "assistant", "t": "tool",
        ]
        return roles.enumerated().map { index, letter in
            ["role": names[letter] ?? "user", "content": .string("\(index)")]
        }
    }

    private func kept(_ roles: String, longest: Int) -> (roles: String, dropped: Int)? {
        let fitting = ChatTurns.fitting(chat(roles)) { messages in messages.count <= longest ? messages : nil }
        return fitting.map { fitting in
            let kept = fitting.value.map { message -> Character in
                guard case .string(let role)? = message["role"] else { return "?" }
                return role.first ?? "?"
            }
            return (String(kept), fitting.dropped)
        }
    }

    @Test(
        "are left out from the front, as few as it takes, and system messages stay",
        arguments: [
            ("ua", 2, "ua", 0), ("uaua", 4, "uaua", 0), ("uaua", 3, "ua", 2), ("suaua", 4, "sua", 2),
            ("sduauaua", 6, "sduaua", 2), ("sduauaua", 5, "sdua", 4), ("uatauaua", 7, "uaua", 4),
            ("uuauuaa", 6, "uuaa", 3),
            ("aua", 2, "ua", 1), ("uauauauauaua", 7, "uauaua", 6), ("usaua", 4, "ua", 3),
        ])
    func dropping(roles: String, longest: Int, expected: String, dropped: Int) {
        let found = kept(roles, longest: longest)
        #expect(found?.roles == expected)
        #expect(found?.dropped == dropped)
    }

    @Test(
        "are not left out if the last one alone is too long",
        arguments: [("ua", 1), ("sua", 2), ("uauaa", 2), ("aa", 1)])
    func tooLong(roles: String, longest: Int) {
        #expect(kept(roles, longest: longest) == nil)
    }

    @Test("are found with few renderings")
    func cost() {
        var calls = 0
        let found = ChatTurns.fitting(chat(String(repeating: "ua", count: 500))) { messages in
            calls += 1
            return messages.count <= 301 ? messages.count : nil
        }
        #expect(found?.value == 300)
        #expect(calls < 20)
    }
}
