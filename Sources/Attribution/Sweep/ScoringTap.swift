import LinearAlgebra
import Transformer

/// Scores training sequences against the queries of a query batch: the inner product of a sequence's gradient with each query's
/// preconditioned gradient, summed over layers (Grosse et al. 2023, equations 30 and 31).
///
/// Products are Float32; sums over tokens and layers Float64.
struct ScoringTap: GradientTap, Sendable {
    let tracked: TrackedLayers
    let wantsLayers: Bool
    let wantsTokens: Bool
    /// For each sequence of the next micro-batch the indices of the queries that want it, ascending; `nil` if all queries want all.
    var wanted: [[Int]]?
    /// One score per sequence and query of the last micro-batch, in its order.
    private(set) var scores: [[SequenceScore]] = []

    private let form: ScoringForm
    /// Summed over layers: tokens × queries, or sequences × queries.
    private var total = ScoreTable(rows: 0, columns: 0)
    /// The same for the current layer alone.
    private var layerTable = ScoreTable(rows: 0, columns: 0)
    /// By layer, sequence and query.
    private var layerScores: [[[Double]]] = []
    private var isStarted = false
    private var products: LayerProducts
    private var queries: ScoringQueries { products.queries }

    init(queries: ScoringQueries, tracked: TrackedLayers, wantsLayers: Bool = false, wantsTokens: Bool = false) {
        products = LayerProducts(queries: queries)
        form = queries.form
        self.tracked = tracked
        self.wantsLayers = wantsLayers
        self.wantsTokens = wantsTokens
    }

    mutating func record(_ pass: LayerPass) {
        if !isStarted { start(pass.batch) }
        guard wantsLayers else { return products.add(pass, to: &total) }
        layerTable.reset(rows: total.rows, columns: queries.count)
        products.add(pass, to: &layerTable)
        layerScores[pass.layer.index] = pass.batch.sequences.indices.map { sequence in
            let rows = rows(of: sequence, in: pass.batch)
            return (0..<queries.count).map { layerTable.sum(rows: rows, column: $0) }
        }
        total.add(layerTable)
    }

    private mutating func start(_ batch: TokenBatch) {
        total.reset(rows: form == .tokens ? batch.tokens.count : batch.sequences.count, columns: queries.count)
        // Zero for the layers of experts to which no token of the micro-batch goes.
        let zeros = [[Double]](
            repeating: [Double](repeating: 0, count: queries.count), count: batch.sequences.count)
        layerScores = [[[Double]]](repeating: zeros, count: wantsLayers ? tracked.layers.count : 0)
        products.wantedRows = wanted.map { queries.wantedRows(of: batch, wanted: $0) }
        isStarted = true
    }

    private func rows(of sequence: Int, in batch: TokenBatch) -> Range<Int> {
        form == .tokens ? batch.sequences[sequence] : sequence..<(sequence + 1)
    }

    mutating func finish(_ batch: TokenBatch) {
        scores = batch.sequences.indices.map { sequence in
            let rows = rows(of: sequence, in: batch)
            let isWanted = wanted.map { Set($0[sequence]) }
            return queries.columns.enumerated().map { query, column in
                guard isWanted?.contains(query) != false else { return .unscored }
                let layers = wantsLayers ? layerScores.map { $0[sequence][column] } : nil
                switch form {
                case .tokens:
                    return SequenceScore(
                        tokens: rows.map { total[$0, column] }, keepingTokens: wantsTokens, layers: layers)
                case .gradients:
                    return SequenceScore(
                        total: total[sequence, column], tokenConcentration: nil, layers: layers, tokens: nil)
                }
            }
        }
        isStarted = false
        wanted = nil
    }
}
