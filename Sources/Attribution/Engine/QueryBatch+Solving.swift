import Curvature

extension QueryBatch {
    /// The queries' gradients, each with its product with the inverse curvature where its estimator iterates for that.
    func solvedGradients(
        asOf corpusSequences: Int
    ) throws -> ([QueryGradient], [InfluenceResult.Method], [Int: QueryError]) {
        let iterating = queries.indices.filter { queries[$0].estimator == .astra }
        let total = queries.count + iterating.count * engine.astra.iterations
        report(.gradients, 0, total)
        var gradients = try engine.gradients(of: tokenized) { try step(for: Array(queries.indices)) }
        report(.gradients, queries.count, total)
        var methods = queries.map { InfluenceResult.Method(estimator: $0.estimator) }
        var failures = overflowing(gradients)
        guard !iterating.isEmpty else { return (gradients, methods, failures) }
        let curvature = try engine.curvature(asOf: corpusSequences)
        for (place, query) in iterating.enumerated() where failures[query] == nil {
            let start = queries.count + place * engine.astra.iterations
            let control = WorkControl<WorkProgress>(
                progress: { done, _ in report(.gradients, start + done, total) }, step: { try step(for: [query]) })
            do {
                methods[query] = try engine.solve(
                    &gradients[query], for: queries[query], with: curvature, control: control)
            } catch let error as SolveError {
                failures[query] = .unusable(field: "estimator", reason: "\(error)")
            } catch {
                failures[query] = QueryError(error)
            }
        }
        return (gradients, methods, failures)
    }

    /// The queries whose completions have no log-probability, as far as the model can tell: none of their scores would be a number.
    private func overflowing(_ gradients: [QueryGradient]) -> [Int: QueryError] {
        var failures: [Int: QueryError] = [:]
        for (index, gradient) in gradients.enumerated() where !gradient.hasFiniteMeasurement {
            failures[index] = .unusable(
                field: "completion",
                reason: "its log-probability is not finite: the model overflows on this prompt and completion, or its "
                    + "weights are damaged")
        }
        return failures
    }
}
