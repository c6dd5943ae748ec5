import Attribution
import Foundation
import Testing

@testable import tributary

@Suite("The table of a result")
struct ResultTableTests {
    /// A sequence of tokens with scores.
    private func sequence(_ tokens: [(text: String, score: Double)]) throws -> InfluentialSequence {
        let json: [String: Any] = [
            "rank": 1, "id": "a", "text": tokens.map(\.text).joined(), "score": 1.0, "nats_per_copy": 0.1,
            "spurious": false, "tokens": tokens.map { ["text": $0.text, "score": $0.score] as [String: Any] },
        ]
        return try JSONDecoder().decode(
            InfluentialSequence.self, from: try JSONSerialization.data(withJSONObject: json))
    }

    private func lines(
        _ tokens: [(String, Double)], width: Int, count: Int?, hasColor: Bool = false
    ) throws -> [String] {
        InfluentialText(try sequence(tokens), style: TerminalStyle(width: 100, hasColor: hasColor))
            .lines(width: width, count: count)
    }

    @Test("marks the tokens that carry most of the influence, without the space before them")
    func marks() throws {
        let tokens = [("The", 0.01), (" moon", 1.0), (" is", -0.1), (" grey", -0.9), (".", 0.3)]
        #expect(try lines(tokens, width: 60, count: 2) == ["The *moon* is *grey*."])
        #expect(
            try lines(tokens, width: 60, count: 2, hasColor: true) == [
                "The \u{1B}[1;32mmoon\u{1B}[0m is \u{1B}[1;31mgrey\u{1B}[0m\u{1B}[32m.\u{1B}[0m"
            ])
    }

    @Test("shows the part of a long text that carries the influence", arguments: [10, 57, 99])
    func excerpt(place: Int) throws {
        let tokens = (0..<100).map { (" word\($0)", $0 == place ? 5.0 : 0.001) }
        let lines = try lines(tokens, width: 30, count: 2)
        #expect(lines.count <= 2)
        #expect(lines.allSatisfy { $0.columns <= 30 })
        #expect(lines.joined(separator: " ").contains("*word\(place)*"))
        #expect(lines.first?.hasPrefix("…") == true)
        #expect(lines.last?.hasSuffix("…") == (place < 99))
    }

    @Test("closes a mark that is cut, and opens one that it begins within", arguments: 8...40)
    func cutMarks(width: Int) throws {
        let tokens = (0..<60).map { (" w\($0)", (20...40).contains($0) ? 5.0 : 0.001) }
        let text = try lines(tokens, width: width, count: 2).joined(separator: " ")
        #expect(text.count { $0 == "*" } % 2 == 0, "\(text)")
        #expect(text.contains("*w"))
    }

    @Test("shows the beginning of a long text of which no token is known")
    func noTokens() throws {
        let lines = try lines((0..<40).map { (" word\($0)", 0.0) }, width: 20, count: 2)
        #expect(lines.first?.hasPrefix("word0 word1") == true)
    }

    @Test("shows all of a text where that is asked for, broken between words")
    func wholeText() throws {
        let tokens = (0..<40).map { ("\($0 == 0 ? "" : " ")word\($0)", 0.0) }
        let lines = try lines(tokens, width: 20, count: nil)
        #expect(
            lines.map { $0.trimmingCharacters(in: .whitespaces) }.joined(separator: " ") == tokens.map(\.0).joined())
        #expect(lines.allSatisfy { $0.columns <= 20 })
    }

    @Test("keeps within its width with words longer than a line, and with wide characters")
    func width() throws {
        let tokens = [("abcdefghijklmnopqrstuvwxyz", 1.0), (" 東京は日本の首都であり、世界最大の都市の一つである。", 0.5)]
        for width in [7, 12, 25] {
            let lines = try lines(tokens, width: width, count: 3)
            #expect(lines.count <= 3)
            #expect(lines.allSatisfy { $0.columns <= width }, "\(lines)")
        }
    }

    @Test("is no wider than the terminal", arguments: [40, 61, 90, 200])
    func tableWidth(columns: Int) throws {
        let tokens = (0..<60).map { number -> [String: Any] in
            ["text": " word\(number)", "score": number == 40 ? 5 : 0.001]
        }
        let json: [String: Any] = [
            "query": [
                "prompt": "A", "completion": " b", "completion_start": 0, "completion_starts_inside_token": false,
                "log_probability": -6,
                "tokens": (0..<12).map { ["id": $0, "text": " token\($0)", "log_probability": -0.5] as [String: Any] },
            ] as [String: Any],
            "timings": ["gradients": 0.1, "candidates": 0.2, "sweep": 30.5, "rescore": 0.4, "batch_size": 3],
            "candidates": ["selection": "tfidf", "considered": 1_000, "corpus_sequences": 20_000] as [String: Any],
            "sequences": [
                [
                    "rank": 1, "id": "a", "text": tokens.compactMap { $0["text"] as? String }.joined(), "score": 5,
                    "nats_per_copy": 0.1, "spurious": true, "tokens": tokens,
                    "layers": [["name": "model.layers.11.mlp.down_proj", "score": 5] as [String: Any]],
                ] as [String: Any]
            ],
        ]
        let result = try JSONDecoder().decode(
            InfluenceResult.self, from: try JSONSerialization.data(withJSONObject: json))
        let text = ResultTable(style: TerminalStyle(width: columns, hasColor: false), textLines: 3).text(of: result)
        for line in text.split(separator: "\n") { #expect(String(line).columns <= columns, "\(line)") }
        #expect(text.contains("*word40*"))
    }

    @Test("shows nothing that a terminal would obey")
    func control() throws {
        let tokens = [("a\u{1B}[2J\u{7}b", 1.0), ("\r\n\tc\u{202E}d", 0.0)]
        let text = try lines(tokens, width: 60, count: nil).joined()
        #expect(text.unicodeScalars.allSatisfy { $0.value >= 0x20 && $0.value != 0x202E })
        #expect(text.contains("a\\u{1b}[2J\\u{7}b* c\\u{202e}d"))
        #expect("x\u{1B}]0;title\u{7}y\n z".printable == "x\\u{1b}]0;title\\u{7}y z")
        #expect("a\nb\u{9B}2J".escaped == "a\\nb\\u{9b}2J")
        #expect("a\tb\n\u{1B}c\r".harmless == "a\tb\n\\u{1b}c\\r")
        // Joined emoji and words are shown as they are.
        #expect("👩\u{200D}🔬 caf\u{65}\u{301}".escaped == "👩\u{200D}🔬 caf\u{65}\u{301}")
    }

    @Test("cuts and fills columns by what a terminal shows")
    func columns() {
        #expect("abc".fitted(to: 5) == "abc  ")
        #expect("abcdef".fitted(to: 4) == "abc…")
        #expect("東京都".fitted(to: 4) == "東… ")
        #expect("ab".rightAligned(in: 4) == "  ab")
    }
}
