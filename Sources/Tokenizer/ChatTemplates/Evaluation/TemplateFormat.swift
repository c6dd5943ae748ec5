import Foundation

/// Python's two ways to put values into a text: `%` and `str.format`.
extension TemplateEvaluator {
    /// `format % values`
    func formatted(_ format: TemplateText, with values: TemplateValue) throws -> TemplateValue {
        var pending: [TemplateValue]
        var isTuple = false
        if case .tuple(let sequence) = values {
            pending = sequence.elements.reversed()
            isTuple = true
        } else {
            pending = [values]
        }
        var result: [Unicode.Scalar] = []
        let scalars = format.scalars
        var index = 0
        func argument(_ name: [Unicode.Scalar]?) throws -> TemplateValue {
            if let name {
                guard case .dictionary(let dictionary) = values else { throw mistake("format requires a mapping") }
                guard let value = dictionary[.text(name)] else {
                    throw mistake("'\(String(scalars: name))' is not in the mapping of a format")
                }
                return value
            }
            guard let value = pending.popLast() else { throw mistake("not enough arguments for format string") }
            return value
        }
        var usesNames = false
        while index < scalars.count {
            try charge()
            guard scalars[index] == "%" else {
                result.append(scalars[index])
                index += 1
                continue
            }
            index += 1
            var name: [Unicode.Scalar]?
            if index < scalars.count, scalars[index] == "(" {
                guard let end = scalars[index...].firstIndex(of: ")") else { throw mistake("incomplete format key") }
                name = Array(scalars[(index + 1)..<end])
                usesNames = true
                index = end + 1
            }
            var specification = PythonFormat()
            while index < scalars.count, specification.takeFlag(scalars[index]) { index += 1 }
            specification.width = try number(at: &index, in: scalars) ?? 0
            if index < scalars.count, scalars[index] == "." {
                index += 1
                specification.precision = try number(at: &index, in: scalars) ?? 0
            }
            guard index < scalars.count else { throw mistake("incomplete format") }
            specification.type = scalars[index]
            index += 1
            if specification.type == "%" {
                result.append("%")
                continue
            }
            if specification.alignment == nil { specification.alignment = ">" }
            let value = try argument(name)
            switch specification.type {
            case "s", "r":
                var part = specification.type == "r" ? try representation(of: value) : try string(of: value).scalars
                if format.isMarkup {
                    if case .text(let text) = value, text.isMarkup {} else { part = PythonText.escaped(part) }
                }
                result += try padded(specification.truncated(part), specification)
            case "d", "i", "u", "x", "X", "o", "f", "F", "e", "g":
                guard let number = value.number else {
                    throw mistake(
                        "%\(specification.type ?? "d") format: a real number is required, not \(value.typeName)")
                }
                if specification.type == "i" || specification.type == "u" { specification.type = "d" }
                var converted = number
                if "dxXo".unicodeScalars.contains(specification.type ?? "d"), case .float(let double) = number {
                    guard let whole = Int(exactly: double.rounded(.towardZero)) else {
                        throw mistake("cannot convert float to integer")
                    }
                    converted = .integer(whole)
                }
                result += try padded(try specification.digits(of: converted), specification, isNumber: true)
            default:
                throw TemplateFault.unsupported("%\(specification.type ?? " ") in a format")
            }
            guard result.count <= availableCharacters else {
                throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
            }
        }
        if !pending.isEmpty, !usesNames {
            if isTuple { throw mistake("not all arguments converted during string formatting") }
            if case .dictionary = values {
            } else {
                throw mistake("not all arguments converted during string formatting")
            }
        }
        return try text(result, isMarkup: format.isMarkup)
    }

    /// A run of digits.
    private func number(at index: inout Int, in scalars: [Unicode.Scalar]) throws -> Int? {
        let start = index
        while index < scalars.count, scalars[index].isASCIIDigit { index += 1 }
        guard index > start else { return nil }
        guard let value = Int(String(scalars: scalars[start..<index])), value <= availableCharacters, value <= 100_000
        else {
            throw TemplateFault.limit("100000 as the width of a format")
        }
        return value
    }

    private func padded(
        _ scalars: [Unicode.Scalar], _ specification: PythonFormat, isNumber: Bool = false
    ) throws -> [Unicode.Scalar] {
        let missing = specification.width - scalars.count
        guard missing > 0 else { return scalars }
        try reserve(bytes: 4 * missing)
        return specification.padded(scalars, missing: missing, isNumber: isNumber)
    }

