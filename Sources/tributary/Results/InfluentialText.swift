import Attribution

/// A sequence's text, cut to the part with most of its influence, with marks on the tokens that carry it.
struct InfluentialText {
    /// A character of the text on its way to the terminal.
    private struct Cell {
        var character: Character
        var emphasis: TerminalStyle.Emphasis?
        /// Its share of its token's influence, without sign.
        var weight: Double
        /// Whether it begins or ends an emphasised part.
        var isMark = false

        static let mark = Cell(character: "*", weight: 0, isMark: true)
        static let ellipsis = Cell(character: "…", weight: 0)
    }

    private let cells: [Cell]
    private let style: TerminalStyle

    /// The shares of the strongest token's influence from which a token is emphasised strongly and weakly.
    private static let strongShare = 0.5
    private static let weakShare = 0.2

    init(_ sequence: InfluentialSequence, style: TerminalStyle) {
        self.style = style
        let tokens = sequence.tokens?.map { (text: $0.text, score: $0.score) } ?? [(text: sequence.text, score: 0)]
        let strongest = tokens.reduce(0) { max($0, abs($1.score)) }
        var cells: [Cell] = []
        for token in tokens {
            let emphasis = Self.emphasis(of: token.score, strongest: strongest)
            let weight = abs(token.score) / Double(max(token.text.count, 1))
            for character in token.text {
                if character.isWhitespace {
                    if cells.last?.character != " ", !cells.isEmpty {
                        cells.append(Cell(character: " ", weight: weight))
                    }
                    continue
                }
                let shown = character.isPrintable ? [character] : Array(String(character).escaped)
                for part in shown {
                    cells.append(Cell(character: part, emphasis: emphasis, weight: weight / Double(shown.count)))
                }
            }
        }
        self.cells = style.hasColor ? cells : Self.withMarks(cells)
    }

    private static func emphasis(of score: Double, strongest: Double) -> TerminalStyle.Emphasis? {
        guard strongest > 0, abs(score) >= weakShare * strongest else { return nil }
        if abs(score) >= strongShare * strongest { return score > 0 ? .strongPositive : .strongNegative }
        return score > 0 ? .positive : .negative
    }

    /// Asterisks around strongly emphasised parts, for output without colour.
    private static func withMarks(_ cells: [Cell]) -> [Cell] {
        var marked: [Cell] = []
        var isInside = false
        for cell in cells {
            let isStrong = cell.emphasis == .strongPositive || cell.emphasis == .strongNegative
            if isStrong != isInside { marked.append(.mark) }
            marked.append(cell)
            isInside = isStrong
        }
        if isInside { marked.append(.mark) }
        return marked
    }

    /// - Parameters:
    ///   - width: The columns of a line.
    ///   - count: The most lines; `nil` for the whole text.
    func lines(width: Int, count: Int?) -> [String] {
        guard let count else { return wrapped(cells[...], width: width).map(rendered) }
        let excerpt = excerpt(width: width * count)
        var lines = wrapped(excerpt, width: width)
        // Lines that break between words leave gaps: text that no longer fits is cut.
        var end = excerpt.endIndex
        while lines.count > count, end > excerpt.startIndex {
            end = min(end, lines[count - 1].endIndex) - 1
            lines = wrapped(Self.ended(excerpt[..<end]), width: width)
        }
        return lines.map(rendered)
    }

    /// The `width` columns of text that carry the most influence, with the influential part away from the edges.
    private func excerpt(width: Int) -> ArraySlice<Cell> {
        let total = cells.reduce(0) { $0 + $1.character.columns }
        guard total > width else { return cells[...] }
        // The middle one of the starts whose windows carry the most influence.
        var weights: [(start: Int, weight: Double)] = []
        var end = 0
        var columns = 0
        var weight = 0.0
        for start in cells.indices {
            while end < cells.count, columns + cells[end].character.columns <= width - 2 {
                columns += cells[end].character.columns
                weight += cells[end].weight
                end += 1
            }
            if start == 0 || cells[start - 1].character == " " { weights.append((start, weight)) }
            columns -= cells[start].character.columns
            weight -= cells[start].weight
        }
        let most = weights.reduce(0) { max($0, $1.weight) }
        let best = weights.filter { $0.weight >= 0.999 * most }.map(\.start)
        let start = most > 0 ? best[best.count / 2] : 0

        var excerpt: [Cell] = start > 0 ? [.ellipsis] : []
        if cells[..<start].count(where: \.isMark) % 2 == 1 { excerpt.append(.mark) }
        columns = 0
        var position = start
        while position < cells.count, columns + cells[position].character.columns <= width - 2 {
            excerpt.append(cells[position])
            columns += cells[position].character.columns
            position += 1
        }
        return position < cells.count ? Self.ended(excerpt[...]) : excerpt[...]
    }

    /// The start of the text with an ellipsis for the remainder; an emphasised part at its end is closed.
    private static func ended(_ cells: ArraySlice<Cell>) -> ArraySlice<Cell> {
        var cells = cells
        while let last = cells.last, last.character == " " || last.character == "…" { cells.removeLast() }
        if cells.count(where: \.isMark) % 2 == 1 { cells.append(.mark) }
        return cells + [.ellipsis]
    }

    /// The text in lines, broken between words if possible.
    private func wrapped(_ cells: ArraySlice<Cell>, width: Int) -> [ArraySlice<Cell>] {
        var lines: [ArraySlice<Cell>] = []
        var start = cells.startIndex
        while start < cells.endIndex {
            var end = start
            var columns = 0
            var lastSpace: Int?
            while end < cells.endIndex, columns + cells[end].character.columns <= width {
                if cells[end].character == " " { lastSpace = end }
                columns += cells[end].character.columns
                end += 1
            }
            if end < cells.endIndex, let lastSpace, cells[end].character != " " { end = lastSpace + 1 }
            lines.append(cells[start..<max(end, start + 1)])
            start = max(end, start + 1)
            if start < cells.endIndex, cells[start].character == " " { start += 1 }
        }
        return lines
    }

    private func rendered(_ line: ArraySlice<Cell>) -> String {
        var text = ""
        var run = ""
        var emphasis: TerminalStyle.Emphasis?
        for cell in line.last?.character == " " ? line.dropLast() : line {
            if cell.emphasis != emphasis {
                text += style.styled(run, emphasis)
                run = ""
                emphasis = cell.emphasis
            }
            run.append(cell.character)
        }
        return text + style.styled(run, emphasis)
    }
}
