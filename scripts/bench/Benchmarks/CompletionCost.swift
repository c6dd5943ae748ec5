import LinearAlgebra
import Transformer

/// Measures a completion, compared with forward passes over each of its tokens alone.
struct CompletionCost {
    private static let tokens = 256
    private static let prompt: [Int32] = [3, 14, 15, 92, 65, 35, 89, 79]

    let decoder: DecoderModel

    /// Times one completion, and then one pass over each of its tokens alone.
    func measure() -> Measurement {
        var workspace = DecoderWorkspace()
        var text: [Int32] = []
        let completion = seconds {
            text = Generation(maximumTokens: Self.tokens).continue(Self.prompt, with: decoder).tokens
        }
        let passes = seconds {
            for token in text {
                var batch = TokenBatch()
                batch.append([token])
                _ = decoder.logits(of: batch, at: [0], in: &workspace)
            }
        }
        let weights = decoder.parameterCount * MemoryLayout<Float>.size
        return Measurement(
            seconds: ["completion": completion, "passes": passes], tokens: text.count,
            bytes: ["passes": Double(weights * text.count)])
    }
}
