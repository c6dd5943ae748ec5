import CVectorKernels
import Foundation

// The safe face of the model's kernels: each one checks the shapes that the C code relies on.

// MARK: - Activations

extension Matrix {
    /// Writes `gelu(x)`, in its tanh form, into the leading columns of a matrix of the given width.
    public mutating func formGeluTanh(of x: Matrix, columns: Int) {
        form(columns: columns, of: x, by: tributary_gelu_tanh)
    }

    /// Becomes `outputGradients · gelu'(x)`, for the tanh form.
    public mutating func formGeluTanhGradient(outputGradients: Matrix, inputs x: Matrix) {
        formGradient(outputGradients, inputs: x, by: tributary_gelu_tanh_backward)
    }

    /// Writes `x Φ(x)`, gelu in its exact form, into the leading columns of a matrix of the given width.
    public mutating func formGeluErf(of x: Matrix, columns: Int) {
        form(columns: columns, of: x, by: tributary_gelu_erf)
    }

    /// Becomes `outputGradients · gelu'(x)`, for the exact form.
    public mutating func formGeluErfGradient(outputGradients: Matrix, inputs x: Matrix) {
        formGradient(outputGradients, inputs: x, by: tributary_gelu_erf_backward)
    }

    /// Writes `silu(gate) · up` into the leading columns of a matrix of the given width.
    public mutating func formSiluGate(gate: Matrix, up: Matrix, columns: Int) {
        formGate(gate, up, columns: columns, by: tributary_silu_gate)
    }

    /// Becomes the gradient with respect to the gate; `upGradients` becomes that with respect to the other factor.
    public mutating func formSiluGateGradient(
        upGradients: inout Matrix, outputGradients: Matrix, gate: Matrix, up: Matrix
    ) {
        formGateGradient(
            gate, up, upGradients: &upGradients, outputGradients: outputGradients, by: tributary_silu_gate_backward)
    }

    /// Writes `gelu(gate) · up`, with gelu in its tanh form, into the leading columns of a matrix of the given width.
    public mutating func formGeluTanhGate(gate: Matrix, up: Matrix, columns: Int) {
        formGate(gate, up, columns: columns, by: tributary_gelu_tanh_gate)
    }

    /// Becomes the gradient with respect to the gate; `upGradients` becomes that with respect to the other factor.
    public mutating func formGeluTanhGateGradient(
        upGradients: inout Matrix, outputGradients: Matrix, gate: Matrix, up: Matrix
    ) {
        formGateGradient(
            gate, up, upGradients: &upGradients, outputGradients: outputGradients, by: tributary_gelu_tanh_gate_backward
        )
    }

    private typealias Values = UnsafePointer<Float>?
    private typealias Results = UnsafeMutablePointer<Float>?

    /// - Parameter kernel: Takes the inputs, their stride, the results, their stride, the rows and the columns.
    private mutating func form(
        columns: Int, of x: Matrix, by kernel: (Values, Int, Results, Int, Int, Int) -> Void
    ) {
        precondition(columns >= x.columns, "\(x.columns) columns in \(columns)")
        resize(rows: x.rows, columns: columns)
        kernel(x.pointer, x.columns, uniquePointer(), columns, x.rows, x.columns)
    }

    /// - Parameter kernel: Takes the gradients, their stride, the inputs, their stride, the results, their stride, the rows and the
    ///   columns.
    private mutating func formGradient(
        _ outputGradients: Matrix, inputs x: Matrix,
        by kernel: (Values, Int, Values, Int, Results, Int, Int, Int) -> Void
    ) {
        precondition(outputGradients.rows == x.rows && outputGradients.columns >= x.columns, "shapes differ")
        resize(rows: x.rows, columns: x.columns)
        kernel(
            outputGradients.pointer, outputGradients.columns, x.pointer, x.columns, uniquePointer(), columns, rows,
            columns)
    }

