import Foundation
import LinearAlgebra

/// Which experts each token of a micro-batch goes to, and the factor of each expert's output.
///
/// With the router's logits of a token, its factors are entries of one softmax `q`: of all logits, or of the logits of the chosen experts
/// alone if the family makes the factors sum to 1. The choice of the experts is held fixed: it has no gradient.
struct ExpertRouting: Sendable {
    /// tokens × experts: `q`; zero for experts that are not chosen if the factors sum to 1.
    private(set) var probabilities = Matrix()
    /// For each expert the tokens that go to it, ascending.
    private(set) var positions: [[Int]] = []
    /// For each expert and each of its tokens the factor of its output.
    private(set) var factors: [[Float]] = []

    /// The chosen experts, token after token.
    private var chosen: [Int] = []

    /// Chooses the experts of each token: those with the largest logits, the first of equals.
    ///
    /// - Parameters:
    ///   - perToken: How many experts a token goes to, at most the number of experts.
    ///   - logits: tokens × experts. An expert whose logit is not a number comes last.
    ///   - renormalizes: Whether a token's factors sum to 1.
    mutating func choose(_ perToken: Int, of logits: Matrix, renormalizes: Bool) {
        precondition(0...logits.columns ~= perToken, "\(perToken) of \(logits.columns) experts")
        choose(perToken, of: logits)
        formProbabilities(of: logits, perToken: perToken, renormalizes: renormalizes)
        while positions.count < logits.columns {
            positions.append([])
            factors.append([])
        }
        for expert in positions.indices {
            positions[expert].removeAll(keepingCapacity: true)
            factors[expert].removeAll(keepingCapacity: true)
        }
        for (index, expert) in chosen.enumerated() {
            let token = index / perToken
            positions[expert].append(token)
            factors[expert].append(probabilities[token, expert])
        }
    }

    private mutating func choose(_ perToken: Int, of logits: Matrix) {
        chosen.removeAll(keepingCapacity: true)
        for token in 0..<logits.rows {
            let first = chosen.count
            for _ in 0..<perToken {
                var best: Int?
                for expert in 0..<logits.columns where !chosen[first...].contains(expert) {
                    let logit = logits[token, expert]
                    let largest = best.map { logits[token, $0] } ?? .nan
                    if best == nil || logit > largest || (largest.isNaN && !logit.isNaN) { best = expert }
                }
                if let best { chosen.append(best) }
            }
        }
    }

    private mutating func formProbabilities(of logits: Matrix, perToken: Int, renormalizes: Bool) {
        probabilities.resize(rows: logits.rows, columns: logits.columns, filledWith: 0)
        for token in 0..<logits.rows {
            let experts = chosen[(token * perToken)..<((token + 1) * perToken)]
            guard let first = experts.first else { continue }
            let largest = logits[token, first]
            var sum: Float = 0
            func include(_ expert: Int) {
                let weight = exp(logits[token, expert] - largest)
                probabilities[token, expert] = weight
                sum += weight
            }
            if renormalizes { experts.forEach(include) } else { (0..<logits.columns).forEach(include) }
            for expert in 0..<logits.columns { probabilities[token, expert] /= sum }
        }
    }
}
