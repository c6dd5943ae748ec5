import LinearAlgebra
import Transformer

/// How a sweep scores its sequences. Both forms give the same scores, except for rounding.
enum ScoringForm: Sendable, Equatable {
    /// Computes `d_tᵀ P a_t` for each token and query, with P in its thin factors or in full.
    case tokens
    /// Forms each sequence's gradient `G = Dᵀ A` once, and takes its inner product with every query's P.
    case gradients
}

/// The cost of scoring one sequence in each form, in multiply-adds of a large matrix product.
struct ScoringCost: Sendable {
    /// Tokens per sequence.
    var tokens: Double
    /// The sum of the ranks of all low-rank queries.
    var totalRank = 0
    /// The mean number of full queries that want a sequence.
    var fullQueries = 0.0
    var queries: Int
    /// Inputs and outputs of each tracked layer, and the expected share of the tokens that go through it.
    var layers: [(inputs: Int, outputs: Int, share: Double)]

    /// The cost of a multiply-add of the inner products, whose matrices have few rows and columns.
    static let thinProduct = 4.0
    /// The most memory that multiplied-out queries take.
    static let gradientBytes = 1 << 29

    var tokenForm: Double {
        layers.reduce(0) { sum, layer in
            let low = Double(totalRank) * Double(layer.inputs + layer.outputs)
            return sum + tokens * layer.share * (low + fullQueries * Double(layer.inputs * layer.outputs))
        }
    }

    var gradientForm: Double {
        layers.reduce(0) { sum, layer in
            let products = tokens * layer.share + Self.thinProduct * Double(queries)
            return sum + Double(layer.inputs * layer.outputs) * products
        }
    }

    private var parameters: Int { layers.reduce(0) { $0 + $1.inputs * $1.outputs } }

    /// The cheaper form of those that fit in memory.
    var cheapest: ScoringForm {
        let fits = parameters * queries * MemoryLayout<Float>.stride <= Self.gradientBytes
        return fits && gradientForm < tokenForm ? .gradients : .tokens
    }
}

extension ScoringCost {
    /// - Parameters:
    ///   - tokens: The mean number of tokens per sequence.
    ///   - wantedShare: The share of wanted pairs among all pairs of a query and a candidate.
    init(_ queries: [PreconditionedQuery], tracked: TrackedLayers, tokens: Double, wantedShare: Double) {
        let ranks = queries.map(\.width)
        self.init(
            tokens: tokens, totalRank: ranks.reduce(0) { $0 + ($1 ?? 0) },
            fullQueries: Double(ranks.count { $0 == nil }) * wantedShare, queries: queries.count,
            layers: tracked.layers.map { ($0.inputs, $0.outputs, $0.expert?.share ?? 1) })
    }
}

/// Adds up the products of layers with every query, in the form for which the queries are arranged.
struct LayerProducts: Sendable {
    let queries: ScoringQueries
    /// For each full query the rows of the sequences that it wants; `nil` for all rows.
    var wantedRows: [[Range<Int>]]?
    private var tokens: TokenProducts
    private var gradients: GradientProducts

    init(queries: ScoringQueries) {
        self.queries = queries
        tokens = TokenProducts(queries: queries)
        gradients = GradientProducts(queries: queries)
    }

    /// - Parameter table: tokens × queries in the token form, sequences × queries in the gradient form.
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        switch queries.form {
        case .tokens: tokens.add(pass, rows: wantedRows, to: &table)
        case .gradients: gradients.add(pass, to: &table)
        }
    }
}

