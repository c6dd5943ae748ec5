import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// The result of one command: seconds by name, and the amounts of work that rates are computed from.
struct Measurement: Encodable {
    var seconds: [String: Double]
    var tokens: Int?
    var operations: Double?
    /// The operations of products per token, by their purpose.
    var products: [String: Double]?
    /// Bytes moved through memory, under the same names as the seconds.
    var bytes: [String: Double]?
    /// How many blocks of memory were allocated for matrices.
    var allocations: Int?
    var residentBytes: Int?
    var peakBytes: Int?
}

extension Setting {
    /// The operations that a pass, forward and backward to the inputs, cannot do without: four per parameter and token.
    private var operationsPerToken: Double {
        let positions = decoder.positionEmbedding?.count ?? 0
        let lookedUp = positions + (decoder.untiedHead == nil ? 0 : decoder.tokenEmbedding.count)
        return 4 * Double(decoder.parameterCount - lookedUp)
    }

    /// Measures only the products of a pass, in the same shapes, on operands that are already in memory: the most that the machine can do.
    func products(workers: Int) throws -> Measurement {
        let rows = input.batchTokens ?? decoder.microBatchTokens
        let head = decoder.untiedHead ?? decoder.tokenEmbedding
        let shapes = decoder.blocks.prefix(1).flatMap { block in
            let feedForward = [block.feedForward?.gate, block.feedForward?.up, block.feedForward?.down].compactMap {
                $0?.weight
            }
            return (block.attention.inputs.map(\.weight) + [block.attention.output.weight] + feedForward).map {
                ($0, rows: rows, count: decoder.blocks.count)
            }
        }
        let headRows = 128
        let all = shapes + [(head, rows: headRows, count: max(1, rows / headRows))]
        let operations = all.reduce(0.0) { $0 + 4 * Double($1.0.count * $1.rows * $1.count) }
        func run() throws {
            _ = try Workers(count: workers).run { _ in
                for (weight, rows, count) in all {
                    let inputs = Matrix(rows: rows, columns: weight.columns)
                    var outputs = Matrix(rows: rows, columns: weight.rows)
                    var gradients = Matrix(rows: rows, columns: weight.columns)
                    for _ in 0..<count {
                        outputs.formProduct(inputs.slice, weight.transposed)
                        gradients.formProduct(outputs.slice, weight.slice)
                    }
                }
            }
        }
        return Measurement(seconds: ["products": try seconds(run)], operations: operations * Double(workers))
    }

    /// A sweep over all sequences.
    ///
    /// - Parameter isInHalfPrecision: In bfloat16.
    func sweep(_ queries: [PreconditionedQuery], workers: Int, isInHalfPrecision: Bool = false) throws -> Measurement {
        let sequences = input.sequences
        let sweep = candidateSweep(isInHalfPrecision ? decoder.inHalfPrecision() : decoder, workers: workers)
        let time = try seconds { _ = try sweep.scores(of: sequences.indices.map(Int64.init), queries: queries) }
        let tokens = sequences.reduce(0) { $0 + $1.count }
        return Measurement(
            seconds: ["sweep": time], tokens: tokens, operations: Double(tokens) * operationsPerToken,
            products: [
                "layers and head": operationsPerToken, "attention": attentionOperationsPerToken,
                "scoring": scoringOperationsPerToken,
            ])
    }

    private func candidateSweep(_ decoder: DecoderModel, workers: Int) -> CandidateSweep {
        let sequences = input.trainingSequences
        return CandidateSweep(
            decoder: decoder, tracked: tracked, workers: Workers(count: workers), batchTokens: input.batchTokens
        ) { ids in ids.map { sequences[Int($0)] } }
    }

