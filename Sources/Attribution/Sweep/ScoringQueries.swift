import LinearAlgebra
import Transformer

/// The preconditioned queries of a query batch, arranged so that one product per layer serves many of them.
struct ScoringQueries: Sendable {
    /// Low-rank queries of the same width, side by side.
    struct Group: Sendable {
        /// The first query's column among those of all queries.
        let column: Int
        let width: Int
        /// For each layer: out × (queries · width).
        let left: [Factor]
        /// For each layer: in × (queries · width).
        let right: [Factor]
    }

    /// A query in full: for each layer out × in.
    struct Full: Sendable {
        let column: Int
        let layers: [Matrix]
    }

    let form: ScoringForm
    /// The low-rank queries for the token form; none in the gradient form.
    let groups: [Group]
    /// The other queries for the token form; none in the gradient form.
    let full: [Full]
    /// The queries for the gradient form, for each layer queries × (out · in); none in the token form.
    let whole: [Matrix]
    let count: Int
    let columns: [Int]

    /// - Parameter isInHalfPrecision: Whether the token form's thin factors are rounded to bfloat16.
    init(_ queries: [PreconditionedQuery], form: ScoringForm = .tokens, isInHalfPrecision: Bool = false) {
        self.form = form
        count = queries.count
        guard form == .tokens else {
            (groups, full, columns) = ([], [], Array(queries.indices))
            whole = (queries.first?.layers.indices ?? 0..<0).map { layer in
                var whole = Matrix()
                for (row, query) in queries.enumerated() {
                    let matrix = query.layers[layer].whole
                    if row == 0 { whole.resize(rows: queries.count, columns: matrix.count) }
                    whole.setRow(row, to: matrix)
                }
                return whole
            }
            return
        }
        whole = []
        let widths = queries.map(\.width)
        var columns = [Int](repeating: 0, count: queries.count)
        var next = 0
        var groups: [Group] = []
        for width in Set(widths.compactMap { $0 }).sorted() {
            let members = queries.indices.filter { widths[$0] == width }
            groups.append(
                Group(
                    column: next, width: width, members: members.map { queries[$0] },
                    isInHalfPrecision: isInHalfPrecision))
            for member in members {
                columns[member] = next
                next += 1
            }
        }
        var full: [Full] = []
        for index in queries.indices where widths[index] == nil {
            columns[index] = next
            full.append(Full(column: next, layers: queries[index].layers.map(\.whole)))
            next += 1
        }
        self.groups = groups
        self.full = full
        self.columns = columns
    }

    /// For each full query the rows of the sequences that it wants. The rows of neighbouring sequences, which are multiplied together, are
    /// joined.
    ///
    /// - Parameter wanted: For each sequence the indices of the queries that want it.
    func wantedRows(of batch: TokenBatch, wanted: [[Int]]) -> [[Range<Int>]] {
        var rows = [[Range<Int>]](repeating: [], count: full.count)
        for (sequence, own) in zip(batch.sequences, wanted) {
            for query in own {
                let index = columns[query] - (count - full.count)
                guard index >= 0 else { continue }
                if let last = rows[index].last, last.upperBound == sequence.lowerBound {
                    rows[index][rows[index].count - 1] = last.lowerBound..<sequence.upperBound
                } else {
                    rows[index].append(sequence)
                }
            }
        }
        return rows
    }
}

extension ScoringQueries.Group {
    fileprivate init(column: Int, width: Int, members: [PreconditionedQuery], isInHalfPrecision: Bool) {
        self.column = column
        self.width = width
        let layers = members.first?.layers.indices ?? 0..<0
        // A small layer's rank can be less than the width.
        func joined(_ factor: KeyPath<LowRank, MatrixSlice>) -> [Factor] {
            layers.map { layer in
                let factors = members.compactMap { $0.layers[layer].lowRank?[keyPath: factor] }
                let joined = MatrixSlice.joined(factors, width: width)
                return isInHalfPrecision ? .half(HalfMatrix(Matrix(joined)).slice) : .single(joined)
            }
        }
        left = joined(\.left)
        right = joined(\.right)
    }
}

extension PreconditionedQuery {
    /// The largest rank of the layers; nil if the query is in full.
    var width: Int? {
        let ranks = layers.compactMap { $0.lowRank?.rank }
        return ranks.count == layers.count ? ranks.max() : nil
    }
}

extension PreconditionedLayer {
    var lowRank: LowRank? {
        if case .lowRank(let factors) = self { factors } else { nil }
    }

    /// The out × in matrix, multiplied out if it has thin factors.
    var whole: Matrix {
        switch self {
        case .full(let matrix): return matrix
        case .lowRank(let factors):
            var matrix = Matrix()
            matrix.formProduct(factors.left, factors.right.transposed)
            return matrix
        }
    }
}
