import Attribution

/// Which findings hold for a model.
public struct FindingsResult: EvaluationResult, Codable, Equatable {
    public var subject: EvaluatedSubject
    public var settings: InfluenceFindings.Settings
    public var queries: [Query]
    public var layers: [InfluenceByBlock]
    public var wordOrder: GivenTextScores
    public var register: GivenTextScores
    /// One entry per model, this one's first.
    public var scale: [InfluenceAbstraction]
    public var seconds: Double

    public struct Query: Sendable, Codable, Equatable {
        public var kind: String
        public var query: EvaluationQuery
        /// The completion's log-probability in nats: a model that does not know an answer has not learned it from any sequence.
        public var logProbability: Double
        public var concentration: InfluenceConcentration
        /// The tail of the positive scores; `nil` if there are too few.
        public var tail: PowerLawTail?
        /// ``PowerLawTail/goodnessOfFit(of:samples:seed:)``: at most 0.1 if the tail is not a power law.
        public var goodnessOfFit: Double?
    }
}

extension FindingsResult {
    public var report: EvaluationReport {
        EvaluationReport(
            title: "Findings of Grosse et al. 2023",
            question: "Which of the findings about influence in large language models hold for this model?",
            findings: [
                concentrationFinding, tailFinding, layerFinding, orderFinding, registerFinding, scaleFinding,
            ].compactMap(\.self),
            sections: [
                ("How concentrated influence is", concentration),
                ("In which blocks it lies", blocks),
                ("Order of words", givenTexts(wordOrder)),
                ("Dialogue and description", givenTexts(register)),
                ("Abstraction", abstraction),
            ],
            provenance: subject.provenance(seed: settings.seed, seconds: seconds))
    }

    // MARK: Findings

    private static func verdict(_ isFound: Bool, _ text: String) -> String {
        (isFound ? "Found: " : "Not found: ") + text
    }

    private func share(ofTop top: Double) -> Double? {
        let found = queries.compactMap { $0.concentration.shares.first { $0.top == top }?.ofInfluence }
        return found.isEmpty ? nil : found.reduce(0, +) / Double(found.count)
    }

    /// In the paper, the top 1 % of sequences hold 12 to 52 % of the influence.
    private var concentrationFinding: String? {
        share(ofTop: 0.01).map {
            Self.verdict(
                $0 > 0.1,
                "influence is concentrated, yet distributed over many sequences: the top 1 % of them hold \(Figure.percent($0)) of "
                    + "the positive influence, on average over queries.")
        }
    }

    /// In the paper, the upper tail is a power law for most queries.
    private var tailFinding: String? {
        let exponents = queries.compactMap { $0.tail?.exponent }.sorted()
        guard let low = exponents.first, let high = exponents.last else { return nil }
        let credible = queries.filter { ($0.goodnessOfFit ?? 0) > 0.1 }.count
        return Self.verdict(
            2 * credible > queries.count,
            "the upper tail of the scores is a power law: credible for \(credible) of \(queries.count) queries (goodness of fit "
                + "above 0.1), with exponents from \(Figure.number(low, 2)) to \(Figure.number(high, 2)).")
    }

    /// In the paper, influence is distributed over all layers; for memorised and translated completions it lies in the upper layers.
    private var layerFinding: String? {
        guard let memorised = layers.first, let depth = memorised.meanDepth else { return nil }
        let others = layers.dropFirst().compactMap { own in own.meanDepth.map { (own.kind, $0) } }
        guard !others.isEmpty else { return nil }
        let apart = others.filter { !$0.1.overlaps(depth) }
        let depths = ([(memorised.kind, depth)] + others).map { "\($0.0) \(Figure.estimate($0.1, 2))" }
        return Self.verdict(
            !apart.isEmpty,
            "influence lies in other blocks for \(memorised.kind) queries than for others. Mean depth, 0 the lowest block and "
                + "1 the highest: \(depths.joined(separator: ", ")).")
    }

    /// In the paper, influence drops to nearly zero if the completion's phrase comes first.
    private var orderFinding: String? {
        wordOrder.relativeInfluenceOfLast.map {
            Self.verdict(
                $0.high < 0.5,
                "texts with the completion's words before the prompt's have little influence: \(Figure.estimate($0, 2)) times the "
                    + "influence of the same words in order.")
        }
    }