    /// - Parameter kernel: Takes the factors, their stride, the results, their stride, the rows and the columns.
    private mutating func formGate(
        _ gate: Matrix, _ up: Matrix, columns: Int, by kernel: (Values, Values, Int, Results, Int, Int, Int) -> Void
    ) {
        precondition(gate.rows == up.rows && gate.columns == up.columns && columns >= gate.columns, "shapes differ")
        resize(rows: gate.rows, columns: columns)
        kernel(gate.pointer, up.pointer, gate.columns, uniquePointer(), columns, gate.rows, gate.columns)
    }

    /// - Parameter kernel: Takes the gradients, their stride, the factors, their stride, both results, their stride, the rows and the
    ///   columns.
    private mutating func formGateGradient(
        _ gate: Matrix, _ up: Matrix, upGradients: inout Matrix, outputGradients: Matrix,
        by kernel: (Values, Int, Values, Values, Int, Results, Results, Int, Int, Int) -> Void
    ) {
        precondition(
            gate.rows == up.rows && gate.columns == up.columns && outputGradients.rows == gate.rows
                && outputGradients.columns >= gate.columns, "shapes differ")
        resize(rows: gate.rows, columns: gate.columns)
        upGradients.resize(rows: gate.rows, columns: gate.columns)
        kernel(
            outputGradients.pointer, outputGradients.columns, gate.pointer, up.pointer, gate.columns, uniquePointer(),
            upGradients.uniquePointer(), columns, rows, columns)
    }

    /// Every value x becomes `cap · tanh(scale · x / cap)`.
    public mutating func applySoftCap(_ cap: Float, scale: Float = 1) {
        tributary_soft_cap(uniquePointer(), scale, cap, count)
    }

    /// Turns the gradient of the results of ``applySoftCap(_:scale:)`` into that of its inputs, in place.
    public mutating func applySoftCapGradient(capped: Matrix, cap: Float, scale: Float = 1) {
        precondition(capped.rows == rows && capped.columns == columns, "shapes differ")
        tributary_soft_cap_backward(capped.pointer, uniquePointer(), scale, cap, count)
    }

    /// Clamps every value to the range from `-limit` to `limit`.
    public mutating func clamp(to limit: Float) {
        tributary_clamp(uniquePointer(), limit, count)
    }

    /// Turns the gradient of the results of ``clamp(to:)`` into that of its inputs, in place: zero where a value was clamped.
    public mutating func applyClampGradient(inputs: Matrix, limit: Float) {
        precondition(inputs.rows == rows && inputs.columns == columns, "shapes differ")
        tributary_clamp_backward(inputs.pointer, uniquePointer(), limit, count)
    }
}

// MARK: - Norms

extension Matrix {
    /// Writes the layer norm of each row of `x` into the leading columns: `(x - mean) / sqrt(variance + epsilon) · gain + bias`.
    ///
    /// - Parameters:
    ///   - x: rows × width
    ///   - gain: 1 × width
    ///   - bias: 1 × width, or nil for none
    ///   - columns: The width of the result, at least `x.columns`. The caller sets the columns beyond `x.columns`.
    ///   - statistics: Becomes rows × 2: the mean and the reciprocal deviation of each row, for the backward pass.
    public mutating func formLayerNorm(
        of x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, columns: Int, statistics: inout Matrix
    ) {
        precondition(
            gain.count == x.columns && (bias?.count ?? x.columns) == x.columns && columns >= x.columns,
            "shapes differ")
        resize(rows: x.rows, columns: columns)
        statistics.resize(rows: x.rows, columns: 2)
        tributary_layer_norm(
            x.pointer, x.columns, gain.pointer, bias?.pointer, epsilon, uniquePointer(), columns,
            statistics.uniquePointer(), x.rows, x.columns)
    }

    /// Writes the root-mean-square norm of each row of `x` into the leading columns: `x / sqrt(mean(x²) + epsilon) · gain`.
    public mutating func formRootMeanSquareNorm(
        of x: Matrix, gain: Matrix, epsilon: Float, columns: Int, statistics: inout Matrix
    ) {
        precondition(gain.count == x.columns && columns >= x.columns, "shapes differ")
        resize(rows: x.rows, columns: columns)
        statistics.resize(rows: x.rows, columns: 2)
        tributary_rms_norm(
            x.pointer, x.columns, gain.pointer, epsilon, uniquePointer(), columns, statistics.uniquePointer(), x.rows,
            x.columns)
    }

