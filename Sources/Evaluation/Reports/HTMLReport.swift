/// A report as one HTML file that fetches nothing, light or dark as the reader's system is.
public struct HTMLReport: Sendable {
    private let report: EvaluationReport

    public init(_ report: EvaluationReport) {
        self.report = report
    }

    public var html: String {
        let findings = report.findings.map { "<li>\(HTMLText.escaped($0))</li>" }.joined(separator: "\n")
        let facts = report.provenance.map {
            "<dt>\(HTMLText.escaped($0.name))</dt><dd>\(HTMLText.escaped($0.value))</dd>"
        }.joined(separator: "\n")
        return """
            <!doctype html>
            <html lang="en">
            <head>
            <meta charset="utf-8">
            <meta name="viewport" content="width=device-width, initial-scale=1">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
            <title>\(HTMLText.escaped(report.title)) · Tributary</title>
            <style>\(Self.style)</style>
            </head>
            <body>
            <main>
            <h1>\(HTMLText.escaped(report.title))</h1>
            <p class="question">\(HTMLText.escaped(report.question))</p>
            \(findings.isEmpty ? "" : "<ul class=\"findings\">\n\(findings)\n</ul>")
            \(report.sections.map(section).joined(separator: "\n"))
            \(facts.isEmpty ? "" : "<h2>How this was made</h2>\n<dl>\n\(facts)\n</dl>")
            </main>
            </body>
            </html>

            """
    }

    private func section(_ section: (title: String, elements: [EvaluationReport.Element])) -> String {
        let elements = section.elements.map { element in
            switch element {
            case .paragraph(let text): "<p>\(HTMLText.escaped(text))</p>"
            case .table(let table): html(of: table)
            case .plot(let plot):
                "<figure>\n\(PlotDrawing(plot: plot).svg)\n<figcaption>\(HTMLText.escaped(plot.title))</figcaption>\n</figure>"
            }
        }
        return "<h2>\(HTMLText.escaped(section.title))</h2>\n" + elements.joined(separator: "\n")
    }

    private func html(of table: ReportTable) -> String {
        let head = table.columns.map { "<th scope=\"col\">\(HTMLText.escaped($0))</th>" }.joined()
        let rows = table.rows.map { cells in
            let inner = cells.enumerated().map { column, cell in
                let text = HTMLText.escaped(cell)
                return column == 0 ? "<th scope=\"row\">\(text)</th>" : "<td>\(text)</td>"
            }
            return "<tr>\(inner.joined())</tr>"
        }
        // A wide table scrolls by itself, by keyboard too.
        return """
            <div class="table" tabindex="0" role="region" aria-label="\(HTMLText.escaped(table.columns.joined(separator: ", ")))">
            <table><thead><tr>\(head)</tr></thead>
            <tbody>
            \(rows.joined(separator: "\n"))
            </tbody></table>
            </div>
            """
    }

    private static let style = """
        :root { color-scheme: light dark; --paper: #fff; --ink: #1d2430; --faint: #5b6577; --rule: #dde2ea;
          --series-0: #2b6cb0; --series-1: #c05621; --series-2: #2f855a; --series-3: #805ad5; --series-4: #b83280; --series-5: #718096; }
        @media (prefers-color-scheme: dark) { :root { --paper: #151922; --ink: #e6eaf2; --faint: #a3adbf; --rule: #333b4a;
          --series-0: #63a4e8; --series-1: #f0975a; --series-2: #68c992; --series-3: #b79cf5; --series-4: #f08ac0; --series-5: #a0aec0; } }
        body { margin: 0; background: var(--paper); color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
        main { max-width: 46rem; margin: 0 auto; padding: 2rem 1rem 4rem; }
        h1 { font-size: 1.7rem; margin: 0; } h2 { font-size: 1.2rem; margin: 2.2rem 0 0.6rem; }
        .question { color: var(--faint); margin-top: 0.3rem; }
        .findings { padding-left: 1.2rem; } .findings li { margin: 0.3rem 0; }
        .table { overflow-x: auto; } table { border-collapse: collapse; font-variant-numeric: tabular-nums; font-size: 0.9rem; }
        th, td { padding: 0.25rem 0.8rem 0.25rem 0; text-align: right; border-bottom: 1px solid var(--rule); white-space: nowrap; }
        th:first-child { text-align: left; font-weight: 500; } thead th { color: var(--faint); font-weight: 500; }
        figure { margin: 1rem 0; } svg { width: 100%; height: auto; } figcaption { color: var(--faint); font-size: 0.9rem; }
        svg text { fill: var(--faint); font: 12px system-ui, sans-serif; }
        .grid { stroke: var(--rule); } .axis { stroke: var(--faint); } .whisker { stroke: var(--ink); stroke-width: 1.5; }
        .s0 { fill: var(--series-0); } .s1 { fill: var(--series-1); } .s2 { fill: var(--series-2); }
        .s3 { fill: var(--series-3); } .s4 { fill: var(--series-4); } .s5 { fill: var(--series-5); }
        circle { fill-opacity: 0.75; } polyline { fill: none; stroke-width: 2; }
        .l0 { stroke: var(--series-0); } .l1 { stroke: var(--series-1); } .l2 { stroke: var(--series-2); }
        .l3 { stroke: var(--series-3); } .l4 { stroke: var(--series-4); } .l5 { stroke: var(--series-5); }
        dl { display: grid; grid-template-columns: max-content 1fr; gap: 0.2rem 1rem; font-size: 0.9rem; }
        dt { color: var(--faint); } dd { margin: 0; overflow-wrap: anywhere; }
        """
}

enum HTMLText {
    /// Escapes scalar by scalar: a mark that combines with a quotation mark must not hide it.
    static func escaped(_ text: String) -> String {
        var escaped = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case "&": escaped.append(contentsOf: "&amp;".unicodeScalars)
            case "<": escaped.append(contentsOf: "&lt;".unicodeScalars)
            case ">": escaped.append(contentsOf: "&gt;".unicodeScalars)
            case "\"": escaped.append(contentsOf: "&quot;".unicodeScalars)
            default: escaped.append(scalar)
            }
        }
        return String(escaped)
    }
}
