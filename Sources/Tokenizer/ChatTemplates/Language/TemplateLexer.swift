/// Cuts a template into text and the tokens of its tags, as Jinja does with `trim_blocks` and `lstrip_blocks`.
struct TemplateLexer {
    enum Token: Equatable {
        /// Text outside of tags.
        case data([Unicode.Scalar])
        case blockBegin
        case blockEnd
        case variableBegin
        case variableEnd
        case name(String)
        case text([Unicode.Scalar])
        case integer(Int)
        case float(Double)
        case symbol(String)
        case end

        var shown: String {
            switch self {
            case .data: "text"
            case .blockBegin: "\"{%\""
            case .blockEnd: "the end of the tag"
            case .variableBegin: "\"{{\""
            case .variableEnd: "the end of the expression"
            case .name(let name): "\"\(name)\""
            case .text: "a string"
            case .integer, .float: "a number"
            case .symbol(let symbol): "\"\(symbol)\""
            case .end: "the end of the template"
            }
        }
    }

    struct Located: Equatable {
        let token: Token
        let line: Int
    }

    private let source: [Unicode.Scalar]
    private var position = 0
    private var line = 1
    private var tokens: [Located] = []
    /// Whether the text that follows begins a line.
    private var startsLine = true

    /// - Throws: ``TemplateFault``.
    static func tokens(of source: String) throws -> [Located] {
        var lexer = TemplateLexer(source)
        try lexer.run()
        return lexer.tokens
    }

    private init(_ source: String) {
        // Every kind of line end counts as "\n", and the last one is dropped.
        var scalars: [Unicode.Scalar] = []
        scalars.reserveCapacity(source.utf8.count)
        var previous: Unicode.Scalar?
        for scalar in source.unicodeScalars {
            if scalar == "\r" {
                scalars.append("\n")
            } else if scalar != "\n" || previous != "\r" {
                scalars.append(scalar)
            }
            previous = scalar
        }
        if scalars.last == "\n" { scalars.removeLast() }
        self.source = scalars
    }

    private enum Tag { case block, variable, comment, raw }

    private mutating func run() throws {
        while position < source.count {
            let start = position
            guard let tag = nextTag() else {
                append(data: Array(source[start...]))
                position = source.count
                break
            }
            let sign = position + 2 < source.count ? source[position + 2] : " "
            appendData(from: start, to: position, tag: tag, sign: sign)
            let begin = line
            switch tag {
            case .comment: try skipComment(from: begin)
            case .raw: try readRaw(from: begin)
            case .block, .variable:
                position += sign == "-" || (sign == "+" && tag == .block) ? 3 : 2
                append(tag == .block ? .blockBegin : .variableBegin)
                try readTag(tag, from: begin)
            }
        }
        append(.end)
    }

    private mutating func append(_ token: Token) { tokens.append(Located(token: token, line: line)) }

    private mutating func append(data: [Unicode.Scalar]) {
        if !data.isEmpty { append(.data(data)) }
    }

    /// Moves to the next tag.
    private mutating func nextTag() -> Tag? {
        while position + 1 < source.count {
            if source[position] == "{" {
                switch source[position + 1] {
                case "{": return .variable
                case "#": return .comment
                case "%": return rawTagEnd() == nil ? .block : .raw
                default: break
                }
            }
            position += 1
        }
        return nil
    }

    /// Where the tag `{% raw %}` here ends.
    private func rawTagEnd() -> Int? {
        var index = position + 2
        if index < source.count, source[index] == "-" || source[index] == "+" { index += 1 }
        index = skippingSpace(from: index)
        guard matches("raw", at: index) else { return nil }
        index = skippingSpace(from: index + 3)
        if matches("-%}", at: index) { return skippingSpace(from: index + 3) }
        return matches("%}", at: index) ? index + 2 : nil
    }

    private func skippingSpace(from start: Int) -> Int {
        var index = start
        while index < source.count, source[index].isPythonSpace { index += 1 }
        return index
    }

    private func matches(_ word: String, at index: Int) -> Bool {
        var index = index
        for scalar in word.unicodeScalars {
            guard index < source.count, source[index] == scalar else { return false }
            index += 1
        }
        return true
    }

    /// Appends the text before a tag, without the space that the tag's sign or `lstrip_blocks` removes.
    private mutating func appendData(from start: Int, to end: Int, tag: Tag, sign: Unicode.Scalar) {
        var stop = end
        if sign == "-" {
            while stop > start, source[stop - 1].isPythonSpace { stop -= 1 }
        } else if sign != "+" && tag != .variable {
            var lineStart = end
            while lineStart > start, source[lineStart - 1] != "\n" { lineStart -= 1 }
            if lineStart > start || startsLine, source[lineStart..<end].allSatisfy(\.isPythonSpace) {
                stop = lineStart
            }
        }
        append(data: Array(source[start..<stop]))
        countLines(from: start, to: end)
    }

