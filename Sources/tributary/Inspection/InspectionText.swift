import Curvature
import Foundation
import InfluenceService
import Limits

/// Everything that `tributary inspect` shows.
struct Inspection: Encodable {
    let model: ModelInspection?
    let workspace: WorkspaceInspection?
    /// `nil` if no model is named, or nothing was measured.
    let server: MemoryBound?
}

/// An inspection as text for people: sections of labels and values.
struct InspectionText {
    let style: TerminalStyle

    private static let labelWidth = 22

    func text(of inspection: Inspection) -> String {
        var lines: [String] = []
        if let workspace = inspection.workspace { lines += self.lines(of: workspace) }
        if let model = inspection.model {
            if !lines.isEmpty { lines.append("") }
            lines += self.lines(of: model)
        } else if inspection.workspace != nil {
            lines += ["", style.styled("Name its model with --model to see what a fit and a sweep cost.", .dim)]
        }
        if let server = inspection.server {
            lines += ["", title("Server") + style.styled("  the most resident memory, whatever the requests", .dim)]
            lines += server.parts.map { amount($0.name, Self.bytes($0.bytes), $0.reason) }
            lines.append(amount("total", Self.bytes(server.bytes)))
        }
        return lines.joined(separator: "\n")
    }

    private func title(_ text: String) -> String { style.styled(text, .bold) }

    private func row(_ label: String, _ value: String, _ note: String = "") -> String {
        "  " + style.styled(label.fitted(to: Self.labelWidth), .dim) + value
            + (note.isEmpty ? "" : "  " + style.styled(note, .dim))
    }

    private func amount(_ label: String, _ value: String, _ note: String = "") -> String {
        row(label, value.rightAligned(in: 11), note)
    }

    // MARK: Workspace

    private func lines(of workspace: WorkspaceInspection) -> [String] {
        var lines = [title("Workspace"), row("folder", workspace.folder.escaped)]
        if let corpus = workspace.corpus {
            lines += [
                row(
                    "corpus",
                    "\(corpus.documents) documents, \(corpus.sequences) sequences of at most \(corpus.sequenceLength) tokens"
                ),
                row("", "\(corpus.tokens) tokens, \(corpus.duplicates) duplicates found"),
                row("its tokenizer", String(corpus.tokenizerDigest.prefix(12))),
            ]
        } else {
            lines.append(row("corpus", "none yet", "tributary import"))
        }
        if let factors = workspace.factors {
            lines.append(row("factors", "\(factors.layers) layers, \(Self.bytes(factors.fileBytes))"))
            if let provenance = factors.provenance {
                let seed = provenance.seed.map { ", seed \($0)" } ?? ""
                let blocks = provenance.largestBlock.map { ", covariances in blocks of at most \($0) rows" } ?? ""
                let tokens = provenance.tokens.map { " (\($0) tokens)" } ?? ""
                lines += [
                    row("", "fitted on \(provenance.sequences) sequences\(tokens) by \(provenance.program.escaped)"),
                    row("", "\(provenance.fisher.rawValue) Fisher\(seed)\(blocks)"),
                    row("their model", String((provenance.model ?? "not recorded").prefix(12)).escaped),
                ]
            }
        } else {
            lines.append(row("factors", "none yet", "tributary fit"))
        }
        if workspace.hasFitState { lines.append(row("fit", "interrupted", "tributary fit continues it")) }
        if let bytes = workspace.jobBytes { lines.append(row("jobs", Self.bytes(bytes))) }
        if workspace.checkpoints > 0 {
            lines.append(row("unfinished sweeps", "\(workspace.checkpoints)"))
        }
        return lines
    }

    // MARK: Model

    private func lines(of model: ModelInspection) -> [String] {
        let head = model.hasTiedHead ? "the embedding is the head" : "a head of its own"
        let groups = model.keyValueHeads == model.heads ? "" : ", \(model.keyValueHeads) for keys and values"
        let tokenizer = model.tokenizer
        let special = [("begins", tokenizer.beginning), ("ends", tokenizer.end)].compactMap { role, token in
            token.map { "\(role) with \(Self.named($0))" }
        }
        var lines = [
            title("Model"),
            row("architecture", "\(model.architecture.escaped), \(Self.count(model.parameters)) parameters"),
            row("", "\(model.layers) blocks, width \(model.width), feed-forward \(model.feedForwardWidth)"),
            row("", "\(model.heads) heads of \(model.headWidth)\(groups)"),
            row("", "context of \(model.contextLength) tokens, \(head)"),
            row("digest", String(model.digest.prefix(12))),
            row("tokenizer", "\(tokenizer.kind), \(tokenizer.vocabulary) tokens"),
        ]
        if let adapter = model.adapter { lines.insert(row("adapter", adapter.escaped), at: 5) }
        if let experts = model.experts {
            let shared = experts.sharedWidth.map { ", one of width \($0) shared" } ?? ""
            lines.insert(
                row(
                    "",
                    "\(experts.count) experts of width \(experts.width) in \(experts.blocks) blocks, \(experts.perToken) per token\(shared)"
                ), at: 3)
        }
        if !special.isEmpty { lines.append(row("", special.joined(separator: ", "))) }
        if !tokenizer.prefix.isEmpty {
            lines.append(row("", "before every text: " + tokenizer.prefix.map(Self.named).joined(separator: " ")))
        }
        let blocks = model.largestBlock.map { " in blocks of at most \($0) rows" } ?? ""
        lines += [
            "", title("Tracked layers") + style.styled("  outputs × inputs, factors of each layer\(blocks)", .dim),
        ]
        lines += grouped(model.tracked)
        lines += ["", title("Memory")]
        lines += memory(model.memory)
        lines += [
            "",
            title("Costs")
                + style.styled(
                    "  for \(Self.count(model.costs.sequences)) sequences, \(Self.count(model.costs.tokens)) tokens",
                    .dim),
        ]
        lines += costs(model)
        return lines
    }

