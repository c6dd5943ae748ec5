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
        for (index, block) in structure.blocks.enumerated() {
            let before = residual
            let mixed = attention(block.attention, layer: index, residual.map { normalized($0, block.attentionNorm) })
            residual = zip(residual, mixed.map { normalized($0, block.attentionOutputNorm) }).map(sum)
            let read = block.isParallel ? before : residual
            let norm = block.isParallel ? block.feedForwardNorm ?? block.attentionNorm : block.feedForwardNorm
            let activated = read.map { outputs(of: block, normalized($0, norm)) }
            residual = zip(residual, activated.map { normalized($0, block.feedForwardOutputNorm) }).map(sum)
        }
        let head = parameter(structure.untiedHead == nil ? ParameterName.tokenEmbedding : ParameterName.head)
        let bias = structure.headBias == nil ? nil : parameter(ParameterName.headBias).values
        return residual.map { stream in
            let final = normalized(stream, structure.finalNorm)
            return (0..<description.vocabulary).map {
                capped(dot(head.row($0), final) + (bias?[$0] ?? 0), description.logitCap)
            }
        }
    }

    private func embedding(of token: Int32, at position: Int) -> Vector {
        let scale = Double(description.embeddingScale)
        let token = parameter(ParameterName.tokenEmbedding).row(Int(token)).map { $0 * scale }
        guard description.position == .learned else { return token }
        return sum(token, parameter(ParameterName.positionEmbedding).row(position))
    }

    private func capped(_ x: Double, _ cap: Float?) -> Double {
        guard let cap else { return x }
        return Double(cap) * tanh(x / Double(cap))
    }

    private func normalized(_ x: Vector, _ norm: Normalization?) -> Vector {
        guard let norm else { return x }
        let gain = norm.kind.hasGain ? parameter(norm.name + ".gain").values : x.map { _ in 1 }
        let epsilon = Double(description.normalizationEpsilon)
        switch description.normalization {
        case .layer, .layerWithoutParameters:
            let bias = norm.kind.hasBias ? parameter(norm.name + ".bias").values : x.map { _ in 0 }
            let mean = x.reduce(0, +) / Double(x.count)
            let centred = x.map { $0 - mean }
            let deviation = (dot(centred, centred) / Double(x.count) + epsilon).squareRoot()
            return x.indices.map { centred[$0] / deviation * gain[$0] + bias[$0] }
        case .rootMeanSquare:
            let size = (dot(x, x) / Double(x.count) + epsilon).squareRoot()
            return x.indices.map { x[$0] / size * gain[$0] }
        }
    }

    /// What attention's input layers give for one token: the vectors of all heads, side by side, of each kind.
    private struct Projection {
        var queries: Vector = []
        var keys: Vector = []
        var values: Vector = []
    }

    private func project(_ attention: Attention, _ x: Vector) -> Projection {
        let all = attention.inputs.flatMap { linear($0, x) }
            .map { value in
                description.attention.projectionLimit.map { min(max(value, -Double($0)), Double($0)) } ?? value
            }
        let width = description.headWidth
        var projection = Projection()
        if description.attentionInput == .fusedByHead {
            for start in stride(from: 0, to: all.count, by: 3 * width) {
                projection.queries += all[start..<(start + width)]
                projection.keys += all[(start + width)..<(start + 2 * width)]
                projection.values += all[(start + 2 * width)..<(start + 3 * width)]
            }
        } else {
            let keys = description.heads * width
            let values = keys + description.keyValueHeads * width
            projection = Projection(
                queries: Array(all[..<keys]), keys: Array(all[keys..<values]), values: Array(all[values...]))
        }
        projection.queries = normalizedHeads(projection.queries, attention.queryNorm?.norm)
        projection.keys = normalizedHeads(projection.keys, attention.keyNorm?.norm)
        return projection
    }

    private func normalizedHeads(_ x: Vector, _ norm: Normalization?) -> Vector {
        guard description.attention.queryKeyNorm == .perHead else { return normalized(x, norm) }
        return stride(from: 0, to: x.count, by: description.headWidth).flatMap {
            normalized(Array(x[$0..<($0 + description.headWidth)]), norm)
        }
    }

    /// Causal attention over one sequence: each head's weights are the softmax of the scores q·k over the tokens up to its own,
    /// or the last of them where there is a window.
    private func attention(_ attention: Attention, layer: Int, _ x: [Vector]) -> [Vector] {
        let width = description.headWidth
        let projections = x.map { project(attention, $0) }
        let scale = description.attention.scale.map(Double.init) ?? 1 / Double(width).squareRoot()
        func head(_ index: Int, of vectors: Vector) -> Vector {
            Array(vectors[(index * width)..<((index + 1) * width)])
        }
        let keys = projections.enumerated().map { token, projection in
            (0..<description.keyValueHeads).map { rotated(head($0, of: projection.keys), to: token, layer: layer) }
        }
        return x.indices.map { token in
            let first = description.window(ofLayer: layer).map { max(0, token + 1 - $0) } ?? 0
            let heads = (0..<description.heads).flatMap { index -> Vector in
                let shared = index / (description.heads / description.keyValueHeads)
                let query = rotated(head(index, of: projections[token].queries), to: token, layer: layer)
                let scores = (first...token).map { past in
                    capped(dot(query, keys[past][shared]) * scale, description.attention.scoreCap)
                }
                let largest = scores.max() ?? 0
                let weights = scores.map { exp($0 - largest) }
                let total = weights.reduce(0, +)
                return (first...token).reduce(Vector(repeating: 0, count: width)) { mixed, past in
                    sum(mixed, head(shared, of: projections[past].values).map { $0 * weights[past - first] / total })
                }
            }
            return linear(attention.output, heads)
        }
    }

    /// Turns each pair (i, i + half) of the leading entries.
    private func rotated(_ head: Vector, to position: Int, layer: Int) -> Vector {
        guard case .rotary(let everywhere, let windowed) = description.position else { return head }
        let embedding = description.window(ofLayer: layer) == nil ? everywhere : windowed ?? everywhere
        let half = embedding.width / 2
        var turned = head
        for (i, frequency) in embedding.frequencies.enumerated() {
            let angle = Double(position) * frequency
            turned[i] = head[i] * cos(angle) - head[i + half] * sin(angle)
            turned[i + half] = head[i + half] * cos(angle) + head[i] * sin(angle)
        }
        return turned
    }

    /// The outputs of a block's MLP, or of its mixture of experts.
    private func outputs(of block: DecoderBlock, _ x: Vector) -> Vector {
        if let layers = block.feedForward { return feedForward(layers, x) }
        guard let mixture = block.experts else { return [] }
        let logits = linear(mixture.router, x)
        let chosen = logits.indices.sorted { logits[$0] > logits[$1] }.prefix(mixture.perToken)
        let sum = (mixture.renormalizes ? Array(chosen) : Array(logits.indices)).reduce(0) { $0 + exp(logits[$1]) }
        var result = Vector(repeating: 0, count: x.count)
        for expert in chosen {
            let factor = exp(logits[expert]) / sum
            result = self.sum(result, feedForward(mixture.experts[expert], x).map { factor * $0 })
        }
        guard let shared = mixture.shared, let gate = mixture.sharedGate else { return result }
        let factor = 1 / (1 + exp(-linear(gate, x)[0]))
        return self.sum(result, feedForward(shared, x).map { factor * $0 })
    }

    private func feedForward(_ layers: FeedForward, _ x: Vector) -> Vector {
        let up = linear(layers.up, x)
        let gate = layers.gate.map { linear($0, x) } ?? []
        switch description.feedForward {
        case .geluTanh: return linear(layers.down, up.map(geluTanh))
        case .geluErf: return linear(layers.down, up.map { 0.5 * $0 * erfc(-$0 / 2.0.squareRoot()) })
        case .gatedSilu: return linear(layers.down, zip(gate, up).map { $0 / (1 + exp(-$0)) * $1 })
        case .gatedGeluTanh: return linear(layers.down, zip(gate, up).map { geluTanh($0) * $1 })
        }
    }

    private func geluTanh(_ x: Double) -> Double {
        0.5 * x * (1 + tanh((2 / .pi).squareRoot() * (x + 0.044715 * x * x * x)))
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
