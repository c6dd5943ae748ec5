import ArgumentParser
import Attribution
import Foundation

struct ResultTable {
    private let style: TerminalStyle
    /// The most lines of each sequence's text; `nil` for the whole text.
    private let textLines: Int?

    private static let scoreWidth = 9
    private static let rankWidth = 4
    private static let narrowestText = 36

    init(_ options: TableOptions) {
        self.init(
            style: .standardOutput(hasColor: options.color.choice), textLines: options.lines == 0 ? nil : options.lines)
    }

    init(style: TerminalStyle, textLines: Int?) {
        self.style = style
        self.textLines = textLines
    }

    func text(of result: InfluenceResult) -> String {
        var lines = header(of: result)
        let proponents = result.sequences.filter { $0.score > 0 }
        let opponents = result.sequences.filter { $0.score <= 0 }
        if result.sequences.isEmpty { lines += ["", "No sequence has an influence with the requested sign."] }
        if !proponents.isEmpty { lines += section("Sequences that make the completion likelier", proponents) }
        if !opponents.isEmpty { lines += section("Sequences that make the completion less likely", opponents) }
        let spread = InfluenceSpread(result).lines.flatMap { $0.wrapped(to: style.width) }
        if !spread.isEmpty { lines += [""] + spread }
        if !result.sequences.isEmpty { lines += legend(of: result) }
        return lines.joined(separator: "\n") + "\n"
    }

    // MARK: The query, and how it was answered

    private func header(of result: InfluenceResult) -> [String] {
        let query = result.query
        if let parts = query.parts { return behaviour(query, parts) + footing(of: result) }
        let completion = query.completion.printable
        let gap = query.completion.first?.isWhitespace == true || query.prompt.last?.isWhitespace == true ? " " : ""
        var lines = [style.styled(query.prompt.printable, nil) + gap + style.styled(completion, .bold)]
        if let id = query.id { lines[0] = style.styled("[\(id.escaped)] ", .dim) + lines[0] }
        lines += Self.logProbability(query.logProbability, query.tokens).wrapped(to: style.width)
        if query.spans != nil {
            let measured = query.tokens.filter { $0.measured == true }.map { "\"\($0.text.escaped)\"" }
            lines += "explained are the tokens \(measured.joined(separator: ", "))".wrapped(to: style.width)
        }
        if let contrast = query.contrast {
            let name = "against \"\(contrast.completion.escaped)\", "
            lines += (name + Self.logProbability(contrast.logProbability, contrast.tokens)).wrapped(to: style.width)
        }
        if query.spans != nil || query.contrast != nil, let measurement = query.measurement {
            lines.append("what is explained: \(String(format: "%+.3f", measurement)) nats")
        }
        if let count = query.droppedMessages {
            lines.append("The chat is longer than the model's context: its first \(count) messages were left out.")
        }
        if query.completionStartsInsideToken {
            lines.append("The completion's first token also holds the end of the prompt.")
        }
        return lines + footing(of: result)
    }

    /// The behaviour, with the parts of which most of it is made.
    private func behaviour(_ query: InfluenceResult.UnderstoodQuery, _ parts: [InfluenceResult.Part]) -> [String] {
        let id = query.id.map { "[\($0.escaped)] " } ?? ""
        let combined = query.combine == .sum ? "sum" : "mean"
        var lines =
            (id + "The \(combined) of \(parts.count) log-probabilities is "
            + "\(String(format: "%+.3f", query.measurement ?? query.logProbability)) nats. Its largest parts:")
            .wrapped(to: style.width)
        let leading = parts.sorted { abs($0.share ?? 0) > abs($1.share ?? 0) }.prefix(Self.leadingParts)
        for part in leading {
            let share = part.share.map { String(format: "%4.0f %%", 100 * $0) } ?? "     "
            let text = (part.prompt + "→" + part.completion).split(whereSeparator: \.isNewline).joined(separator: " ")
            lines.append(
                "  \(share)  \(String(format: "%8.3f", part.logProbability))  \(text.printable.suffix(style.width - 24))"
            )
        }
        return lines
    }

    private static let leadingParts = 5

    private func footing(of result: InfluenceResult) -> [String] {
        var lines: [String] = []
        let candidates = result.candidates
        let timings = result.timings
        let stages = [
            ("gradients", timings.gradients), ("candidates", timings.candidates), ("sweep", timings.sweep),
            ("rescoring", timings.rescore),
        ].map { "\($0) \(String(format: "%.2f", $1)) s" }.joined(separator: ", ")
        let scored =
            candidates.selection == "texts"
            ? "\(candidates.considered) texts scored; "
            : "\(candidates.considered) of \(candidates.corpusSequences) sequences scored (\(candidates.selection)); "
        let shared = timings.batchSize > 1 ? ", shared by \(timings.batchSize) queries" : ""
        lines += (scored + stages + shared).wrapped(to: style.width).map { style.styled($0, .dim) }
        if let count = candidates.notFinite, count > 0 {
            let note = "The model overflows on \(count) of these, which have no score and no rank."
            lines += note.wrapped(to: style.width).map { style.styled($0, .warning) }
        }
        for warning in result.warnings ?? [] {
            lines += "Warning: \(warning.printable).".wrapped(to: style.width).map { style.styled($0, .warning) }
        }
        if let method = Self.method(of: result) {
            lines += method.wrapped(to: style.width).map { style.styled($0, .dim) }
        }
        return lines
    }