    /// Adds the gradient with respect to a normalisation's inputs.
    ///
    /// - Parameters:
    ///   - outputGradients: rows × at least width. Further columns are ignored.
    ///   - isCentred: Whether the norm subtracted the mean (layer norm).
    public mutating func addNormGradient(
        outputGradients: Matrix, inputs: Matrix, gain: Matrix, statistics: Matrix, isCentred: Bool
    ) {
        precondition(
            rows == inputs.rows && columns == inputs.columns && gain.count == columns && outputGradients.rows == rows
                && outputGradients.columns >= columns && statistics.count == 2 * rows, "shapes differ")
        tributary_norm_backward(
            outputGradients.pointer, outputGradients.columns, inputs.pointer, inputs.columns, gain.pointer,
            statistics.pointer, uniquePointer(), columns, rows, columns, isCentred ? 1 : 0)
    }

    /// Adds to the gradient of a norm's gain (this matrix, 1 × width) and to that of its bias.
    public mutating func addGainGradient(
        bias: inout Matrix?, outputGradients: Matrix, inputs: Matrix, statistics: Matrix
    ) {
        precondition(
            count == inputs.columns && outputGradients.rows == inputs.rows && outputGradients.columns >= count
                && statistics.count == 2 * inputs.rows && (bias?.count ?? count) == count, "shapes differ")
        tributary_norm_parameter_gradient(
            outputGradients.pointer, outputGradients.columns, inputs.pointer, inputs.columns, statistics.pointer,
            uniquePointer(), bias?.uniquePointer(), inputs.rows, count)
    }
}

// MARK: - Attention

extension Matrix {
    /// Each row r becomes the softmax of its first `firstLimit + r` entries times `scale`, followed by zeros.
    ///
    /// - Parameter window: Only this many of those entries, the last ones, take part; `nil` for all.
    public mutating func applyCausalSoftmax(scale: Float, firstLimit: Int, window: Int? = nil) {
        precondition(
            firstLimit > 0 && (window ?? 1) > 0, "the first \(firstLimit) entries, a window of \(window ?? .max)")
        precondition(
            window == nil || firstLimit + rows - 1 <= columns || rows == 0,
            "a window over \(columns) columns leaves a row without entries")
        tributary_causal_softmax(uniquePointer(), columns, scale, rows, columns, firstLimit, window ?? .max)
    }

    /// Turns the gradient of the softmax's outputs into that of its unscaled inputs, in place.
    public mutating func applySoftmaxGradient(probabilities: Matrix, scale: Float) {
        precondition(probabilities.rows == rows && probabilities.columns == columns, "shapes differ")
        tributary_softmax_backward(probabilities.pointer, columns, uniquePointer(), columns, scale, rows, columns)
    }

    /// Rotates the first `2 · half` entries of head vectors in place (rotary position embedding, halves layout).
    ///
    /// - Parameters:
    ///   - column: The first column of the first head vector.
    ///   - heads: The number of head vectors.
    ///   - headWidth: The columns from the start of one vector to the start of the next.
    ///   - positions: One per row.
    ///   - cosine: positions × half, as is `sine`.
    ///   - isInverse: Whether to undo the rotation, as the backward pass does.
    public mutating func rotateHalves(
        fromColumn column: Int, heads: Int, headWidth: Int, positions: [Int32], cosine: Matrix, sine: Matrix,
        isInverse: Bool
    ) {
        let half = cosine.columns
        precondition(
            column >= 0 && column + (heads - 1) * headWidth + 2 * half <= columns && 2 * half <= headWidth
                && positions.count == rows && sine.rows == cosine.rows && sine.columns == half, "shapes differ")
        precondition(positions.allSatisfy { $0 >= 0 && Int($0) < cosine.rows }, "position outside the table")
        tributary_rotate_halves(
            uniquePointer() + column, columns, positions, cosine.pointer, sine.pointer, isInverse ? -1 : 1, rows, heads,
            headWidth, half)
    }
}

