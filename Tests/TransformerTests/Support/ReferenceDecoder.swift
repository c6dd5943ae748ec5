import Foundation
import LinearAlgebra

@testable import Transformer

/// A decoder's forward pass and loss in Double, one token and one number at a time: what the fast one must agree with, and
/// what finite differences are taken of.
///
/// It reads its weights from ``parameters``, by the names that ``DecoderModel/updateParameters(_:)`` gives them.
struct ReferenceDecoder {
    typealias Vector = [Double]

    /// A parameter, row after row.
    struct Parameter {
        let columns: Int
        var values: Vector

        func row(_ index: Int) -> Vector { Array(values[(index * columns)..<((index + 1) * columns)]) }
    }

    var parameters: [String: Parameter] = [:]
    private let structure: DecoderModel
    private var description: DecoderDescription { structure.description }

    init(_ decoder: DecoderModel) {
        structure = decoder
        var decoder = decoder
        var parameters: [String: Parameter] = [:]
        decoder.updateParameters { name, matrix in
            parameters[name] = Parameter(columns: matrix.columns, values: matrix.elements.map(Double.init))
        }
        self.parameters = parameters
    }

    /// `-Σ log p(t_i | t_<i)` over i ≥ 2 and all sequences, in nats.
    func loss(of sequences: [[Int32]]) -> Double {
        sequences.reduce(0) { sum, tokens in
            zip(logits(of: tokens), tokens.dropFirst()).reduce(sum) { sum, pair in
                let (logits, label) = pair
                let largest = logits.max() ?? 0
                let total = logits.reduce(0) { $0 + exp($1 - largest) }
                return sum + log(total) + largest - logits[Int(label)]
            }
        }
    }

    /// tokens × vocabulary
    func logits(of tokens: [Int32]) -> [Vector] {
        var residual = tokens.enumerated().map { position, token in embedding(of: token, at: position) }
        for block in structure.blocks {
            let mixed = attention(block.attention, residual.map { normalized($0, block.attentionNorm) })
            residual = zip(residual, mixed).map(sum)
            residual = residual.map { sum($0, feedForward(block.feedForward, normalized($0, block.feedForwardNorm))) }
        }
        let head = parameter(structure.untiedHead == nil ? ParameterGradients.tokenEmbedding : ParameterGradients.head)
        return residual.map { stream in
            let final = normalized(stream, structure.finalNorm)
            return (0..<description.vocabulary).map { dot(head.row($0), final) }
        }
    }

    private func embedding(of token: Int32, at position: Int) -> Vector {
        let token = parameter(ParameterGradients.tokenEmbedding).row(Int(token))
        guard description.position == .learned else { return token }
        return sum(token, parameter(ParameterGradients.positionEmbedding).row(position))
    }

    private func normalized(_ x: Vector, _ norm: Normalization) -> Vector {
        let gain = parameter(norm.name + ".gain").values
        let epsilon = Double(description.normalizationEpsilon)
        switch description.normalization {
        case .layer:
            let bias = parameter(norm.name + ".bias").values
            let mean = x.reduce(0, +) / Double(x.count)
            let centred = x.map { $0 - mean }
            let deviation = (dot(centred, centred) / Double(x.count) + epsilon).squareRoot()
            return x.indices.map { centred[$0] / deviation * gain[$0] + bias[$0] }
        case .rootMeanSquare:
            let size = (dot(x, x) / Double(x.count) + epsilon).squareRoot()
            return x.indices.map { x[$0] / size * gain[$0] }
        }
    }

    /// Causal attention over one sequence: each head's weights are softmax(q·k / √width) over the tokens up to its own.
    private func attention(_ attention: Attention, _ x: [Vector]) -> [Vector] {
        let width = description.headWidth
        let projected = x.map { x in attention.inputs.flatMap { linear($0, x) } }
        func head(_ index: Int, of token: Int) -> Vector {
            Array(projected[token][(index * width)..<((index + 1) * width)])
        }
        let keys = description.heads
        let values = keys + description.keyValueHeads
        return x.indices.map { token in
            let heads = (0..<description.heads).flatMap { index -> Vector in
                let shared = index / (description.heads / description.keyValueHeads)
                let query = rotated(head(index, of: token), to: token)
                let scores = (0...token).map { past in
                    dot(query, rotated(head(keys + shared, of: past), to: past)) / Double(width).squareRoot()
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                return (0...token).reduce(Vector(repeating: 0, count: width)) { mixed, past in
                    sum(mixed, head(values + shared, of: past).map { $0 * weights[past] / total })
                }
            }
            return linear(attention.output, heads)
        }
    }

    /// Turns each pair (i, i + half) by position · base^(-2i/width).
    private func rotated(_ head: Vector, to position: Int) -> Vector {
        guard case .rotary(let base) = description.position else { return head }
        let half = head.count / 2
        var turned = head
        for i in 0..<half {
            let angle = Double(position) * pow(base, -2 * Double(i) / Double(head.count))
            turned[i] = head[i] * cos(angle) - head[i + half] * sin(angle)
            turned[i + half] = head[i + half] * cos(angle) + head[i] * sin(angle)
        }
        return turned
    }

    private func feedForward(_ layers: FeedForward, _ x: Vector) -> Vector {
        let up = linear(layers.up, x)
        guard let gate = layers.gate else {
            return linear(
                layers.down, up.map { 0.5 * $0 * (1 + tanh((2 / .pi).squareRoot() * ($0 + 0.044715 * $0 * $0 * $0))) })
        }
        return linear(layers.down, zip(linear(gate, x), up).map { gate, up in gate / (1 + exp(-gate)) * up })
    }

    /// `W x`, the bias being the last column of `W`.
    private func linear(_ layer: LinearLayer, _ x: Vector) -> Vector {
        let weight = parameter(layer.name)
        let x = layer.hasBias ? x + [1] : x
        return (0..<(weight.values.count / weight.columns)).map { dot(weight.row($0), x) }
    }

    private func parameter(_ name: String) -> Parameter { parameters[name] ?? Parameter(columns: 0, values: []) }

    private func sum(_ left: Vector, _ right: Vector) -> Vector { zip(left, right).map { $0 + $1 } }

    private func dot(_ left: Vector, _ right: Vector) -> Double { zip(left, right).reduce(0) { $0 + $1.0 * $1.1 } }
}
