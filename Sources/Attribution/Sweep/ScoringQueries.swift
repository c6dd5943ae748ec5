import LinearAlgebra

/// The preconditioned queries of a batch, arranged so that one product a layer serves many of them.
struct ScoringQueries: Sendable {
    /// Low-rank queries of one width, side by side.
    struct Group: Sendable {
        /// The first query's column among all.
        let column: Int
        let width: Int
        /// For each layer: out × (queries · width).
        let left: [Matrix]
        /// For each layer: in × (queries · width).
        let right: [Matrix]
    }

    /// A query in full: for each layer out × in.
    struct Full: Sendable {
        let column: Int
        let layers: [Matrix]
    }

    let groups: [Group]
    let full: [Full]
    let count: Int
    /// For each query as given, its column among all.
    let columns: [Int]

    init(_ queries: [PreconditionedQuery]) {
        count = queries.count
        let widths = queries.map(\.width)
        var columns = [Int](repeating: 0, count: queries.count)
        var next = 0
        var groups: [Group] = []
        for width in Set(widths.compactMap { $0 }).sorted() {
            let members = queries.indices.filter { widths[$0] == width }
            groups.append(Group(column: next, width: width, members: members.map { queries[$0] }))
            for member in members {
                columns[member] = next
                next += 1
            }
        }
        var full: [Full] = []
        for index in queries.indices where widths[index] == nil {
            columns[index] = next
            full.append(Full(column: next, layers: queries[index].layers.compactMap(\.fullMatrix)))
            next += 1
        }
        self.groups = groups
        self.full = full
        self.columns = columns
    }
}

extension ScoringQueries.Group {
    fileprivate init(column: Int, width: Int, members: [PreconditionedQuery]) {
        self.column = column
        self.width = width
        let layers = members.first?.layers.indices ?? 0..<0
        left = layers.map { layer in Self.joined(members.compactMap { $0.layers[layer].lowRank?.left }, width) }
        right = layers.map { layer in Self.joined(members.compactMap { $0.layers[layer].lowRank?.right }, width) }
    }

    /// Factors side by side, each padded with zeros to the width: a small layer's rank may be less.
    private static func joined(_ factors: [Matrix], _ width: Int) -> Matrix {
        var joined = Matrix(rows: factors.first?.rows ?? 0, columns: factors.count * width)
        for (index, factor) in factors.enumerated() { joined.copy(factor.slice, toRow: 0, column: index * width) }
        return joined
    }
}

extension PreconditionedQuery {
    /// The largest rank of any layer; nil if the query is in full.
    fileprivate var width: Int? {
        let ranks = layers.compactMap { $0.lowRank?.rank }
        return ranks.count == layers.count ? ranks.max() : nil
    }
}

extension PreconditionedLayer {
    fileprivate var lowRank: LowRank? {
        if case .lowRank(let factors) = self { factors } else { nil }
    }

    fileprivate var fullMatrix: Matrix? {
        switch self {
        case .full(let matrix): return matrix
        case .lowRank(let factors):
            var matrix = Matrix()
            matrix.formProduct(factors.left.slice, factors.right.transposed)
            return matrix
        }
    }
}
