import Foundation
import LinearAlgebra
import Testing

@testable import Transformer

@Suite("Generation")
struct GenerationTests {
    private let prompt: [Int32] = [5, 17, 3]

    private func decoder(_ name: String = "llama-grouped-tied") throws -> DecoderModel {
        try ModelFixture(name: name).decoder()
    }

    /// Logits of the token after a text, in Double.
    private func nextLogits(_ text: [Int32], _ decoder: DecoderModel) throws -> [Double] {
        try #require(ReferenceDecoder(decoder).logits(of: text).last)
    }

    private func logProbabilities(_ logits: [Double]) -> [Double] {
        let largest = logits.max() ?? 0
        let total = logits.reduce(0) { $0 + exp($1 - largest) }
        return logits.map { $0 - largest - log(total) }
    }

    @Test("takes the likeliest token at each step at temperature zero", arguments: ["gpt2", "llama-grouped-tied"])
    func greedy(model: String) throws {
        let decoder = try decoder(model)
        let continuation = Generation(maximumTokens: 6).continue(prompt, with: decoder)
        #expect(continuation.tokens.count == 6)
        #expect(continuation.finishReason == .length)
        var text = prompt
        for (token, logProbability) in zip(continuation.tokens, continuation.logProbabilities) {
            let expected = logProbabilities(try nextLogits(text, decoder))
            #expect(expected[Int(token)] == expected.max())
            #expect(abs(logProbability - expected[Int(token)]) < 1e-5)
            text.append(token)
        }
        #expect(Generation(seed: 99, maximumTokens: 6).continue(prompt, with: decoder).tokens == continuation.tokens)
    }

    @Test("gives the same text for the same seed, and another for another")
    func seeds() throws {
        let decoder = try decoder()
        func text(_ seed: UInt64) -> [Int32] {
            Generation(temperature: 1, seed: seed, maximumTokens: 12).continue(prompt, with: decoder).tokens
        }
        #expect(text(1) == text(1))
        #expect(Set((0..<8).map(text)).count == 8)
    }

    @Test("draws tokens as often as they are likely, sharper at a lower temperature", arguments: [0.5, 1, 2])
    func temperature(temperature: Double) throws {
        let decoder = try decoder()
        let logits = try nextLogits(prompt, decoder)
        let likeliest = Int32(logits.firstIndex(of: logits.max() ?? 0) ?? 0)
        let shares = logProbabilities(logits.map { $0 / temperature }).map { exp($0) }
        let share = shares[Int(likeliest)]
        let draws = 1_500
        let hits = (0..<draws).filter { seed in
            Generation(temperature: temperature, seed: UInt64(seed), maximumTokens: 1)
                .continue(prompt, with: decoder).tokens == [likeliest]
        }
        let deviation = (share * (1 - share) / Double(draws)).squareRoot()
        #expect(abs(Double(hits.count) / Double(draws) - share) < 5 * deviation)
    }

    @Test("gives log-probabilities at temperature 1, whatever the temperature drawn at")
    func logProbabilities() throws {
        let decoder = try decoder()
        let continuation = Generation(temperature: 3, seed: 4, maximumTokens: 4).continue(prompt, with: decoder)
        var text = prompt
        for (token, logProbability) in zip(continuation.tokens, continuation.logProbabilities) {
            #expect(abs(logProbability - logProbabilities(try nextLogits(text, decoder))[Int(token)]) < 1e-5)
            text.append(token)
        }
        #expect(continuation.logProbabilities.count == 4)
    }

    @Test("stops where the context is full")
    func contextFull() throws {
        let decoder = try decoder()
        let context = decoder.description.contextLength
        let continuation = Generation(maximumTokens: 100).continue(prompt, with: decoder)
        #expect(continuation.finishReason == .contextFull)
        #expect(continuation.tokens.count == context - prompt.count)
        let full = Generation(maximumTokens: 5).continue([Int32](repeating: 1, count: context), with: decoder)
        #expect(full.finishReason == .contextFull)
        #expect(full.tokens.isEmpty)
        let exact = Generation(maximumTokens: context - prompt.count).continue(prompt, with: decoder)
        #expect(exact.finishReason == .length)
        #expect(exact.tokens == continuation.tokens)
    }

