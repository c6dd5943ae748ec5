/// What an evaluation found, as people read it: in the terminal as text, in a browser with plots.
public struct EvaluationReport: Sendable {
    /// Such as "Linear datamodeling score".
    public var title: String
    /// What was asked, in a sentence.
    public var question: String
    /// What was found, in sentences: the first thing that is read.
    public var findings: [String]
    public var sections: [Section]
    /// Of what and with what it was made, at the end: model, corpus, seed, command.
    public var provenance: [Fact]

    public init(
        title: String, question: String, findings: [String] = [], sections: [Section] = [], provenance: [Fact] = []
    ) {
        self.title = title
        self.question = question
        self.findings = findings
        self.sections = sections
        self.provenance = provenance
    }

    public struct Section: Sendable {
        public var title: String
        public var elements: [Element]

        public init(_ title: String, _ elements: [Element]) {
            self.title = title
            self.elements = elements
        }
    }

    public enum Element: Sendable {
        case paragraph(String)
        case table(ReportTable)
        /// In a browser alone.
        case plot(Plot)
    }

    public struct Fact: Sendable {
        public var name: String
        public var value: String

        public init(_ name: String, _ value: String) {
            self.name = name
            self.value = value
        }
    }
}

extension EvaluationReport {
    /// The report without its plots, for a terminal.
    public var text: String {
        var lines = [title, question]
        if !findings.isEmpty { lines += [""] + findings.map { "- " + $0 } }
        for section in sections {
            lines += ["", section.title]
            for element in section.elements {
                switch element {
                case .paragraph(let text): lines.append(text)
                case .table(let table): lines.append(table.text)
                case .plot: break
                }
            }
        }
        return lines.joined(separator: "\n")
    }
}