    private mutating func countLines(from start: Int, to end: Int) {
        for index in start..<end where source[index] == "\n" { line += 1 }
    }

    /// Moves past the end of a tag, and the space that its sign or `trim_blocks` removes.
    private mutating func move(to end: Int) {
        countLines(from: position, to: end)
        startsLine = end > 0 && source[end - 1] == "\n"
        position = end
    }

    /// Where a block or comment that ends here with `closing` ends, if it does.
    private func blockEnd(at index: Int, closing: String) -> Int? {
        if matches("-" + closing, at: index) { return skippingSpace(from: index + 3) }
        if matches("+" + closing, at: index) { return index + 3 }
        guard matches(closing, at: index) else { return nil }
        return index + 2 < source.count && source[index + 2] == "\n" ? index + 3 : index + 2
    }

    private mutating func skipComment(from begin: Int) throws {
        var index = position + 2
        while index < source.count {
            if let end = blockEnd(at: index, closing: "#}") {
                move(to: end)
                return
            }
            index += 1
        }
        throw TemplateFault.syntax("the comment that begins here has no end", line: begin)
    }

    private mutating func readRaw(from begin: Int) throws {
        guard let start = rawTagEnd() else { return }
        move(to: start)
        var index = start
        while index + 1 < source.count {
            defer { index += 1 }
            guard source[index] == "{", source[index + 1] == "%" else { continue }
            var after = index + 2
            let sign = after < source.count ? source[after] : " "
            if sign == "-" || sign == "+" { after += 1 }
            after = skippingSpace(from: after)
            guard matches("endraw", at: after) else { continue }
            after = skippingSpace(from: after + 6)
            guard let end = blockEnd(at: after, closing: "%}") else { continue }
            appendData(from: start, to: index, tag: .raw, sign: sign)
            position = index
            move(to: end)
            return
        }
        throw TemplateFault.syntax("the raw block that begins here has no end", line: begin)
    }

    // MARK: Inside a tag

    private static let symbols = [
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[", "]", "(", ")", "{", "}", ">", "<", "=",
        ".",
        ":", "|", ",", ";",
    ]

    private mutating func readTag(_ tag: Tag, from begin: Int) throws {
        var open: [Unicode.Scalar] = []
        while position < source.count {
            if open.isEmpty {
                if tag == .block, let end = blockEnd(at: position, closing: "%}") {
                    append(.blockEnd)
                    move(to: end)
                    return
                }
                if tag == .variable, let end = variableEnd(at: position) {
                    append(.variableEnd)
                    move(to: end)
                    return
                }
            }
            let scalar = source[position]
            if scalar.isPythonSpace {
                if scalar == "\n" { line += 1 }
                position += 1
            } else if scalar.isASCIIDigit {
                try readNumber()
            } else if scalar.isWordCharacter {
                let start = position
                while position < source.count, source[position].isWordCharacter { position += 1 }
                append(.name(String(scalars: source[start..<position])))
            } else if scalar == "'" || scalar == "\"" {
                try readText(quote: scalar)
            } else {
                guard let symbol = Self.symbols.first(where: { matches($0, at: position) }) else {
                    throw TemplateFault.syntax("unexpected character \"\(String(scalars: [scalar]))\"", line: line)
                }
                switch scalar {
                case "(": open.append(")")
                case "[": open.append("]")
                case "{": open.append("}")
                case ")", "]", "}":
                    guard open.popLast() == scalar else {
                        throw TemplateFault.syntax("unexpected \"\(symbol)\"", line: line)
                    }
                default: break
                }
                append(.symbol(symbol))
                position += symbol.utf8.count
            }
        }
        throw TemplateFault.syntax("the tag that begins here has no end", line: begin)
    }

    private func variableEnd(at index: Int) -> Int? {
        if matches("-}}", at: index) { return skippingSpace(from: index + 3) }
        return matches("}}", at: index) ? index + 2 : nil
    }

    private mutating func readNumber() throws {
        if case .symbol(".")? = tokens.last?.token {
            // The index of `list.0`, which is no fraction.
        } else if let end = floatEnd(from: position) {
            let digits = String(scalars: source[position..<end].filter { $0 != "_" })
            guard let value = Double(digits) else {
                throw TemplateFault.syntax("\"\(digits)\" is not a number", line: line)
            }
            append(.float(value))
            position = end
            return
        }
        let start = position
        var radix = 10
        if source[position] == "0", position + 1 < source.count {
            switch source[position + 1] {
            case "x", "X": radix = 16
            case "o", "O": radix = 8
            case "b", "B": radix = 2
            default: break
            }
        }
        if radix != 10 { position += 2 }
        let first = position
        while position < source.count,
            source[position] == "_" || (source[position].properties.isASCIIHexDigit && radix == 16)
                || source[position].isASCIIDigit
        {
            position += 1
        }
        let digits = String(scalars: source[first..<position].filter { $0 != "_" })
        guard let value = Int(digits, radix: radix) else {
            throw TemplateFault.syntax(
                "\"\(String(scalars: source[start..<position]))\" is not a whole number of 64 bits", line: line)
        }
        append(.integer(value))
    }

