import CVectorKernels

// The safe face of the activation kernels, each checking the shapes that the C code relies on.

extension Matrix {
    /// Writes `gelu(x)`, its tanh form, into the leading columns of a matrix of the given width.
    public mutating func formGeluTanh(of x: Matrix, columns: Int) {
        precondition(columns >= x.columns)
        resize(rows: x.rows, columns: columns)
        tributary_gelu_tanh(x.pointer, x.columns, uniquePointer(), columns, x.rows, x.columns)
    }

    /// Becomes `outputGradients · gelu'(x)`.
    public mutating func formGeluTanhGradient(outputGradients: Matrix, inputs x: Matrix) {
        precondition(outputGradients.rows == x.rows && outputGradients.columns >= x.columns)
        resize(rows: x.rows, columns: x.columns)
        tributary_gelu_tanh_backward(
            outputGradients.pointer, outputGradients.columns, x.pointer, x.columns, uniquePointer(), columns, rows,
            columns)
    }

    /// Writes `silu(gate) · up` into the leading columns of a matrix of the given width.
    public mutating func formSiluGate(gate: Matrix, up: Matrix, columns: Int) {
        precondition(gate.rows == up.rows && gate.columns == up.columns && columns >= gate.columns)
        resize(rows: gate.rows, columns: columns)
        tributary_silu_gate(gate.pointer, up.pointer, gate.columns, uniquePointer(), columns, gate.rows, gate.columns)
    }

    /// Becomes the gradient with respect to the gate; `upGradients` that with respect to the other factor.
    public mutating func formSiluGateGradient(
        upGradients: inout Matrix, outputGradients: Matrix, gate: Matrix, up: Matrix
    ) {
        precondition(
            gate.rows == up.rows && gate.columns == up.columns && outputGradients.rows == gate.rows
                && outputGradients.columns >= gate.columns)
        resize(rows: gate.rows, columns: gate.columns)
        upGradients.resize(rows: gate.rows, columns: gate.columns)
        tributary_silu_gate_backward(
            outputGradients.pointer, outputGradients.columns, gate.pointer, up.pointer, gate.columns, uniquePointer(),
            upGradients.uniquePointer(), columns, rows, columns)
    }

    /// Writes `x Φ(x)`, gelu in its exact form, into the leading columns of a matrix of the given width.
    public mutating func formGeluErf(of x: Matrix, columns: Int) {
        precondition(columns >= x.columns)
        resize(rows: x.rows, columns: columns)
        tributary_gelu_erf(x.pointer, x.columns, uniquePointer(), columns, x.rows, x.columns)
    }

    /// Becomes `outputGradients · gelu'(x)`, of the exact form.
    public mutating func formGeluErfGradient(outputGradients: Matrix, inputs x: Matrix) {
        precondition(outputGradients.rows == x.rows && outputGradients.columns >= x.columns)
        resize(rows: x.rows, columns: x.columns)
        tributary_gelu_erf_backward(
            outputGradients.pointer, outputGradients.columns, x.pointer, x.columns, uniquePointer(), columns, rows,
            columns)
    }

    /// Writes `gelu(gate) · up`, gelu in its tanh form, into the leading columns of a matrix of the given width.
    public mutating func formGeluTanhGate(gate: Matrix, up: Matrix, columns: Int) {
        precondition(gate.rows == up.rows && gate.columns == up.columns && columns >= gate.columns)
        resize(rows: gate.rows, columns: columns)
        tributary_gelu_tanh_gate(
            gate.pointer, up.pointer, gate.columns, uniquePointer(), columns, gate.rows, gate.columns)
    }

    /// Becomes the gradient with respect to the gate; `upGradients` that with respect to the other factor.
    public mutating func formGeluTanhGateGradient(
        upGradients: inout Matrix, outputGradients: Matrix, gate: Matrix, up: Matrix
    ) {
        precondition(
            gate.rows == up.rows && gate.columns == up.columns && outputGradients.rows == gate.rows
                && outputGradients.columns >= gate.columns)
        resize(rows: gate.rows, columns: gate.columns)
        upGradients.resize(rows: gate.rows, columns: gate.columns)
        tributary_gelu_tanh_gate_backward(
            outputGradients.pointer, outputGradients.columns, gate.pointer, up.pointer, gate.columns, uniquePointer(),
            upGradients.uniquePointer(), columns, rows, columns)
    }

    /// Every value x becomes `cap · tanh(scale · x / cap)`.
    public mutating func applySoftCap(_ cap: Float, scale: Float = 1) {
        tributary_soft_cap(uniquePointer(), scale, cap, count)
    }

    /// From the gradient of what ``applySoftCap(_:scale:)`` gave to that of its inputs, in place.
    public mutating func applySoftCapGradient(capped: Matrix, cap: Float, scale: Float = 1) {
        precondition(capped.rows == rows && capped.columns == columns, "shapes differ")
        tributary_soft_cap_backward(capped.pointer, uniquePointer(), scale, cap, count)
    }

    /// Every value is cut to the range from `-limit` to `limit`.
    public mutating func clamp(to limit: Float) {
        tributary_clamp(uniquePointer(), limit, count)
    }

    /// From the gradient of what ``clamp(to:)`` gave to that of its inputs, in place: zero where a value was cut.
    public mutating func applyClampGradient(inputs: Matrix, limit: Float) {
        precondition(inputs.rows == rows && inputs.columns == columns, "shapes differ")
        tributary_clamp_backward(inputs.pointer, uniquePointer(), limit, count)
    }
}
