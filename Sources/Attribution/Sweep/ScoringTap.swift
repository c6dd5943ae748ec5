import LinearAlgebra
import Transformer

/// Scores training sequences against the queries of a batch: for token t of a sequence, query P and each layer,
/// `d_tᵀ P a_t`, which is the token's share of the inner product of the sequence's gradient with P (Grosse et al. 2023,
/// equations 30 and 31).
///
/// A low-rank query costs `rank · (in + out)` multiply-adds a token and layer, a full one `in · out`. Products are Float32; sums
/// over tokens and layers Float64.
struct ScoringTap: GradientTap, Sendable {
    let tracked: TrackedLayers
    let wantsLayers: Bool
    let wantsTokens: Bool
    /// One a sequence of the last batch and query, in the batch's order.
    private(set) var scores: [[SequenceScore]] = []

    /// tokens × queries, summed over layers.
    private var total = ScoreTable(rows: 0, columns: 0)
    /// tokens × queries of the layer at hand.
    private var layerTable = ScoreTable(rows: 0, columns: 0)
    /// For each layer, sequence and query.
    private var layerScores: [[[Double]]] = []
    private var isStarted = false

    private var products: QueryProducts
    private var queries: ScoringQueries { products.queries }

    init(queries: ScoringQueries, tracked: TrackedLayers, wantsLayers: Bool = false, wantsTokens: Bool = false) {
        products = QueryProducts(queries: queries)
        self.tracked = tracked
        self.wantsLayers = wantsLayers
        self.wantsTokens = wantsTokens
    }

    mutating func record(_ pass: LayerPass) {
        if !isStarted {
            total.reset(rows: pass.batch.tokens.count, columns: queries.count)
            layerScores = [[[Double]]](repeating: [], count: wantsLayers ? tracked.layers.count : 0)
            isStarted = true
        }
        guard wantsLayers else {
            products.add(pass, to: &total)
            return
        }
        layerTable.reset(rows: pass.batch.tokens.count, columns: queries.count)
        products.add(pass, to: &layerTable)
        layerScores[pass.layer.index] = pass.batch.sequences.map { rows in
            (0..<queries.count).map { layerTable.sum(rows: rows, column: $0) }
        }
        total.add(layerTable)
    }

    mutating func finish(_ batch: TokenBatch) {
        scores = batch.sequences.enumerated().map { sequence, rows in
            queries.columns.map { column in
                let tokens = rows.map { total[$0, column] }
                return SequenceScore(
                    tokens: tokens, keepingTokens: wantsTokens,
                    layers: wantsLayers ? layerScores.map { $0[sequence][column] } : nil)
            }
        }
        isStarted = false
    }
}

/// The products of one layer's inputs and output gradients with every query, token by token.
private struct QueryProducts: Sendable {
    let queries: ScoringQueries
    private var left = Matrix()
    private var right = Matrix()

    init(queries: ScoringQueries) {
        self.queries = queries
    }

    /// Adds `d_tᵀ P a_t` for each token t and query P.
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        let layer = pass.layer.index
        for group in queries.groups {
            left.formProduct(pass.outputGradients, group.left[layer].slice)  // tokens × (queries · rank)
            right.formProduct(pass.inputs, group.right[layer].slice)
            table.addSegmentedDots(left, right, width: group.width, column: group.column)
        }
        for query in queries.full {
            left.formProduct(pass.inputs, query.layers[layer].transposed)  // tokens × out
            table.addRowDots(pass.outputGradients, left.slice, toColumn: query.column)
        }
    }
}

/// A sequence's influence on one query's completion.
public struct SequenceScore: Sendable, Equatable {
    /// In nats; positive: training on the sequence makes the completion likelier.
    public let total: Double
    /// The L2 norm of the token scores over their L1 norm: 1 if all influence is in one token.
    public let tokenConcentration: Double
    /// Through each tracked layer, where asked for.
    public let layers: [Double]?
    /// Of each position, where asked for.
    public let tokens: [Double]?

    /// The score of a sequence that was passed over.
    static let zero = SequenceScore(total: 0, tokenConcentration: 0, layers: nil, tokens: nil)

    init(total: Double, tokenConcentration: Double, layers: [Double]?, tokens: [Double]?) {
        self.total = total
        self.tokenConcentration = tokenConcentration
        self.layers = layers
        self.tokens = tokens
    }

    init(tokens: [Double], keepingTokens: Bool, layers: [Double]?) {
        total = tokens.reduce(0, +)
        let absolute = tokens.reduce(0) { $0 + abs($1) }
        let squares = tokens.reduce(0) { $0 + $1 * $1 }
        tokenConcentration = absolute > 0 ? squares.squareRoot() / absolute : 0
        self.tokens = keepingTokens ? tokens : nil
        self.layers = layers
    }

    /// Whether the score is likely an artefact: nearly all of it in one token (Grosse et al. 2023, section 5.3).
    public var isSpurious: Bool { tokenConcentration > 2.0 / 3 }
}