    private static func logProbability(_ sum: Double, _ tokens: [InfluenceResult.QueryToken]) -> String {
        let each = tokens.compactMap { token in
            token.logProbability.map { "\"\(token.text.escaped)\" \(String(format: "%.3f", $0))" }
        }
        return "log-probability \(String(format: "%.3f", sum)) nats: \(each.joined(separator: ", "))"
    }

    /// How the inverse curvature was estimated; `nil` if it was by the factors alone.
    private static func method(of result: InfluenceResult) -> String? {
        switch result.method?.estimator {
        case nil, .ekfac: return nil
        case .identity: return "Scores are inner products of gradients (identity), and not in nats."
        case .astra:
            let cost = result.method
            return
                "Inverse curvature by ASTRA: \(cost?.iterations ?? 0) iterations, \(cost?.sequences ?? 0) sequences, "
                + "\(String(format: "%.1f", cost?.seconds ?? 0)) s."
        }
    }

    // MARK: Sequences

    private func section(_ title: String, _ sequences: [InfluentialSequence]) -> [String] {
        let longest = sequences.map { $0.id.escaped.columns }.max() ?? 0
        let idWidth = max(2, min(longest, style.width / 4))
        let fixed = Self.rankWidth + 2 * Self.scoreWidth + idWidth + 8
        // On a narrow terminal, the text is below.
        let isBeside = style.width - fixed >= Self.narrowestText
        let textWidth = isBeside ? style.width - fixed : style.width - Self.rankWidth - 2
        let indent = String(repeating: " ", count: isBeside ? fixed : Self.rankWidth + 2)
        var lines = [""] + title.wrapped(to: style.width).map { style.styled($0, .bold) }
        let columns = [
            "rank".rightAligned(in: Self.rankWidth), "score".rightAligned(in: Self.scoreWidth),
            "per copy".rightAligned(in: Self.scoreWidth), "id".fitted(to: idWidth), isBeside ? "text" : "",
        ]
        lines.append(style.styled(columns.joined(separator: "  ").trimmedEnd, .dim))
        for sequence in sequences {
            let row = [
                "\(sequence.rank)".rightAligned(in: Self.rankWidth),
                sequence.score.withSign.rightAligned(in: Self.scoreWidth),
                sequence.natsPerCopy.withSign.rightAligned(in: Self.scoreWidth),
                sequence.id.escaped.fitted(to: idWidth),
            ].joined(separator: "  ")
            var text = InfluentialText(sequence, style: style).lines(width: textWidth, count: textLines)
            if sequence.spurious { text.append(style.styled("(spurious)", .warning)) }
            if let layers = sequence.layers {
                text.append(style.styled(Self.strongest(layers).cut(to: textWidth), .dim))
            }
            lines.append(isBeside ? row + "  " + (text.first ?? "") : row.trimmedEnd)
            lines += text.dropFirst(isBeside ? 1 : 0).map { indent + $0 }
        }
        return lines
    }

    private static func strongest(_ layers: [InfluentialSequence.LayerScore]) -> String {
        let shown = layers.sorted { abs($0.score) > abs($1.score) }.prefix(3)
        return shown.map { "\($0.name.escaped) \($0.score.withSign)" }.joined(separator: ", ")
    }

    private func legend(of result: InfluenceResult) -> [String] {
        var lines = [
            "",
            "score: influence in nats; per copy: what one more copy in the training set would add to the log-probability.",
        ]
        if result.sequences.contains(where: { $0.tokens != nil }) {
            lines.append(
                (style.hasColor
                    ? "Green tokens carry a sequence's influence, red ones speak against it"
                    : "*Marked* tokens carry most of a sequence's influence")
                    + "; each stands before the token it predicts.")
        }
        if result.sequences.contains(where: \.spurious) {
            lines.append("spurious: a single token has nearly all of the influence.")
        }
        return lines.flatMap { $0.wrapped(to: style.width) }.map { style.styled($0, .dim) }
    }
}

extension Double {
    /// About four significant digits, with the sign.
    var withSign: String {
        switch abs(self) {
        case 1_000..<1_000_000: String(format: "%+.0f", self)
        case 100..<1_000: String(format: "%+.1f", self)
        case 1..<100: String(format: "%+.2f", self)
        case 0.001..<1: String(format: "%+.4f", self)
        default: String(format: "%+.1e", self)
        }
    }
}

extension String {
    fileprivate var trimmedEnd: String { String(reversed().drop { $0 == " " }.reversed()) }

    /// The text in lines of this many columns, broken between words.
    fileprivate func wrapped(to width: Int) -> [String] {
        var lines: [String] = []
        for word in split(separator: " ", omittingEmptySubsequences: false) {
            if let last = lines.last, last.columns + 1 + String(word).columns <= width {
                lines[lines.count - 1] = last + " " + word
            } else {
                lines.append(String(word))
            }
        }
        return lines
    }
}

struct TableOptions: ParsableArguments {
    @Option(
        help: """
            Whether to use colour: auto (on a terminal), always or never. Without colour, asterisks mark influential tokens.
            """)
    var color = Color.auto

    @Option(help: "How many lines of each sequence's text to show; 0 for the whole text.")
    var lines = 3

    private static let lineLimit = 0...10_000

    enum Color: String, CaseIterable, ExpressibleByArgument {
        case auto, always, never

        /// `nil` to detect it.
        var choice: Bool? {
            switch self {
            case .auto: nil
            case .always: true
            case .never: false
            }
        }
    }

    func validate() throws {
        try Self.lineLimit.check(lines, of: "--lines")
    }
}

struct ColorOptions: ParsableArguments {
    @Option(help: "auto, always or never.")
    var color = TableOptions.Color.auto
}