    /// One line per group of layers that differ only in the number of their block.
    private func grouped(_ layers: [TrackedLayerInspection]) -> [String] {
        var order: [String] = []
        var members: [String: [TrackedLayerInspection]] = [:]
        for layer in layers {
            let name = layer.name.split(separator: ".").map { Int($0) == nil ? String($0) : "*" }.joined(separator: ".")
            let key = "\(name) \(layer.outputs)x\(layer.inputs)"
            if members[key] == nil { order.append(key) }
            members[key, default: []].append(layer)
        }
        let names = order.map { String($0.prefix { $0 != " " }).escaped }
        let width = min(names.map(\.columns).max() ?? 0, max(20, style.width - 50))
        return zip(order, names).compactMap { key, name in
            guard let group = members[key], let first = group.first else { return nil }
            let shape = "\(first.outputs) × \(first.inputs)".rightAligned(in: 13)
            let count = "\(group.count) layers".rightAligned(in: 11)
            return "  \(name.fitted(to: width))\(shape)\(count)\(Self.bytes(first.factorBytes).rightAligned(in: 10))"
        }
    }

    private func memory(_ memory: MemoryEstimate) -> [String] {
        var lines = [
            amount("weights", Self.bytes(memory.weights)), amount("factors", Self.bytes(memory.factors)),
            amount("a query in full", Self.bytes(memory.fullQuery)),
        ]
        if let workspace = memory.workspace {
            lines.append(
                amount(
                    "sweep workspace", Self.bytes(workspace),
                    "per worker, for \(memory.batchTokens) tokens at a time; \(memory.workers) workers"))
        }
        lines.append(
            amount(
                "a completion", Self.bytes(memory.completion),
                "at most, and a workspace, per completion that runs at a time"))
        if let serving = memory.serving {
            lines.append(
                amount("serving", Self.bytes(serving), "weights + factors + workspaces + a query in full"))
        }
        if let fitting = memory.fitting {
            lines.append(
                amount(
                    "fitting", Self.bytes(fitting),
                    "weights + workspaces + sums: \(Self.bytes(memory.covarianceSums)) per worker, later "
                        + "\(Self.bytes(memory.squareSums)) per worker beside \(Self.bytes(memory.eigenvectors)) of eigenvectors"
                ))
        }
        return lines
    }

    private func costs(_ model: ModelInspection) -> [String] {
        let costs = model.costs
        func stage(_ label: String, _ stage: CostEstimate.Stage, _ note: String = "") -> String {
            let time = stage.seconds.map(Self.duration) ?? "-"
            return row(
                label, Self.operations(stage.operations).rightAligned(in: 11) + time.rightAligned(in: 12), note)
        }
        var lines = [
            stage("fit", costs.fit, "writes \(Self.bytes(costs.factorFileBytes)) of factors"),
            stage("  covariances", costs.covariances), stage("  eigenvectors", costs.eigendecompositions),
            stage("  eigenvalues", costs.eigenvalues),
            stage("sweep", costs.sweep, "one query of rank \(costs.sweepRank), all sequences"),
        ]
        if let measured = model.measurement {
            let products = Self.operations(measured.productOperationsPerSecond)
            let half = measured.bf16ProductOperationsPerSecond.map { ", \(Self.operations($0))/s in bf16 products" }
            lines.append(
                style.styled(
                    "  measured on \(measured.workers == 1 ? "one worker" : "\(measured.workers) workers"): \(Self.count(Int(saturating: measured.tokensPerSecond))) tokens/s in a pass, "
                        + "\(products)/s in products\(half ?? "")", .dim))
        } else {
            lines.append(style.styled("  no times: nothing was measured", .dim))
        }
        return lines
    }

    // MARK: Numbers

    private static func named(_ token: TokenizerInspection.SpecialToken) -> String {
        "\(token.text.escaped) (\(token.id))"
    }

    /// Three digits with a decimal unit.
    private static func scaled(_ value: Double, _ units: [String]) -> String {
        var value = value
        var unit = 0
        while value >= 999.5, unit < units.count - 1 {
            value /= 1_000
            unit += 1
        }
        let digits = unit == 0 || value >= 99.95 ? 0 : value >= 9.995 ? 1 : 2
        return String(format: "%.\(digits)f", value) + units[unit]
    }

    private static func bytes(_ count: Int) -> String { scaled(Double(count), [" B", " kB", " MB", " GB", " TB"]) }

    private static func count(_ count: Int) -> String {
        count < 100_000 ? "\(count)" : scaled(Double(count), ["", " thousand", " million", " billion"])
    }

    private static func operations(_ count: Double) -> String {
        scaled(count, [" FLOP", " kFLOP", " MFLOP", " GFLOP", " TFLOP", " PFLOP", " EFLOP"])
    }

    private static func duration(_ seconds: Double) -> String {
        switch seconds {
        case ..<1: String(format: "%.0f ms", seconds * 1_000)
        case ..<100: String(format: "%.1f s", seconds)
        case ..<5_400: String(format: "%.0f min", seconds / 60)
        case ..<172_800: String(format: "%.1f h", seconds / 3_600)
        default: String(format: "%.1f days", seconds / 86_400)
        }
    }
}
