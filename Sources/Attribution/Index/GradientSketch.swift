import Curvature
import LinearAlgebra
import Transformer

/// How gradients are compressed for an index.
public struct SketchLayout: Sendable, Equatable {
    /// The largest number of leading eigenvectors, on each side of a layer's factors, into which the layer's gradient is rotated.
    public var leading: Int
    /// The number of signs that are kept per layer.
    public var signs: Int
    /// The seed of the rotation's random choices.
    public var seed: UInt64

    public static let leadingRange = 1...256
    public static let signRange = 64...65_536

    /// Whether the numbers are within their ranges, and the signs fill whole words.
    public static func isPossible(leading: Int, signs: Int) -> Bool {
        leadingRange ~= leading && signRange ~= signs && signs.isMultiple(of: 64)
    }

    /// - Precondition: ``isPossible(leading:signs:)``.
    public init(leading: Int = 96, signs: Int = 1_728, seed: UInt64 = 0) {
        precondition(Self.isPossible(leading: leading, signs: signs), "\(signs) signs of \(leading) leading directions")
        self.leading = leading
        self.signs = signs
        self.seed = seed
    }
}

/// Compresses whole gradients, layer by layer, to the form that an index of one layout keeps.
struct GradientSketch: Sendable {
    let layout: SketchLayout
    let tracked: TrackedLayers
    let layers: [LayerSketch]
    let signs: SignSketch

    init(factors: EKFACFactors, layout: SketchLayout) {
        self.layout = layout
        tracked = factors.tracked
        layers = factors.layers.enumerated().map { LayerSketch($1, layer: $0, layout: layout) }
        signs = SignSketch(segments: max(layers.count, 1), entries: layout.signs)
    }

    /// A query, ready to be compared with sequences.
    ///
    /// The estimates of a query with its own damping are in a unit of their own. They can only be compared with each other.
    func query(_ gradient: QueryGradient, damping: Double?) -> SignSketch.Query {
        let largest = damping.map { damping in layers.reduce(0) { max($0, $1.largestGain(ofDamping: damping)) } } ?? 1
        let unit = largest > 0 ? largest : 1
        var entries = Matrix(rows: 1, columns: signs.segments * layout.signs)
        entries.withMutableSpan { span in
            for (index, layer) in layers.enumerated() {
                layer.write(
                    gradient.layers[index], damping: damping, unit: unit, into: &span, from: index * layout.signs)
            }
        }
        return entries.withSpan { signs.query(of: $0) }
    }
}

/// Sketches the gradient of each sequence of a micro-batch.
///
/// Tokens are rotated for the whole micro-batch at once, and inputs once for all layers that read them.
///
/// - Complexity: Beside the passes through the model, `T leading (in + out + leading)` multiply-adds per layer for T tokens, and a
///   transform of leading² coordinates per layer and sequence.
struct SketchTap: GradientTap, Sendable {
    /// One record per sequence of the last micro-batch, in its order.
    private(set) var records: [[UInt8]] = []

    var tracked: TrackedLayers { sketch.tracked }

    private let sketch: GradientSketch
    /// sequences × (layers · signs)
    private var entries = Matrix()
    private var isStarted = false
    private var inputs = Matrix()
    private var inputsOwner: Int?
    private var gradients = Matrix()
    private var block = Matrix()
    private var scratch = Matrix()

    init(_ sketch: GradientSketch) {
        self.sketch = sketch
    }

    mutating func record(_ pass: LayerPass) {
        let width = sketch.layers.count * sketch.layout.signs
        if !isStarted {
            // Layers of experts to which no token goes are not recorded.
            entries.resize(rows: pass.batch.sequences.count, columns: width, filledWith: 0)
            isStarted = true
        }
        let layer = sketch.layers[pass.layer.index]
        if inputsOwner != pass.layer.inputOwner {
            inputs.formProduct(pass.inputs, layer.activationVectors.slice)  // tokens × leading
            inputsOwner = pass.layer.inputOwner
        }
        gradients.formProduct(pass.outputGradients, layer.gradientVectors.slice)
        for (index, rows) in pass.sequences.enumerated() where !rows.isEmpty {
            block.formProduct(gradients[rows: rows].transposed, inputs[rows: rows])
            let start = index * width + pass.layer.index * sketch.layout.signs
            entries.withMutableSpan { layer.write(block, &scratch, into: &$0, from: start) }
        }
    }

    mutating func finish(_ batch: TokenBatch) {
        let width = sketch.layers.count * sketch.layout.signs
        records = batch.sequences.indices.map { index in
            entries.withSpan { sketch.signs.record(of: $0.extracting((index * width)..<((index + 1) * width))) }
        }
        isStarted = false
        inputsOwner = nil
    }
}

