import Foundation

/// The capabilities of standard output: the width of its lines, and whether they can have colour.
struct TerminalStyle: Sendable {
    let width: Int
    let hasColor: Bool

    /// Kinds of emphasis, by their SGR parameters (ECMA-48, section 8.3.117).
    enum Emphasis: String {
        case bold = "1"
        case dim = "2"
        case positive = "32"
        case strongPositive = "1;32"
        case negative = "31"
        case strongNegative = "1;31"
        case warning = "33"
    }

    /// - Parameter hasColor: `nil` to detect it: colour is for terminals whose TERM is not "dumb", unless NO_COLOR is set.
    static func standardOutput(hasColor: Bool?) -> TerminalStyle {
        let environment = ProcessInfo.processInfo.environment
        let isTerminal = isatty(STDOUT_FILENO) == 1
        let mayColor = isTerminal && environment["TERM"] != "dumb" && environment["NO_COLOR", default: ""].isEmpty
        let columns = Self.columns(of: STDOUT_FILENO) ?? environment["COLUMNS"].flatMap { Int($0) }
        return TerminalStyle(width: min(max(columns ?? 120, 40), 200), hasColor: hasColor ?? mayColor)
    }

    /// The width of a descriptor's terminal; `nil` if it is not a terminal.
    static func columns(of descriptor: Int32) -> Int? {
        var size = winsize()
        guard ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_col > 0 else { return nil }
        return Int(size.ws_col)
    }

    func styled(_ text: String, _ emphasis: Emphasis?) -> String {
        guard hasColor, let emphasis, !text.isEmpty else { return text }
        return "\u{1B}[\(emphasis.rawValue)m\(text)\u{1B}[0m"
    }
}

extension String {
    /// Prose on one line: each run of white space becomes one space, and control characters are escaped.
    var printable: String {
        split(whereSeparator: \.isWhitespace).map { String($0).escaped }.joined(separator: " ")
    }

    /// A name on one line, with control characters and line breaks escaped: `\n`, `\u{1b}`.
    ///
    /// Different names look different, except names that contain such an escape themselves.
    var escaped: String { unicodeScalars.reduce(into: "") { $0 += $1.isObeyed ? $1.escape : String($1) } }

    /// Lines with control characters escaped; line feeds and tabs stay.
    var harmless: String {
        unicodeScalars.reduce(into: "") { text, scalar in
            text += scalar.isObeyed && scalar != "\n" && scalar != "\t" ? scalar.escape : String(scalar)
        }
    }

    /// The width on a terminal, in columns.
    var columns: Int { reduce(0) { $0 + $1.columns } }

    func cut(to width: Int) -> String {
        guard columns > width else { return self }
        var text = ""
        var used = 0
        for character in self {
            guard used + character.columns < width else { break }
            text.append(character)
            used += character.columns
        }
        return text + "…"
    }

    /// The text as wide as a column of a table: cut, or padded with spaces.
    func fitted(to width: Int) -> String {
        let text = cut(to: width)
        return text + String(repeating: " ", count: max(0, width - text.columns))
    }

    func rightAligned(in width: Int) -> String {
        String(repeating: " ", count: max(0, width - columns)) + self
    }
}

extension Character {
    /// Whether a terminal shows it, rather than obeys it as a line break, an escape or a change of direction.
    var isPrintable: Bool { !unicodeScalars.contains(where: \.isObeyed) }

    /// Columns on a terminal: two for East Asian wide characters and emoji (Unicode Standard Annex #11), otherwise one.
    var columns: Int {
        guard let scalar = unicodeScalars.first?.value, scalar >= 0x1100 else { return 1 }
        return Self.wideRanges.contains { $0.contains(scalar) } ? 2 : 1
    }

    private static let wideRanges: [ClosedRange<UInt32>] = [
        0x1100...0x115F, 0x2E80...0x303E, 0x3041...0xA4CF, 0xAC00...0xD7A3, 0xF900...0xFAFF, 0xFE30...0xFE6F,
        0xFF00...0xFF60, 0xFFE0...0xFFE6, 0x1F300...0x1FAFF, 0x20000...0x3FFFD,
    ]
}

extension Unicode.Scalar {
    /// Whether a terminal obeys it as a line break, an escape or a change of direction, or shows nothing for it.
    fileprivate var isObeyed: Bool {
        if (0x20..<0x7F).contains(value) { return false }
        switch properties.generalCategory {
        case .control, .lineSeparator, .paragraphSeparator, .surrogate: return true
        // Joiners are part of words and emoji.
        case .format: return value != 0x200C && value != 0x200D
        default: return false
        }
    }

    fileprivate var escape: String {
        switch self {
        case "\n": "\\n"
        case "\r": "\\r"
        case "\t": "\\t"
        default: "\\u{\(String(value, radix: 16))}"
        }
    }
}
