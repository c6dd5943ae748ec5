import Curvature
import LinearAlgebra

/// Compresses one layer's gradients so that inner products of what is left estimate influence.
///
/// With `G = Dᵀ A` a gradient, its coordinates in the leading eigenvectors of the layer's factors are
/// `C = (D Qs)ᵀ (A Qa)`, a leading × leading block. Influence is `sum C_query C_sequence / (Λ + λ)` over all coordinates, so that
/// `C / sqrt(Λ + λ)` of both sides have it as their inner product: they are whitened. Coordinates are then added up, each with
/// a random sign, into fewer values (the count sketch of Charikar, Chen and Farach-Colton 2002), which keeps inner products
/// in expectation.
struct LayerSketch: Sendable {
    /// in × leading
    let activationVectors: Matrix
    /// out × leading
    let gradientVectors: Matrix
    /// `Λ` of the block, out × in, row after row.
    private let eigenvalues: [Float]
    private let damping: Float
    /// What each coordinate of the block is multiplied by for a sequence: `± 1 / sqrt(Λ + λ)`.
    private let weights: [Float]
    /// The value to which each coordinate is added.
    private let places: [Int32]

    init(_ factors: LayerFactors, layer: Int, layout: SketchLayout) {
        // Eigenvalues ascend: the leading vectors are the last columns.
        let inputs = factors.activationVectors.columns
        let outputs = factors.gradientVectors.columns
        let firstInput = max(0, inputs - layout.leading)
        let firstOutput = max(0, outputs - layout.leading)
        activationVectors = Matrix(factors.activationVectors[columns: firstInput..<inputs])
        gradientVectors = Matrix(factors.gradientVectors[columns: firstOutput..<outputs])
        let block = Matrix(factors.eigenvalues[rows: firstOutput..<outputs, columns: firstInput..<inputs])
        eigenvalues = block.elements
        damping = Float(factors.defaultDamping)
        var random = SplitMix64(seed: layout.seed &+ UInt64(layer) &* 0x9E37_79B9_7F4A_7C15)
        let count = eigenvalues.count
        // Every value gets as many coordinates as any other, to within one.
        places = (0..<count).map { Int32($0 % layout.values) }.shuffled(using: &random)
        let signs = (0..<count).map { _ in random.next() >> 63 == 0 ? Float(1) : -1 }
        let damping = damping
        weights = zip(signs, eigenvalues).map { $0 / ($1 + damping).squareRoot() }
    }

    /// Adds a sequence's coordinates, out × in, to its values.
    func fold(_ block: Matrix, into values: inout MutableSpan<Float>, from start: Int) {
        fold(block, weights: weights, into: &values, from: start)
    }

    /// Adds a query's coordinates to its values.
    ///
    /// - Parameter damping: That of the query, if not the layer's own: its inner product with a sequence is then the influence
    ///   under that damping.
    func fold(_ query: QueryGradient.Factors, damping: Double?, into values: inout MutableSpan<Float>, from start: Int)
    {
        var inputs = Matrix()
        inputs.formProduct(query.inputs.slice, activationVectors.slice)
        var gradients = Matrix()
        gradients.formProduct(query.outputGradients.slice, gradientVectors.slice)
        var block = Matrix()
        block.formProduct(gradients.transposed, inputs.slice)
        guard let damping = damping.map(Float.init) else { return fold(block, into: &values, from: start) }
        let own = zip(weights, eigenvalues).map { $0 * ($1 + self.damping) / ($1 + damping) }
        fold(block, weights: own, into: &values, from: start)
    }

    private func fold(_ block: Matrix, weights: [Float], into values: inout MutableSpan<Float>, from start: Int) {
        precondition(block.count == weights.count, "shapes differ")
        block.withSpan { block in
            let (weights, places) = (weights.span, places.span)
            for index in block.indices { values[start + Int(places[index])] += block[index] * weights[index] }
        }
    }
}