/// Multiplies a layer's inputs and output gradients with every query, token by token: `d_tᵀ P a_t`.
///
/// - Complexity: A low-rank query takes `rank · (in + out)` multiply-adds per token and layer. A full query takes `in · out`, but only for
///   tokens of sequences that it wants.
struct TokenProducts: Sendable {
    let queries: ScoringQueries
    private var left = Matrix()
    private var right = Matrix()
    /// The products of an expert's tokens × queries.
    private var routed = ScoreTable(rows: 0, columns: 0)

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Adds the products of one layer.
    ///
    /// - Parameters:
    ///   - rows: For each full query the rows of the sequences that it wants; `nil` for all rows.
    ///   - table: tokens × queries
    mutating func add(_ pass: LayerPass, rows: [[Range<Int>]]?, to table: inout ScoreTable) {
        guard let positions = pass.positions else { return addRows(pass, rows, to: &table) }
        var products = ScoreTable(rows: 0, columns: 0)
        swap(&products, &routed)
        products.reset(rows: positions.count, columns: table.columns)
        addRows(pass, rows.map { $0.map { ranges in ranges.map { pass.rows(in: $0) } } }, to: &products)
        table.addRows(of: products, to: positions)
        swap(&products, &routed)
    }

    /// - Parameters:
    ///   - rows: Rows of the pass.
    ///   - table: rows × queries
    private mutating func addRows(_ pass: LayerPass, _ rows: [[Range<Int>]]?, to table: inout ScoreTable) {
        let layer = pass.layer.index
        for group in queries.groups {
            left.formProduct(pass.outputGradients, group.left[layer])  // tokens × (queries · rank)
            right.formProduct(pass.inputs, group.right[layer])
            table.addSegmentedDots(left, right, width: group.width, column: group.column)
        }
        for (index, query) in queries.full.enumerated() {
            for rows in rows?[index] ?? [0..<pass.inputs.rows] where !rows.isEmpty {
                left.formProduct(pass.inputs[rows: rows], query.layers[layer].transposed)  // tokens × out
                table.addRowDots(
                    pass.outputGradients[rows: rows], left.slice, toColumn: query.column, fromRow: rows.lowerBound)
            }
        }
    }
}

/// Takes the inner product of each sequence's gradient with every query: `<Dᵀ A, P>`.
///
/// Some rows of all gradients are formed at a time, and multiplied with the same rows of the queries while they are in the processor's
/// cache.
///
/// - Complexity: `T in out` multiply-adds per layer for the gradient of T tokens, whatever the number of queries, and `in out` per query.
struct GradientProducts: Sendable {
    let queries: ScoringQueries
    /// sequences × (rows · in), with a gap after each sequence's values
    private var gradients = Matrix()
    /// sequences × queries
    private var products = Matrix()

    /// The approximate number of a gradient's values that are formed at a time.
    private static let blockValues = 16_384
    /// Fewer rows multiply slowly.
    private static let leastRows = 32
    /// Sequences whose values are a power of two apart would share cache lines.
    private static let gap = 16

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Rows of a gradient that are formed at a time: a power of two, of which the widths of layers are multiples.
    static func blockRows(inputs: Int) -> Int {
        var rows = leastRows
        while 2 * rows * inputs <= blockValues { rows *= 2 }
        return rows
    }

    /// - Parameter table: sequences × queries
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        let (inputs, outputs) = (pass.layer.inputs, pass.layer.outputs)
        let sequences = pass.sequences
        let whole = queries.whole[pass.layer.index]
        let step = min(Self.blockRows(inputs: inputs), outputs)
        let columns = step * inputs + Self.gap
        gradients.resize(rows: sequences.count, columns: columns)
        // Rows of sequences that have no tokens in the layer are not written below.
        if sequences.contains(where: \.isEmpty) {
            gradients.resize(rows: sequences.count, columns: columns, filledWith: 0)
        }
        for start in stride(from: 0, to: outputs, by: step) {
            let block = start..<min(start + step, outputs)
            for (index, rows) in sequences.enumerated() where !rows.isEmpty {
                gradients.setRow(
                    index, toProduct: pass.outputGradients[rows: rows, columns: block].transposed,
                    pass.inputs[rows: rows])
            }
            products.formProduct(
                gradients[columns: 0..<(block.count * inputs)],
                whole[columns: (block.lowerBound * inputs)..<(block.upperBound * inputs)].transposed)
            table.add(products)
        }
    }
}
