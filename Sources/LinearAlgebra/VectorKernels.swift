import CVectorKernels

// The safe face of the element-wise kernels: every one checks the shapes that the C code relies on.

extension Matrix {
    /// Writes the layer norm of each row of `x` into the leading columns: `(x - mean) / sqrt(variance + epsilon) · gain + bias`.
    ///
    /// - Parameters:
    ///   - x: rows × width
    ///   - gain: 1 × width
    ///   - bias: 1 × width, or nil for none
    ///   - columns: The width of the result, at least `x.columns`; columns beyond it are left to the caller.
    ///   - statistics: Becomes rows × 2: the mean and the reciprocal deviation of each row, for the backward pass.
    public mutating func formLayerNorm(
        of x: Matrix, gain: Matrix, bias: Matrix?, epsilon: Float, columns: Int, statistics: inout Matrix
    ) {
        precondition(gain.count == x.columns && (bias?.count ?? x.columns) == x.columns && columns >= x.columns)
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
        precondition(gain.count == x.columns && columns >= x.columns)
        resize(rows: x.rows, columns: columns)
        statistics.resize(rows: x.rows, columns: 2)
        tributary_rms_norm(
            x.pointer, x.columns, gain.pointer, epsilon, uniquePointer(), columns, statistics.uniquePointer(), x.rows,
            x.columns)
    }

    /// Adds the gradient with respect to a normalisation's inputs.
    ///
    /// - Parameters:
    ///   - outputGradients: rows × at least width; further columns are ignored.
    ///   - isCentred: Whether the norm subtracted the mean (layer norm).
    public mutating func addNormGradient(
        outputGradients: Matrix, inputs: Matrix, gain: Matrix, statistics: Matrix, isCentred: Bool
    ) {
        precondition(
            rows == inputs.rows && columns == inputs.columns && gain.count == columns && outputGradients.rows == rows
                && outputGradients.columns >= columns && statistics.count == 2 * rows)
        tributary_norm_backward(
            outputGradients.pointer, outputGradients.columns, inputs.pointer, inputs.columns, gain.pointer,
            statistics.pointer, uniquePointer(), columns, rows, columns, isCentred ? 1 : 0)
    }

    /// Adds to a norm's gain gradient (this, 1 × width) and its bias gradient.
    public mutating func addGainGradient(
        bias: inout Matrix?, outputGradients: Matrix, inputs: Matrix, statistics: Matrix
    ) {
        precondition(
            count == inputs.columns && outputGradients.rows == inputs.rows && outputGradients.columns >= count
                && statistics.count == 2 * inputs.rows && (bias?.count ?? count) == count)
        tributary_norm_parameter_gradient(
            outputGradients.pointer, outputGradients.columns, inputs.pointer, inputs.columns, statistics.pointer,
            uniquePointer(), bias?.uniquePointer(), inputs.rows, count)
    }

    /// Turns logits into the gradient of the cross-entropy, `softmax - onehot(label)`, in place.
    ///
    /// - Parameters:
    ///   - labels: One a row; replaced by what was drawn where `uniforms` is given.
    ///   - uniforms: One a row in [0, 1): the labels are drawn from the softmax by inverse transform.
    ///   - losses: Becomes `-log softmax[label]`, one a row, in nats.
    public mutating func applySoftmaxCrossEntropy(labels: inout [Int32], uniforms: [Float]?, losses: inout [Float]) {
        precondition(labels.count == rows && losses.count == rows && (uniforms?.count ?? rows) == rows && columns > 0)
        precondition(labels.allSatisfy { $0 >= 0 && Int($0) < columns }, "label outside the vocabulary")
        tributary_softmax_cross_entropy(uniquePointer(), columns, &labels, uniforms, &losses, rows, columns)
    }

    /// Adds another matrix.
    public mutating func add(_ other: Matrix) {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        tributary_add(other.pointer, uniquePointer(), count)
    }

    /// Adds one number to every value.
    public mutating func add(_ number: Float) {
        guard number != 0 else { return }
        withMutableSpan { values in
            for index in values.indices { values[index] += number }
        }
    }

    /// Adds a row of another matrix to one of this.
    public mutating func addRow(_ sourceRow: Int, of source: Matrix, to row: Int) {
        precondition(columns == source.columns && row >= 0 && row < rows && sourceRow >= 0 && sourceRow < source.rows)
        tributary_add(source.pointer + sourceRow * columns, uniquePointer() + row * columns, columns)
    }

    /// Adds a row to each of this matrix's.
    public mutating func addToRows(_ row: MatrixSlice) {
        precondition(row.rows == 1 && row.columns == columns && !row.isTransposed, "shapes differ")
        let destination = uniquePointer()
        for start in stride(from: 0, to: count, by: columns) {
            tributary_add(row.pointer, destination + start, columns)
        }
    }

    /// Multiplies every value.
    public mutating func scale(by factor: Float) {
        tributary_scale(factor, uniquePointer(), count)
    }

    /// The sum of element-wise products, in Float64.
    public func dot(_ other: Matrix) -> Double {
        precondition(rows == other.rows && columns == other.columns, "shapes differ")
        return tributary_dot(pointer, other.pointer, count)
    }

    /// The sum of the squares, in Float64.
    public var squaredNorm: Double { tributary_dot(pointer, pointer, count) }

    /// Becomes `numerator / (denominator + damping)`, element by element.
    public mutating func formDampedQuotient(_ numerator: Matrix, _ denominator: Matrix, damping: Float) {
        precondition(numerator.rows == denominator.rows && numerator.columns == denominator.columns, "shapes differ")
        resize(rows: numerator.rows, columns: numerator.columns)
        tributary_divide_damped(numerator.pointer, denominator.pointer, damping, uniquePointer(), count)
    }

    /// Divides each element of some rows by `denominator + damping`.
    public mutating func divide(rows range: Range<Int>, by denominator: Matrix, damping: Float) {
        precondition(
            range.lowerBound >= 0 && range.upperBound <= min(rows, denominator.rows) && columns == denominator.columns,
            "shapes differ")
        let start = range.lowerBound * columns
        tributary_divide_in_place(
            denominator.pointer + start, damping, uniquePointer() + start, range.count * columns)
    }

    /// Whether no value is infinite or not a number.
    public var isFinite: Bool { tributary_all_finite(pointer, count) != 0 }

    /// One step of Adam with decoupled weight decay (Loshchilov and Hutter 2019), in place.
    public mutating func applyAdamW(
        gradient: Matrix, firstMoment: inout Matrix, secondMoment: inout Matrix, learningRate: Float, beta1: Float,
        beta2: Float, step: Int, epsilon: Float, weightDecay: Float, gradientScale: Float
    ) {
        precondition(gradient.count == count && firstMoment.count == count && secondMoment.count == count && step > 0)
        tributary_adamw(
            uniquePointer(), gradient.pointer, firstMoment.uniquePointer(), secondMoment.uniquePointer(), learningRate,
            beta1, beta2, 1 - power(beta1, step), 1 - power(beta2, step), epsilon, weightDecay, gradientScale, count)
    }
}

private func power(_ base: Float, _ exponent: Int) -> Float {
    var result = 1.0
    var factor = Double(base)
    var remaining = exponent
    while remaining > 0 {
        if remaining & 1 == 1 { result *= factor }
        factor *= factor
        remaining >>= 1
    }
    return Float(result)
}
