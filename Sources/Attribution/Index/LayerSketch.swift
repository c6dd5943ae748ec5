import Curvature
import LinearAlgebra

/// Rotates one layer's gradients so that the signs of what results tell influence.
///
/// With `G = Dᵀ A` a gradient, its coordinates in the leading eigenvectors of the layer's factors are
/// `C = (D Qs)ᵀ (A Qa)`, a leading × leading block. Influence is `sum C_query C_sequence / (Λ + λ)` over all coordinates, so that
/// `C / sqrt(Λ + λ)` of both sides have it as their inner product: they are whitened. Then each coordinate is given a random sign
/// and all are mixed by a Walsh-Hadamard transform, a rotation after which they are alike in size, and some of them
/// are taken (Ailon and Chazelle 2009).
struct LayerSketch: Sendable {
    /// in × leading
    let activationVectors: Matrix
    /// out × leading
    let gradientVectors: Matrix
    /// `Λ` of the block, out × in, row after row.
    private let eigenvalues: [Float]
    private let damping: Float
    private let hasCurvature: Bool
    /// What each coordinate of the block is multiplied by for a sequence: `± 1 / sqrt(Λ + λ)`; zero if the layer has no curvature.
    private let weights: [Float]
    /// The rotated coordinates that are taken, in this order.
    private let places: [Int32]
    /// Coordinates of the rotation: a power of two, those beyond the block's own zero.
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
        // The first of a shuffle as Fisher and Yates have it; the standard library's may change, and with it what files mean.
        var places = (0..<Int32(rotated)).map { $0 }
        for index in 0..<min(layout.signs, rotated - 1) {
            places.swapAt(index, index + Int(random.next() % UInt64(rotated - index)))
        }
        self.places = Array(places.prefix(layout.signs))
    }

    /// Writes a sequence's entries, given its coordinates, out × in.
    ///
    /// - Parameter scratch: Room for the rotation.
    func write(_ block: Matrix, _ scratch: inout Matrix, into entries: inout MutableSpan<Float>, from start: Int) {
        write(block, weights: weights, scale: 1, &scratch, into: &entries, from: start)
    }

    /// The largest number that another damping multiplies a coordinate's weight by; zero if the layer has no curvature.
    func largestGain(ofDamping damping: Double) -> Double {
        hasCurvature ? eigenvalues.reduce(0) { max($0, gain(ofDamping: damping, eigenvalue: $1)) } : 0
    }

    /// `(Λ + λ) / (Λ + λ')`, which may be farther from 1 than Float32 reaches.
    private func gain(ofDamping damping: Double, eigenvalue: Float) -> Double {
        (Double(eigenvalue) + Double(self.damping)) / (Double(eigenvalue) + damping)
    }

    /// Writes a query's entries. Their inner product with a sequence's is its influence, as far as the layer's coordinates that were
    /// taken tell it, divided by `unit`.
    ///
    /// - Parameters:
    ///   - damping: That of the query, if not the layer's own.
    ///   - unit: One for all layers of the query, as large as ``largestGain(ofDamping:)`` so that no entry leaves Float32.
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
        // A part of the coordinates has that part of the inner product.
        let scale = Float(rotated) / Float(places.count)
        write(block, weights: own ?? weights, scale: scale, &scratch, into: &entries, from: start)
    }

    private func write(
        _ block: Matrix, weights: [Float], scale: Float, _ scratch: inout Matrix,
        into entries: inout MutableSpan<Float>, from start: Int
    ) {
        precondition(block.count == weights.count, "shapes differ")
        scratch.resize(rows: 1, columns: rotated, filledWith: 0)
        scratch.withMutableSpan { scratch in
            let (weights, places) = (weights.span, places.span)
            block.withSpan { block in
                for index in block.indices { scratch[index] = block[index] * weights[index] }
            }
            scratch.rotateByHadamard()
            for index in places.indices { entries[start + index] = scale * scratch[Int(places[index])] }
        }
    }
}

extension [Double] {
    /// The places of the largest so many, ascending.
    fileprivate func largest(_ count: Int) -> [Int] {
        indices.sorted { (self[$0], $0) < (self[$1], $1) }.suffix(count).sorted()
    }
}
