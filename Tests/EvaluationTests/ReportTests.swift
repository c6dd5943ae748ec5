import Foundation
import Testing

@testable import Evaluation

@Suite("Reports")
struct ReportTests {
    private let report = EvaluationReport(
        title: "Title <1>", question: "Is \"it\u{301}\" & that so?", findings: ["<script>alert(1)</script>"],
        sections: [
            (
                "Section",
                [
                    .table(columns: ["name", "figure"], rows: [["long name", "1"], ["x", "12.5"]]),
                    .plot(
                        "Bars",
                        .bars(
                            [Plot.Bar("a", Estimate(value: 0.5, low: 0.2, high: 0.7)), Plot.Bar("b", -1)],
                            label: "unit")),
                    .plot("Steps", .waterfall([Plot.Bar("up", 3), Plot.Bar("down", -0.004)], label: "unit")),
                    .plot(
                        "Points",
                        .scatter(
                            [Plot.Series("s", [(1, 2), (.nan, 1), (10, -3)])],
                            x: Plot.Axis("x", isLogarithmic: true),
                            y: Plot.Axis("y"))),
                    .plot("Nothing", .lines([Plot.Series("none", [])], x: Plot.Axis("x"), y: Plot.Axis("y"))),
                ]
            )
        ], provenance: [("Model", "a&b")])

    @Test("line figures up in a terminal")
    func text() {
        #expect(report.text.contains("name       figure\nlong name       1\nx            12.5"))
    }

    @Test("draw a waterfall's steps with their sum")
    func waterfall() {
        let html = HTMLReport(report).html
        #expect(html.contains("Steps. up: 3.000; down: -0.004; sum: 2.996"))
    }

    @Test("show text as text in a browser, and fetch nothing")
    func hostileText() throws {
        let html = HTMLReport(report).html
        #expect(!html.contains("<script"))
        #expect(html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"))
        #expect(html.contains("a&amp;b"))
        #expect(html.contains("default-src 'none'"))
        #expect(!html.contains("://"))
        // A quotation mark that a combining mark follows is one still.
        #expect(HTMLText.escaped("\"\u{301}") == "&quot;\u{301}")
    }

    @Test("are well-formed, and draw no number that is none")
    func wellFormed() throws {
        let html = HTMLReport(report).html
        #expect(!html.contains("nan") && !html.contains("inf"))
        let pictures = html.components(separatedBy: "<svg").dropFirst().map {
            "<svg" + $0.components(separatedBy: "</svg>")[0] + "</svg>"
        }
        #expect(pictures.count == 4)
        for picture in pictures { #expect(XMLBalance.isBalanced(picture), "\(picture)") }
    }

    @Test(
        "put ticks at round values within the axis",
        arguments: [(0.0, 1.0), (-3.7, 12.2), (1e-4, 3e-4), (0.0, 12_345.0), (0, 22_000), (-2e9, 3e9)])
    func ticks(range: (low: Double, high: Double)) {
        let scale = PlotScale([range.low, range.high])
        let ticks = scale.ticks
        #expect((3...12).contains(ticks.count))
        #expect(Set(ticks.map(PlotScale.label)).count == ticks.count, "\(ticks.map(PlotScale.label))")
        for tick in ticks {
            let position = scale.position(of: tick) ?? -1
            #expect((0...1).contains(position))
        }
        #expect(scale.position(of: .nan) == nil)
        #expect(PlotScale([1, 1_000], isLogarithmic: true).position(of: 0) == nil)
    }
}

/// Whether every tag that is opened is closed, in order.
enum XMLBalance {
    static func isBalanced(_ text: String) -> Bool {
        var open: [Substring] = []
        for tag in text.matches(of: #/<(/?)([a-z]+)[^>]*?(/?)>/#) {
            if !tag.output.3.isEmpty { continue }
            if tag.output.1.isEmpty {
                open.append(tag.output.2)
            } else if open.popLast() != tag.output.2 {
                return false
            }
        }
        return open.isEmpty
    }
}
