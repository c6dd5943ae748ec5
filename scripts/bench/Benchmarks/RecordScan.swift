import Attribution
import LinearAlgebra
import Transformer

/// Measures one query against a million records of the gradient index, made by repeating a few, and a plain copy of memory.
struct RecordScan {
    private static let block = 256
    private static let blocks = 1_000_000 / block

    private let signs: SignSketch
    private let records: [UInt8]
    private let query: SignSketch.Query

    init(_ tracked: TrackedLayers) {
        let layout = SketchLayout()
        let signs = SignSketch(segments: tracked.layers.count, entries: layout.signs)
        var random = SplitMix64(seed: 1)
        func vector() -> [Float] {
            (0..<(signs.segments * signs.entries)).map { _ in Float.random(in: -1...1, using: &random) }
        }
        var records: [UInt8] = []
        records.reserveCapacity(signs.recordBytes * Self.block * Self.blocks)
        let made = (0..<Self.block).flatMap { _ in signs.record(of: vector().span) }
        for _ in 0..<Self.blocks { records += made }
        self.records = records
        query = signs.query(of: vector().span)
        self.signs = signs
    }

    func measure(workers: Int) throws -> Measurement {
        let team = Workers(count: workers)
        let size = Self.block * signs.recordBytes
        let scanned = try seconds {
            _ = try team.map(0..<Self.blocks) { _, index in
                var scores: [Float] = []
                let bytes = records.span.bytes.extracting((index * size)..<((index + 1) * size))
                signs.scores(of: bytes, stride: signs.recordBytes, with: query, into: &scores)
                return scores.max()
            }
        }
        let copied = try copy(team)
        return Measurement(
            seconds: ["scan": scanned, "copy": copied.seconds],
            bytes: ["scan": Double(records.count), "copy": copied.bytes])
    }

    /// A plain copy of memory by all workers at once; reads and writes both count.
    private func copy(_ team: Workers) throws -> (seconds: Double, bytes: Double) {
        let source = Matrix(rows: 1 << 16, columns: 1 << 10)
        let copies = 4
        let times = try team.run { _ in
            var target = Matrix(rows: source.rows, columns: source.columns)
            // The first write to each page makes the system allocate it, so it is not timed.
            target.copyValues(of: source)
            return seconds { for _ in 0..<copies { target.copyValues(of: source) } }
        }
        let moved = 2 * source.count * MemoryLayout<Float>.size * copies * times.count
        return (times.max() ?? 0, Double(moved))
    }
}
