import ArgumentParser
import Foundation
import LinearAlgebra
import Transformer

/// `tributary logits`: what a model gives for tokens, for comparison with other implementations.
struct Logits: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a model's logits as JSON.", shouldDisplay: false)

    @Option(help: "A checkpoint folder or a GGUF file.", completion: .file())
    var model: String

    @Option(help: "Token ids, separated by commas; can be given several times.")
    var tokens: [String] = []

    @Option(help: "Text to tokenise; can be given several times.")
    var text: [String] = []

    @Flag(help: "Print the loss of each token but the first, in nats, instead of all logits.")
    var losses = false

    func run() throws {
        let checkpoint = try Checkpoint(folder: model)
        var workspace = DecoderWorkspace()
        let given = try tokens.map { list in
            try list.split(separator: ",").map { word in
                guard let token = Int32(word.trimmingCharacters(in: .whitespaces)), token >= 0,
                    Int(token) < checkpoint.decoder.description.vocabulary
                else { throw ValidationError("--tokens: \"\(word)\" is not a token of this model") }
                return token
            }
        }
        for sequence in given + text.map({ checkpoint.tokenizer.encode($0) }) {
            guard sequence.count <= checkpoint.decoder.description.contextLength, !sequence.isEmpty else {
                throw ValidationError(
                    "a sequence has \(sequence.count) tokens; the model reads 1 to "
                        + "\(checkpoint.decoder.description.contextLength)")
            }
            var batch = TokenBatch()
            batch.append(sequence)
            if losses {
                let found = checkpoint.decoder.losses(of: batch, in: &workspace).losses
                let line = Losses(tokens: sequence, losses: batch.lossPositions.map { found[$0] })
                print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
                continue
            }
            let logits = checkpoint.decoder.logits(of: batch, at: Array(sequence.indices), in: &workspace)
            let line = Line(
                tokens: sequence,
                logits: sequence.indices.map { row in (0..<logits.columns).map { logits[row, $0] } })
            print(String(decoding: try JSONEncoder().encode(line), as: UTF8.self))
        }
    }

    private struct Losses: Encodable {
        let tokens: [Int32]
        let losses: [Float]
    }

    private struct Line: Encodable {
        let tokens: [Int32]
        let logits: [[Float]]
    }
}