/// Rotates one layer's gradients to entries whose signs preserve influence.
///
/// The coordinates of a gradient `G = Dᵀ A` in the leading eigenvectors of the layer's factors are `C = (D Qs)ᵀ (A Qa)`, a leading ×
/// leading block. Influence is `sum C_query C_sequence / (Λ + λ)` over all coordinates, which is the inner product of the whitened
/// coordinates `C / sqrt(Λ + λ)` of both sides. Each whitened coordinate then gets a random sign, and a Walsh-Hadamard transform, which is
/// a rotation, makes all coordinates of similar size. Some of them are kept (Ailon and Chazelle 2009).
struct LayerSketch: Sendable {
    /// in × leading
    let activationVectors: Matrix
    /// out × leading
    let gradientVectors: Matrix
    /// `Λ` of the block, out × in, row after row.
    private let eigenvalues: [Float]
    private let damping: Float
    private let hasCurvature: Bool
    /// The factor of each of the block's coordinates for a sequence: `± 1 / sqrt(Λ + λ)`; zero if the layer has no curvature.
    private let weights: [Float]
    /// The rotated coordinates that are kept, in this order.
    private let kept: [Int32]
    /// The number of coordinates of the rotation, a power of two. Those beyond the block's are zero.
    private let rotated: Int

    init(_ factors: LayerFactors, layer: Int, layout: SketchLayout) {
        let inputs = factors.activationValues.largest(layout.leading)
        let outputs = factors.gradientValues.largest(layout.leading)
        activationVectors = factors.activationVectors.columns(inputs)
        gradientVectors = factors.gradientVectors.columns(outputs)
        eigenvalues = outputs.flatMap { output in inputs.map { factors.eigenvalues[output, $0] } }
        damping = Float(factors.defaultDamping)
        var random = SplitMix64(seed: layout.seed &+ UInt64(layer) &* 0x9E37_79B9_7F4A_7C15)
        let signs = eigenvalues.map { _ in random.next() >> 63 == 0 ? Float(1) : -1 }
        hasCurvature = factors.hasCurvature
        let (damping, hasCurvature) = (damping, hasCurvature)
        weights = zip(signs, eigenvalues).map { hasCurvature ? $0 / ($1 + damping).squareRoot() : 0 }

        let needed = max(eigenvalues.count, layout.signs, 1)
        rotated = needed.nonzeroBitCount == 1 ? needed : 1 << (Int.bitWidth - needed.leadingZeroBitCount)
        // The start of a Fisher-Yates shuffle. The standard library's shuffle can change, and with it the meaning of files.
        var shuffled = (0..<Int32(rotated)).map { $0 }
        for index in 0..<min(layout.signs, rotated - 1) {
            shuffled.swapAt(index, index + Int(random.next() % UInt64(rotated - index)))
        }
        kept = Array(shuffled.prefix(layout.signs))
    }

    /// Writes a sequence's entries, given its coordinates, out × in.
    func write(_ block: Matrix, _ scratch: inout Matrix, into entries: inout MutableSpan<Float>, from start: Int) {
        write(block, weights: weights, scale: 1, &scratch, into: &entries, from: start)
    }

    /// The largest factor by which another damping changes a coordinate's weight; zero if the layer has no curvature.
    func largestGain(ofDamping damping: Double) -> Double {
        hasCurvature ? eigenvalues.reduce(0) { max($0, gain(ofDamping: damping, eigenvalue: $1)) } : 0
    }

    /// `(Λ + λ) / (Λ + λ')`, which can leave the range of Float32.
    private func gain(ofDamping damping: Double, eigenvalue: Float) -> Double {
        (Double(eigenvalue) + Double(self.damping)) / (Double(eigenvalue) + damping)
    }

    /// Writes a query's entries. Their inner product with a sequence's entries estimates the influence, divided by `unit`, from the layer's
    /// kept coordinates.
    ///
    /// - Parameters:
    ///   - damping: The query's own damping, if it has one.
    ///   - unit: The same for all layers of the query, and as large as ``largestGain(ofDamping:)`` so that all entries stay finite.
    func write(
        _ query: QueryGradient.Factors, damping: Double?, unit: Double, into entries: inout MutableSpan<Float>,
        from start: Int
    ) {
        var inputs = Matrix()
        inputs.formProduct(query.inputs.slice, activationVectors.slice)
        var gradients = Matrix()
        gradients.formProduct(query.outputGradients.slice, gradientVectors.slice)
        var block = Matrix()
        block.formProduct(gradients.transposed, inputs.slice)
        var scratch = Matrix()
        let own = damping.map { damping in
            zip(weights, eigenvalues).map { $0 * Float(gain(ofDamping: damping, eigenvalue: $1) / unit) }
        }
        // A fraction of the coordinates has that fraction of the inner product.
        let scale = Float(rotated) / Float(kept.count)
        write(block, weights: own ?? weights, scale: scale, &scratch, into: &entries, from: start)
    }

    private func write(
        _ block: Matrix, weights: [Float], scale: Float, _ scratch: inout Matrix,
        into entries: inout MutableSpan<Float>, from start: Int
    ) {
        precondition(block.count == weights.count, "\(block.count) coordinates for \(weights.count) weights")
        scratch.resize(rows: 1, columns: rotated, filledWith: 0)
        scratch.withMutableSpan { scratch in
            let (weights, kept) = (weights.span, kept.span)
            block.withSpan { block in
                for index in block.indices { scratch[index] = block[index] * weights[index] }
            }
            scratch.rotateByHadamard()
            for index in kept.indices { entries[start + index] = scale * scratch[Int(kept[index])] }
        }
    }
}

extension [Double] {
    /// The indices of the largest values, ascending.
    fileprivate func largest(_ count: Int) -> [Int] {
        indices.sorted { (self[$0], $0) < (self[$1], $1) }.suffix(count).sorted()
    }
}
