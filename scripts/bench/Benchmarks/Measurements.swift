import Attribution
import Curvature
import Foundation
import LinearAlgebra
import Transformer

/// What one command measured: seconds by name, and what they are to be divided by.
struct Measurement: Encodable {
    var seconds: [String: Double]
    var tokens: Int?
    var operations: Double?
    /// Moved through memory, by the names of the seconds.
    var bytes: [String: Double]?
    /// Matrix blocks that were allocated after the first micro-batches.
    var allocations: Int?
    var residentBytes: Int?
    var peakBytes: Int?
}

extension Setting {
    /// Four a parameter and token: what a pass, forward and backward to the inputs, cannot do without.
    private var operationsPerToken: Double {
        let positions = decoder.positionEmbedding?.count ?? 0
        let lookedUp = positions + (decoder.untiedHead == nil ? 0 : decoder.tokenEmbedding.count)
        return 4 * Double(decoder.parameterCount - lookedUp)
    }

    /// The products of a pass alone, of the very shapes, on operands that are there already: what the machine can do at most.
    func products(workers: Int) throws -> Measurement {
        let rows = input.batchTokens ?? decoder.microBatchTokens
        let head = decoder.untiedHead ?? decoder.tokenEmbedding
        let shapes = decoder.blocks.prefix(1).flatMap { block in
            let feedForward = [block.feedForward.gate, block.feedForward.up, block.feedForward.down].compactMap {
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
        let sweep = CandidateSweep(
            decoder: isInHalfPrecision ? decoder.inHalfPrecision() : decoder, tracked: tracked,
            workers: Workers(count: workers),
            batchTokens: input.batchTokens
        ) { ids in ids.map { sequences[Int($0)] } }
        let time = try seconds { _ = try sweep.scores(of: sequences.indices.map(Int64.init), queries: queries) }
        let tokens = sequences.reduce(0) { $0 + $1.count }
        return Measurement(seconds: ["sweep": time], tokens: tokens, operations: Double(tokens) * operationsPerToken)
    }

    /// Finds the gradients of all queries, and preconditions and compresses them.
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

    /// One query against a million of the gradient index's records, made by repeating some, and a copy of memory beside it.
    func scan(workers: Int) throws -> Measurement {
        let layout = SketchLayout()
        let signs = SignSketch(segments: tracked.layers.count, entries: layout.signs)
        var random = SystemRandomNumberGenerator()
        func vector() -> [Float] {
            (0..<(signs.segments * signs.entries)).map { _ in Float.random(in: -1...1, using: &random) }
        }
        let block = 256
        let made = (0..<block).flatMap { _ in signs.record(of: vector().span) }
        let records = Array(repeatElement(made, count: Self.scannedBlocks).joined())
        let query = signs.query(of: vector().span)
        let team = Workers(count: workers)
        func scan() throws {
            _ = try team.map(0..<Self.scannedBlocks) { _, index in
                var scores: [Float] = []
                let bytes = records.span.bytes.extracting((index * made.count)..<((index + 1) * made.count))
                signs.scores(of: bytes, stride: signs.recordBytes, with: query, into: &scores)
                return scores.max()
            }
        }
        let scanned = try seconds(scan)
        let copied = try copy(team)
        return Measurement(
            seconds: ["scan": scanned, "copy": copied.seconds],
            bytes: ["scan": Double(records.count), "copy": copied.bytes])
    }

    /// A plain copy of memory by all workers at once; what is read and what is written counts.
    private func copy(_ team: Workers) throws -> (seconds: Double, bytes: Double) {
        let source = Matrix(rows: 1 << 16, columns: 1 << 10)
        let copies = 4
        let times = try team.run { _ in
            var target = Matrix(rows: source.rows, columns: source.columns)
            // The first writes are to pages that are not there yet.
            target.copyValues(of: source)
            return seconds { for _ in 0..<copies { target.copyValues(of: source) } }
        }
        let moved = 2 * source.count * MemoryLayout<Float>.size * copies * times.count
        return (times.max() ?? 0, Double(moved))
    }

    /// A million sequences.
    private static let scannedBlocks = 1_000_000 / 256

    /// Memory now, and at its highest.
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
                    factors: factors.layers[layer])
            }
        }
        return gradients.indices.map { query in PreconditionedQuery(layers: layers.map { $0[query] }) }
    }

    private func seconds(_ work: () throws -> Void) rethrows -> Double {
        try ContinuousClock().measure { try work() } / .seconds(1)
    }

    /// A line of /proc/self/status, in bytes.
    private static func status(_ name: String) -> Int? {
        let text = try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = text?.split(separator: "\n").first { $0.hasPrefix(name + ":") }
        return line?.split(whereSeparator: { $0 == " " || $0 == "\t" }).dropFirst().first.flatMap { Int($0) }.map {
            $0 * 1_024
        }
    }
}
