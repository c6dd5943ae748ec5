import Attribution
import Foundation
import Testing

@Suite("tributary fit --track")
struct TrackTests {
    private static let question = [
        "query", "--prompt", "The city Arden is known for", "--completion", " red roofs", "--format", "json",
        "--top-k", "3", "--layers", "--direction", "both",
    ]
    private static let attention = ["q_proj", "k_proj", "v_proj", "o_proj"].map { "model.layers.0.self_attn.\($0)" }
    private static let mlp = ["gate_proj", "up_proj", "down_proj"].map { "model.layers.0.mlp.\($0)" }

    struct Selection: Sendable, CustomTestStringConvertible {
        let options: [String]
        let layers: [String]
        var testDescription: String { options.last ?? "default" }
    }

    static let selections = [
        Selection(options: [], layers: mlp), Selection(options: ["--track", "mlp"], layers: mlp),
        Selection(options: ["--track", "attention"], layers: attention),
        Selection(options: ["--track", "all"], layers: attention + mlp),
    ]

    @Test("decides whose influence a query adds up, with nothing else to be said", arguments: selections)
    func layers(selection: Selection) async throws {
        let workspace = try await TestWorkspace(.imported)
        let fitted = try await workspace.runToSuccess(["fit", "--workers", "1"] + selection.options)
        #expect(fitted.output.contains("fitted: \(selection.layers.count) layers"))
        let outcome = try await workspace.runToSuccess(Self.question)
        let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
        #expect(!result.sequences.isEmpty)
        for sequence in result.sequences {
            let layers = try #require(sequence.layers)
            #expect(Set(layers.map(\.name)) == Set(selection.layers))
            let sum = layers.reduce(0) { $0 + $1.score }
            let largest = layers.map { abs($0.score) }.max() ?? 0
            #expect(abs(sum - sequence.score) < 1e-3 * largest)
        }
    }

    @Test("replaces factors of other layers, and queries follow")
    func refit() async throws {
        let workspace = try await TestWorkspace(.fitted)
        func layers() async throws -> Set<String> {
            let outcome = try await workspace.runToSuccess(Self.question)
            let result = try JSONDecoder().decode(InfluenceResult.self, from: Data(outcome.output.utf8))
            return Set(result.sequences.flatMap { $0.layers ?? [] }.map(\.name))
        }
        #expect(try await layers() == Set(Self.mlp))
        try await workspace.runToSuccess(["fit", "--workers", "1", "--track", "attention"])
        #expect(try await layers() == Set(Self.attention))
    }

    @Test("knows mlp, attention and all, and nothing else")
    func unknown() async throws {
        let workspace = try await TestWorkspace(.imported)
        let outcome = try await workspace.run(["fit", "--track", "embedding"])
        #expect(outcome.status == 2)
        #expect(outcome.error.contains("mlp") && outcome.error.contains("attention") && outcome.error.contains("all"))
    }
}
