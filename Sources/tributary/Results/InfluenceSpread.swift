import Attribution
import Foundation
import Limits

/// How influence is distributed over the scored sequences, and how much was missed, in a few lines.
struct InfluenceSpread {
    let lines: [String]

    private static let sourceLimit = 4

    init(_ result: InfluenceResult) {
        // Ad-hoc texts are not a sample of the corpus.
        guard result.candidates.selection != "texts" else {
            lines = []
            return
        }
        lines = [Self.sources(of: result), Self.tail(of: result), Self.missed(by: result)].compactMap { $0 }
    }

    /// `nil` if all sequences have one source.
    private static func sources(of result: InfluenceResult) -> String? {
        guard let sources = result.sources, sources.count > 1 else { return nil }
        let named = sources.prefix(sourceLimit).map { source in
            let signs = [source.positive, source.negative].filter { $0 != 0 }.map(\.withSign)
            return "\(source.source?.escaped ?? "(none)") \(signs.isEmpty ? "0" : signs.joined(separator: " ")) "
                + "of \(source.sequences)"
        }
        // In a result from a file, the number of other sources can be anything.
        let more = (sources.count - named.count) &+ (result.otherSources?.sources ?? 0)
        return "by source: \(named.joined(separator: ", "))" + (more > 0 ? ", and \(more) more" : "")
    }

    private static func tail(of result: InfluenceResult) -> String? {
        let law = result.distribution?.powerLaw.map {
            "power law of exponent \(format($0.exponent, 2)) ± \(format($0.standardError, 2)) from \($0.from.withSign) on"
        }
        let share = result.distribution?.shares?.first { $0.part >= 0.01 }.map {
            "the top \(percent($0.part)) hold \(percent($0.share)) of the positive influence"
        }
        let parts = [share, law].compactMap { $0 }
        return parts.isEmpty ? nil : "distribution: \(parts.joined(separator: "; "))"
    }

    private static func missed(by result: InfluenceResult) -> String? {
        guard let bias = result.prefilterBias else { return nil }
        guard bias.sampled > 0 else { return "not scored: nothing, so that nothing was missed" }
        let share = bias.missedShare.map {
            ", which hold about \(percent($0)) ± \(percent(bias.missedShareError ?? 0)) of the positive influence"
        }
        return "not scored: \(bias.outside) sequences\(share ?? ""); "
            + "\(bias.wouldRank) of \(bias.sampled) drawn at random would have been shown"
    }

    private static func percent(_ share: Double) -> String {
        share >= 0.1 || share == 0
            ? "\(Int(saturating: (100 * share).rounded())) %" : "\(String(format: "%.2g", 100 * share)) %"
    }

    private static func format(_ value: Double, _ digits: Int) -> String { String(format: "%.\(digits)f", value) }
}
