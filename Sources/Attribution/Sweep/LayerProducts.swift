import LinearAlgebra
import Transformer

/// The products of a layer with every query, in the form that the queries are arranged for.
struct LayerProducts: Sendable {
    let queries: ScoringQueries
    /// For each full query the rows of the sequences that it wants; `nil` for all.
    var wantedRows: [[Range<Int>]]?
    private var tokens: TokenProducts
    private var gradients: GradientProducts

    init(queries: ScoringQueries) {
        self.queries = queries
        tokens = TokenProducts(queries: queries)
        gradients = GradientProducts(queries: queries)
    }

    /// - Parameter table: tokens × queries in the token form, sequences × queries in the other.
    mutating func add(_ pass: LayerPass, to table: inout ScoreTable) {
        switch queries.form {
        case .tokens: tokens.add(pass, rows: wantedRows, to: &table)
        case .gradients: gradients.add(pass, to: &table)
        }
    }
}