    private var registerFinding: String? {
        register.relativeInfluenceOfLast.map {
            Self.verdict(
                $0.high < 1,
                "dialogue influences a completion in a dialogue more than a description of the same subject does: descriptions "
                    + "have \(Figure.estimate($0, 2)) times the influence.")
        }
    }

    private var scaleFinding: String? {
        guard scale.count > 1 else { return "Not tested: abstraction with scale needs several models (--models)." }
        let ordered = scale.sorted { $0.subject.parameters < $1.subject.parameters }
        guard let smallest = ordered.first?.tokenOverlap, let largest = ordered.last?.tokenOverlap else { return nil }
        return Self.verdict(
            largest.high < smallest.low,
            "the largest model's top sequences have less lexical overlap with the query than the smallest model's: "
                + "\(Figure.estimate(largest, 2)) and \(Figure.estimate(smallest, 2)) of the query's tokens.")
    }

    // MARK: Sections

    private var concentration: [EvaluationReport.Element] {
        [
            .paragraph(
                "The share of the top sequences in the sum of all positive scores over the whole corpus, and the exponent of the "
                    + "power law that fits the upper tail best: below 2, a handful of sequences hold most of the sum. Goodness of "
                    + "fit: the share of \(settings.fitSamples) samples from that law that are farther from their own best fit. At "
                    + "0.1 or less, the tail is not a power law."),
            .table(
                columns: ["query", "kind", "log p"]
                    + InfluenceConcentration.tops.map { "top \(Figure.percent($0, 2))" }
                    + ["positive", "tail exponent", "goodness of fit"],
                rows: queries.map { own in
                    [own.query.label, own.kind, Figure.number(own.logProbability, 2)]
                        + own.concentration.shares.map { Figure.percent($0.ofInfluence) }
                        + [
                            "\(own.concentration.positive)",
                            own.tail.map {
                                "\(Figure.number($0.exponent, 2)) ± \(Figure.number($0.standardError, 2))"
                            } ?? "-",
                            Figure.number(own.goodnessOfFit, 2),
                        ]
                }),
        ]
    }

    private var blocks: [EvaluationReport.Element] {
        let count = layers.map(\.shares.count).max() ?? 0
        return [
            .paragraph(
                "The positive influence of each query's top \(settings.top) sequences, block by block; means over the queries of "
                    + "a kind. Completions of low probability were not learned from any sequence: their influence says little."
            ),
            .table(
                columns: ["kind", "queries"] + (0..<count).map { "block \($0)" } + ["mean depth"],
                rows: layers.map { own in
                    [own.kind, "\(own.queries)"] + own.shares.map { Figure.percent($0.value) }
                        + [Figure.estimate(own.meanDepth, 2)]
                }),
            .plot(
                "Share of the positive influence by block",
                .lines(
                    layers.map { own in
                        Plot.Series(own.kind, own.shares.enumerated().map { (Double($0.offset), $0.element.value) })
                    }, x: Plot.Axis("block"), y: Plot.Axis("share of influence"))),
        ]
    }

    private func givenTexts(_ scores: GivenTextScores) -> [EvaluationReport.Element] {
        guard let first = scores.kinds.first else { return [.paragraph("No questions of this kind.")] }
        return [
            .paragraph(
                "The scores of texts as if they were training sequences, relative to the score of the text \(first.kind)."
            ),
            .table(
                columns: ["", "relative influence"],
                rows: scores.kinds.map { [$0.kind, Figure.estimate($0.relative, 2)] }),
            .table(
                columns: ["query"] + scores.kinds.map(\.kind),
                rows: scores.questions.map { question in
                    [question.query.label]
                        + scores.kinds.map { kind in
                            Figure.number(question.texts.first { $0.kind == kind.kind }?.score, 1)
                        }
                }),
            .plot(
                "Influence relative to the text \(first.kind), mean over queries, with its 95 % interval",
                .bars(
                    scores.kinds.compactMap { own in own.relative.map { Plot.Bar(own.kind, $0) } },
                    label: "relative influence")),
        ]
    }

    private var abstraction: [EvaluationReport.Element] {
        [
            .paragraph(
                "The share of each query's tokens that a top sequence also has, and the share of the top "
                    + "\(settings.abstractionTop) in another language than most of them."),
            .table(
                columns: ["model", "parameters", "token overlap", "other language"],
                rows: scale.map {
                    [
                        $0.subject.model, "\($0.subject.parameters)", Figure.estimate($0.tokenOverlap),
                        Figure.estimate($0.crossLingualShare),
                    ]
                }),
        ]
    }
}