    /// `format.format(...)`
    func formatted(_ format: TemplateText, _ arguments: TemplateCall) throws -> TemplateValue {
        let scalars = format.scalars
        var result: [Unicode.Scalar] = []
        var index = 0
        var following = 0
        while index < scalars.count {
            try charge()
            let scalar = scalars[index]
            index += 1
            if scalar == "{" || scalar == "}", index < scalars.count, scalars[index] == scalar {
                result.append(scalar)
                index += 1
                continue
            }
            if scalar == "}" { throw mistake("Single '}' encountered in format string") }
            guard scalar == "{" else {
                result.append(scalar)
                continue
            }
            guard let end = scalars[index...].firstIndex(of: "}") else {
                throw mistake("Single '{' encountered in format string")
            }
            var field = Array(scalars[index..<end])
            index = end + 1
            var specification = PythonFormat()
            if let colon = field.firstIndex(of: ":") {
                guard !field[colon...].contains("{") else {
                    throw TemplateFault.unsupported("nested fields in format()")
                }
                var rest = Array(field[(colon + 1)...])
                try parse(&rest, into: &specification)
                field = Array(field[..<colon])
            }
            var conversion: Unicode.Scalar?
            if let mark = field.firstIndex(of: "!") {
                conversion = field.last
                guard field.count == mark + 2, conversion == "s" || conversion == "r" else {
                    throw TemplateFault.unsupported("the conversion of a field in format()")
                }
                field = Array(field[..<mark])
            }
            let name = String(scalars: field)
            let value: TemplateValue
            if field.isEmpty || field.allSatisfy(\.isASCIIDigit) {
                let position = Int(name) ?? following
                following += 1
                guard position < arguments.positional.count else {
                    throw mistake("Replacement index \(position) out of range for positional args tuple")
                }
                value = arguments.positional[position]
            } else {
                guard field.allSatisfy(\.isWordCharacter) else {
                    throw TemplateFault.unsupported("the field \"{\(name)}\" in format()")
                }
                guard let named = arguments.named.first(where: { $0.name == name }) else {
                    throw mistake("format() has no argument '\(name)'")
                }
                value = named.value
            }
            result += try self.field(value, conversion, specification, escapes: format.isMarkup)
            guard result.count <= availableCharacters else {
                throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
            }
        }
        return try text(result, isMarkup: format.isMarkup)
    }

    private func parse(_ text: inout [Unicode.Scalar], into specification: inout PythonFormat) throws {
        let alignments: [Unicode.Scalar] = ["<", ">", "^", "="]
        if text.count > 1, alignments.contains(text[1]) {
            (specification.fill, specification.alignment) = (text[0], text[1])
            text.removeFirst(2)
        } else if let first = text.first, alignments.contains(first) {
            specification.alignment = text.removeFirst()
        }
        var index = 0
        if index < text.count, ["+", "-", " "].contains(text[index]) {
            _ = specification.takeFlag(text[index], alignsLeft: false)
            index += 1
        }
        if index < text.count, text[index] == "#" { throw TemplateFault.unsupported("\"#\" in format()") }
        if index < text.count, text[index] == "0" {
            specification.padsWithZeros = true
            index += 1
        }
        specification.width = try number(at: &index, in: text) ?? 0
        if index < text.count, text[index] == "," || text[index] == "_" {
            specification.separator = text[index]
            index += 1
        }
        if index < text.count, text[index] == "." {
            index += 1
            specification.precision = try number(at: &index, in: text) ?? 0
        }
        if index < text.count {
            specification.type = text[index]
            index += 1
        }
        guard index == text.count else { throw mistake("Invalid format specifier") }
    }