    /// How many more blocks of memory a sweep over all sequences twice allocates than a sweep over them once: none, if workspaces keep
    /// their size.
    func allocations(_ queries: [PreconditionedQuery], workers: Int) throws -> Measurement {
        let once = input.sequences.indices.map(Int64.init)
        let sweep = candidateSweep(decoder, workers: workers)
        func count(_ ids: [Int64]) throws -> Int {
            let before = Matrix.allocationCount
            _ = try sweep.scores(of: ids, queries: queries)
            return Matrix.allocationCount - before
        }
        return Measurement(seconds: [:], allocations: try count(once + once) - count(once))
    }

    /// Seven products of a head's width per pair of tokens: two forward, and five backward, because the scores are computed again.
    private var attentionOperationsPerToken: Double {
        let description = decoder.description
        let length = input.sequences.reduce(0) { max($0, $1.count) }
        return Double(7 * 2 * length * description.layers * description.heads * description.headWidth)
    }

    /// The products of every tracked layer's inputs and output gradients with all queries' thin factors; or those that form each
    /// sequence's gradient, and the inner products of the gradient with the queries. The smaller number counts, as the sweep chooses it.
    private var scoringOperationsPerToken: Double {
        let width = input.queries.count * input.rank
        let length = Double(input.sequences.reduce(0) { max($0, $1.count) })
        let (byTokens, byGradients) = tracked.layers.reduce((0.0, 0.0)) { sums, layer in
            let parameters = Double(layer.inputs * layer.outputs)
            return (
                sums.0 + Double(2 * width * (layer.inputs + layer.outputs)),
                sums.1 + 2 * parameters * (1 + Double(input.queries.count) / length)
            )
        }
        return min(byTokens, byGradients)
    }

    /// Computes the gradients of all queries, and preconditions and compresses them.
    func queries(workers: Int) throws -> Measurement {
        let workers = Workers(count: workers)
        var gradients: [QueryGradient] = []
        let run = try seconds { gradients = try self.gradients(workers: workers) }
        let rest = try seconds { _ = try preconditioned(gradients, workers: workers) }
        return Measurement(seconds: ["gradients": run, "preconditioning": rest])
    }

    /// A fit on all sequences.
    func fit(workers: Int) throws -> Measurement {
        let tokens = input.sequences.reduce(0) { $0 + $1.count }
        return Measurement(
            seconds: try Self.fit(decoder, input, workers: Workers(count: workers)).seconds, tokens: tokens)
    }

    /// The present and the peak resident memory.
    func memory() -> Measurement {
        Measurement(seconds: [:], residentBytes: Self.status("VmRSS"), peakBytes: Self.status("VmHWM"))
    }

    func gradients(workers: Workers) throws -> [QueryGradient] {
        let slots = (0..<workers.count).map { _ in WorkerSlot(DecoderWorkspace()) }
        return try workers.map(input.queries.indices) { worker, index in
            let query = input.queries[index]
            return slots[worker].withState { workspace in
                QueryGradient(
                    tokens: query.tokens, completionStart: query.completionStart, decoder: decoder, tracked: tracked,
                    workspace: &workspace)
            }
        }
    }

    func preconditioned(_ gradients: [QueryGradient], workers: Workers) throws -> [PreconditionedQuery] {
        let slots = (0..<workers.count).map { _ in WorkerSlot(LayerPreconditioning()) }
        let layers = try workers.map(factors.layers.indices) { worker, layer in
            try slots[worker].withState { preconditioning in
                try preconditioning.preconditioned(
                    gradients.map { .init($0.layers[layer], damping: nil, rank: .limited(input.rank)) },
                    factors: factors.layers[layer]
                ).map { try $0.get() }
            }
        }
        return gradients.indices.map { query in PreconditionedQuery(layers: layers.map { $0[query] }) }
    }

    /// The value of a line of /proc/self/status, in bytes.
    private static func status(_ name: String) -> Int? {
        let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map {
            $0 * 1_024
        }
    }
}

func seconds(_ work: () throws -> Void) rethrows -> Double {
    try ContinuousClock().measure { try work() } / .seconds(1)
}