// MARK: - Cross-entropy

extension Matrix {
    /// Turns logits into the gradient of the cross-entropy, `softmax - onehot(label)`, in place.
    ///
    /// - Parameters:
    ///   - labels: One per row; replaced by the drawn labels if `uniforms` is given.
    ///   - uniforms: One per row in [0, 1), to draw the labels from the softmax by inverse transform.
    ///   - losses: Becomes `-log softmax[label]`, one per row, in nats.
    public mutating func applySoftmaxCrossEntropy(labels: inout [Int32], uniforms: [Float]?, losses: inout [Float]) {
        precondition(
            labels.count == rows && losses.count == rows && (uniforms?.count ?? rows) == rows && columns > 0,
            "shapes differ")
        precondition(labels.allSatisfy { $0 >= 0 && Int($0) < columns }, "label outside the vocabulary")
        tributary_softmax_cross_entropy(uniquePointer(), columns, &labels, uniforms, &losses, rows, columns)
    }
}

/// The cross-entropy of rows of logits that are never in memory as a whole: a softmax whose maximum and sum are updated part by part
/// (Milakov & Gimelshein 2018, arXiv 1805.02867).
///
/// With `m` the largest logit of a row so far, each part becomes `e_v = exp(logit_v - m)`, zero at the label. The caller computes sums of
/// `e_v x_v` over the parts, for any `x`: it multiplies its sum by ``scales`` before it adds a part. At the end `S` is the sum of all
/// `e_v`, and the softmax is `p_v = e_v / (S + e_label)`.
public struct StreamedCrossEntropy: Sendable {
    private var labels: [Int32] = []
    private var maxima: [Float] = []
    /// The logit of each row's label.
    public private(set) var labelLogits: [Float] = []
    /// `S`, one per row.
    public private(set) var others: [Float] = []
    /// For each row `exp(previous m - m)`: 1 where the last part did not raise the maximum.
    public private(set) var scales: [Float] = []

    public init() {}

    /// Starts again with new rows.
    ///
    /// - Parameter labels: One per row: a column that some part will contain.
    public mutating func start(labels: [Int32]) {
        self.labels = labels
        maxima.refill(with: -.greatestFiniteMagnitude, count: labels.count)
        labelLogits.refill(with: -.greatestFiniteMagnitude, count: labels.count)
        others.refill(with: 0, count: labels.count)
        scales.refill(with: 1, count: labels.count)
    }

    /// Processes the next part, which becomes `e_v`.
    ///
    /// - Parameters:
    ///   - part: rows × some columns.
    ///   - first: The index of the part's first column among all columns.
    public mutating func take(_ part: inout Matrix, from first: Int) {
        precondition(part.rows == labels.count && part.columns > 0, "\(part.rows) rows for \(labels.count) labels")
        tributary_streamed_softmax(
            part.uniquePointer(), part.columns, labels, Int32(first), &maxima, &others, &labelLogits, &scales,
            part.rows, part.columns)
    }

    /// `-log p_label`, one per row, in nats.
    public var losses: [Float] {
        labels.indices.map { row in
            let excess = labelLogits[row] - maxima[row]
            // The first form is exact for small losses, but its quotient must not overflow.
            return excess > -60 ? log1p(others[row] / exp(excess)) : log(others[row] + exp(excess)) - excess
        }
    }

    /// `1 / (S + e_label)`, one per row.
    public var reciprocals: [Float] {
        labels.indices.map { 1 / (others[$0] + exp(labelLogits[$0] - maxima[$0])) }
    }
}

extension [Float] {
    /// Becomes this many equal values, in the same memory.
    fileprivate mutating func refill(with value: Float, count: Int) {
        removeAll(keepingCapacity: true)
        append(contentsOf: repeatElement(value, count: count))
    }
}