    private func field(
        _ value: TemplateValue, _ conversion: Unicode.Scalar?, _ specification: PythonFormat, escapes: Bool
    ) throws -> [Unicode.Scalar] {
        var specification = specification
        if conversion == nil, let number = value.number, specification.type != "s" {
            if case .boolean = value, specification.type == nil, specification.width == 0 {
                return try string(of: value).scalars
            }
            if specification.type == nil {
                if case .integer = number {
                    specification.type = "d"
                } else if specification.precision == nil {
                    specification.alignment = specification.alignment ?? ">"
                    return try padded(try string(of: value).scalars, specification, isNumber: true)
                }
            }
            specification.alignment = specification.alignment ?? ">"
            return try padded(try specification.digits(of: number), specification, isNumber: true)
        }
        guard specification.type == nil || specification.type == "s" else {
            throw mistake("Unknown format code for an object of type '\(value.typeName)'")
        }
        var part = conversion == "r" ? try representation(of: value) : try string(of: value).scalars
        if escapes {
            if case .text(let text) = value, text.isMarkup {} else { part = PythonText.escaped(part) }
        }
        specification.alignment = specification.alignment ?? "<"
        return try padded(specification.truncated(part), specification)
    }
}

/// How one value of a format is written.
struct PythonFormat {
    var fill: Unicode.Scalar = " "
    var alignment: Unicode.Scalar?
    var sign: Unicode.Scalar?
    var padsWithZeros = false
    var separator: Unicode.Scalar?
    var width = 0
    var precision: Int?
    var type: Unicode.Scalar?

    /// - Returns: Whether the character is a flag.
    mutating func takeFlag(_ flag: Unicode.Scalar, alignsLeft: Bool = true) -> Bool {
        switch flag {
        case "-": if alignsLeft { alignment = "<" }
        case "+": sign = "+"
        case " ": sign = sign ?? " "
        case "0": padsWithZeros = true
        default: return false
        }
        return true
    }

    func truncated(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        precision.map { Array(scalars.prefix($0)) } ?? scalars
    }

    /// The number with its sign.
    func digits(of number: TemplateNumber) throws -> [Unicode.Scalar] {
        var isNegative = false
        var digits: String
        switch (type ?? "f", number) {
        case ("d", .integer(let value)):
            isNegative = value < 0
            digits = String(value.magnitude)
        case ("x", .integer(let value)), ("X", .integer(let value)):
            isNegative = value < 0
            digits = String(value.magnitude, radix: 16, uppercase: type == "X")
        case ("o", .integer(let value)), ("b", .integer(let value)):
            isNegative = value < 0
            digits = String(value.magnitude, radix: type == "o" ? 8 : 2)
        case ("f", _), ("F", _), ("%", _):
            let value = number.double * (type == "%" ? 100 : 1)
            guard value.isFinite else { throw TemplateFault.unsupported("a format of infinity or NaN") }
            isNegative = value.sign == .minus
            digits = String(format: "%.\(min(precision ?? 6, 1000))f", value.magnitude) + (type == "%" ? "%" : "")
        default: throw TemplateFault.unsupported("\"\(type ?? " ")\" in a format of a number")
        }
        if let separator {
            let whole = digits.prefix { $0.isNumber }
            var grouped = ""
            for (index, digit) in whole.enumerated() {
                if index > 0, (whole.count - index) % 3 == 0 { grouped.unicodeScalars.append(separator) }
                grouped.append(digit)
            }
            digits = grouped + digits.dropFirst(whole.count)
        }
        let prefix = isNegative ? "-" : sign.map { String(scalars: [$0]) } ?? ""
        return Array((prefix + digits).unicodeScalars)
    }

    func padded(_ scalars: [Unicode.Scalar], missing: Int, isNumber: Bool) -> [Unicode.Scalar] {
        func filling(_ count: Int, _ fill: Unicode.Scalar) -> [Unicode.Scalar] { .init(repeating: fill, count: count) }
        if isNumber, alignment == "=" || (padsWithZeros && alignment != "<") {
            let hasSign = scalars.first == "-" || scalars.first == "+" || scalars.first == " "
            return scalars.prefix(hasSign ? 1 : 0) + filling(missing, padsWithZeros ? "0" : fill)
                + scalars.dropFirst(hasSign ? 1 : 0)
        }
        switch alignment {
        case "<": return scalars + filling(missing, fill)
        case "^": return filling(missing / 2, fill) + scalars + filling(missing - missing / 2, fill)
        default: return filling(missing, fill) + scalars
        }
    }

    /// `str.center`, which puts the odd character on the left of an odd width.
    static func centered(_ scalars: [Unicode.Scalar], missing: Int, width: Int, fill: Unicode.Scalar) -> [Unicode
        .Scalar]
    {
        let left = missing / 2 + (missing & width & 1)
        return [Unicode.Scalar](repeating: fill, count: left) + scalars
            + [Unicode.Scalar](repeating: fill, count: missing - left)
    }
}