    /// Where the number with a fraction or an exponent that begins here ends.
    private func floatEnd(from start: Int) -> Int? {
        func digits(from index: Int) -> Int? {
            var end = index
            while end < source.count,
                source[end].isASCIIDigit
                    || (source[end] == "_" && end > index && end + 1 < source.count && source[end + 1].isASCIIDigit)
            {
                end += 1
            }
            return end > index ? end : nil
        }
        guard let whole = digits(from: start) else { return nil }
        var end = whole
        if end < source.count, source[end] == ".", let fraction = digits(from: end + 1) { end = fraction }
        if end < source.count, source[end] == "e" || source[end] == "E" {
            var exponent = end + 1
            if exponent < source.count, source[exponent] == "+" || source[exponent] == "-" { exponent += 1 }
            if let last = digits(from: exponent) { end = last }
        }
        return end > whole ? end : nil
    }

    private mutating func readText(quote: Unicode.Scalar) throws {
        let begin = line
        var text: [Unicode.Scalar] = []
        var index = position + 1
        while index < source.count, source[index] != quote {
            guard source[index] == "\\" else {
                if source[index] == "\n" { line += 1 }
                text.append(source[index])
                index += 1
                continue
            }
            guard index + 1 < source.count else { break }
            let escaped = source[index + 1]
            index += 2
            switch escaped {
            case "n": text.append("\n")
            case "t": text.append("\t")
            case "r": text.append("\r")
            case "b": text.append("\u{8}")
            case "f": text.append("\u{C}")
            case "v": text.append("\u{B}")
            case "a": text.append("\u{7}")
            case "\\", "'", "\"": text.append(escaped)
            case "\n": line += 1
            case "x": text.append(try scalar(at: &index, digits: 2, after: escaped))
            case "u": text.append(try scalar(at: &index, digits: 4, after: escaped))
            case "U": text.append(try scalar(at: &index, digits: 8, after: escaped))
            case "0"..."7":
                var value = escaped.value - 48
                var count = 1
                while count < 3, index < source.count, ("0"..."7").contains(source[index]) {
                    value = value * 8 + source[index].value - 48
                    index += 1
                    count += 1
                }
                text.append(Unicode.Scalar(value) ?? "\u{FFFD}")
            case "N": throw TemplateFault.unsupported("the escape \\N in a string", line: line)
            default:
                // Python keeps the backslash of an escape that it does not know.
                text.append("\\")
                text.append(escaped)
            }
        }
        guard index < source.count else {
            throw TemplateFault.syntax("the string that begins here has no end", line: begin)
        }
        tokens.append(Located(token: .text(text), line: begin))
        position = index + 1
    }

    private func scalar(at index: inout Int, digits: Int, after letter: Unicode.Scalar) throws -> Unicode.Scalar {
        let end = index + digits
        guard end <= source.count, source[index..<end].allSatisfy(\.properties.isASCIIHexDigit),
            let value = UInt32(String(scalars: source[index..<end]), radix: 16), let scalar = Unicode.Scalar(value)
        else {
            throw TemplateFault.syntax("the escape \\\(letter) needs \(digits) digits of a character", line: line)
        }
        index = end
        return scalar
    }
}

extension String {
    init(scalars: some Sequence<Unicode.Scalar>) {
        var view = String.UnicodeScalarView()
        view.append(contentsOf: scalars)
        self.init(view)
    }
}

extension Unicode.Scalar {
    var isASCIIDigit: Bool { ("0"..."9").contains(self) }

    /// Whether the character is one of Python's `str.isspace`.
    var isPythonSpace: Bool {
        switch value {
        case 0x09...0x0D, 0x1C...0x20, 0x85, 0xA0, 0x1680, 0x2000...0x200A, 0x2028, 0x2029, 0x202F, 0x205F, 0x3000: true
        default: false
        }
    }

    /// Whether the character is one of `\w` in Python.
    var isWordCharacter: Bool {
        if value < 0x80 { return isASCIIDigit || self == "_" || properties.isAlphabetic }
        switch properties.generalCategory {
        case .uppercaseLetter, .lowercaseLetter, .titlecaseLetter, .modifierLetter, .otherLetter, .decimalNumber,
            .letterNumber, .otherNumber:
            return true
        default: return false
        }
    }
}