    @Test("stops before the token that ends a text")
    func endOfText() throws {
        let decoder = try decoder()
        let whole = Generation(maximumTokens: 8).continue(prompt, with: decoder).tokens
        let end = try #require(whole.first { $0 != whole[0] })
        let place = try #require(whole.firstIndex(of: end))
        let stopped = Generation(maximumTokens: 8, endOfText: end).continue(prompt, with: decoder)
        #expect(stopped.finishReason == .endOfText)
        #expect(stopped.tokens == Array(whole[..<place]))
        #expect(stopped.logProbabilities.count == place)
        let atOnce = Generation(maximumTokens: 8, endOfText: whole[0]).continue(prompt, with: decoder)
        #expect(atOnce.tokens.isEmpty)
        #expect(atOnce.finishReason == .endOfText)
        #expect(Generation.FinishReason.endOfText.rawValue == "end_of_text")
        #expect(Generation.FinishReason.contextFull.rawValue == "context_full")
    }

    /// What passes over the whole text so far make of a prompt, the likeliest token each time.
    private func continued(_ prompt: [Int32], by count: Int, _ decoder: DecoderModel) -> [Int32] {
        var workspace = DecoderWorkspace()
        var text = prompt
        for _ in 0..<count {
            var batch = TokenBatch()
            batch.append(text)
            let logits = decoder.logits(of: batch, at: [text.count - 1], in: &workspace).elements
            text.append(Int32(logits.firstIndex(of: logits.max() ?? 0) ?? 0))
        }
        return Array(text.dropFirst(prompt.count))
    }

    @Test("adds the tokens that passes over the whole text would add, in every family", arguments: ModelFixture.all)
    func wholePasses(fixture: ModelFixture) throws {
        let decoder = try fixture.decoder()
        let room = decoder.description.contextLength - prompt.count
        let found = Generation(maximumTokens: 1_000).continue(prompt, with: decoder)
        #expect(found.tokens == continued(prompt, by: room, decoder))
        #expect(found.finishReason == .contextFull)
    }

    @Test("reads a prompt that is longer than a micro-batch in parts, and says the same of it")
    func longPrompt() throws {
        var description = try decoder().description
        description.contextLength = 1_300
        let decoder = try decoder().with(description)
        #expect(decoder.microBatchTokens == 1_024)
        let prompt = (0..<1_200).map { Int32($0 * $0 % description.vocabulary) }
        var looks = 0
        let found = Generation(maximumTokens: 3).continue(prompt, with: decoder) {
            looks += 1
            return nil
        }
        #expect(found.tokens == continued(prompt, by: 3, decoder))
        // Before each part of the prompt, and before each token but the first.
        #expect(looks == 4)
    }

    @Test("stops when it is told to, with what it has by then")
    func stopping() throws {
        let decoder = try decoder()
        let whole = Generation(maximumTokens: 9).continue(prompt, with: decoder)
        for count in 0..<9 {
            var looks = 0
            let found = Generation(maximumTokens: 9).continue(prompt, with: decoder) {
                looks += 1
                return looks > count ? .timeLimit : nil
            }
            #expect(found.finishReason == .timeLimit)
            #expect(found.tokens == Array(whole.tokens[..<count]))
            #expect(found.logProbabilities == Array(whole.logProbabilities[..<count]))
        }
        #expect(Generation.FinishReason.timeLimit.rawValue == "time_limit")
    }

    @Test("takes any number of tokens for a limit", arguments: [Int.max, -1, .min])
    func limits(count: Int) throws {
        let found = Generation(maximumTokens: count).continue(prompt, with: try decoder())
        #expect(found.finishReason == (count < 0 ? .length : .contextFull))
    }

    @Test("adds nothing when nothing is asked for")
    func noTokens() throws {
        let continuation = Generation(maximumTokens: 0).continue(prompt, with: try decoder())
        #expect(continuation.tokens.isEmpty)
        #expect(continuation.finishReason == .length)
    }
}
