import Transformer

/// How a sweep scores its sequences. All forms give the same scores, but for rounding.
enum ScoringForm: Sendable, Equatable {
    /// Each token against each query: `d_tᵀ P a_t`, with P in its thin factors or in full.
    case tokens
    /// Each sequence's gradient `G = Dᵀ A` once, and then its inner product with every query's whole P.
    case gradients
}

/// What scoring one sequence costs in each form, in multiply-adds of a large matrix product.
struct ScoringCost: Sendable {
    /// Tokens of a sequence.
    var tokens: Double
    /// The ranks of all low-rank queries together.
    var totalRank = 0
    /// Queries in full that want a sequence.
    var fullQueries = 0.0
    var queries: Int
    /// Inputs and outputs of each tracked layer.
    var layers: [(inputs: Int, outputs: Int)]

    /// The inner products are of few rows and columns: a multiply-add of theirs counts as so many of a large product's.
    static let thinProduct = 4.0
    /// The most memory that whole queries may take.
    static let gradientBytes = 1 << 29

    var tokenForm: Double {
        layers.reduce(0) { sum, layer in
            let low = Double(totalRank) * Double(layer.inputs + layer.outputs)
            return sum + tokens * (low + fullQueries * Double(layer.inputs * layer.outputs))
        }
    }

    var gradientForm: Double {
        Double(parameters) * (tokens + Self.thinProduct * Double(queries))
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
    ///   - tokens: Of a sequence, on average.
    ///   - wantedShare: The share of all pairs of a query and a candidate that is wanted.
    init(_ queries: [PreconditionedQuery], tracked: TrackedLayers, tokens: Double, wantedShare: Double) {
        let ranks = queries.map(\.width)
        self.init(
            tokens: tokens, totalRank: ranks.reduce(0) { $0 + ($1 ?? 0) },
            fullQueries: Double(ranks.count { $0 == nil }) * wantedShare, queries: queries.count,
            layers: tracked.layers.map { ($0.inputs, $0.outputs) })
    }
}
