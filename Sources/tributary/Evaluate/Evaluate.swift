import ArgumentParser

/// `tributary evaluate`: what scores are worth, one question a subcommand.
struct Evaluate: ParsableCommand {
    static let configuration = CommandConfiguration(
        abstract:
            "Check scores against other estimators, and against models that are trained on other data.",
        subcommands: [
            EvaluateEstimators.self, EvaluateLDS.self, EvaluateRemove.self, EvaluateTailPatch.self,
            EvaluateMislabel.self, EvaluatePBRF.self, EvaluateSanity.self, EvaluateFindings.self,
        ])
}
