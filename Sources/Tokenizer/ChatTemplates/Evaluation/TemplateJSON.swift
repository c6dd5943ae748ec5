/// The filter `tojson` as transformers defines it: Python's `json.dumps`.
struct TemplateJSON {
    let evaluator: TemplateEvaluator
    var escapesNonASCII = false
    /// Nil for one line.
    var indent: [Unicode.Scalar]?
    var itemSeparator: [Unicode.Scalar]
    var keySeparator: [Unicode.Scalar]
    var sortsKeys = false
    private var result: [Unicode.Scalar] = []

    init(evaluator: TemplateEvaluator, arguments: TemplateCall) throws {
        self.evaluator = evaluator
        let values = try arguments.bound(
            to: ["ensure_ascii", "indent", "separators", "sort_keys"], of: "tojson")
        escapesNonASCII = values[0]?.isTrue ?? false
        switch values[1] {
        case nil, .some(.none): break
        case .text(let text)?: indent = text.scalars
        case let value?:
            guard let width = value.integer, width <= 1000 else {
                throw TemplateFault.evaluation("tojson: indent must be a small number or a string")
            }
            indent = [Unicode.Scalar](repeating: " ", count: max(0, width))
        }
        (itemSeparator, keySeparator) = (indent == nil ? [",", " "] : [","], [":", " "])
        if let value = values[2], case .none = value {
        } else if let value = values[2] {
            let pair = try evaluator.elements(of: value)
            guard pair.count == 2, case .text(let item) = pair[0], case .text(let key) = pair[1] else {
                throw TemplateFault.evaluation("tojson: separators must be two strings")
            }
            (itemSeparator, keySeparator) = (item.scalars, key.scalars)
        }
        sortsKeys = values[3]?.isTrue ?? false
    }

    mutating func text(of value: TemplateValue) throws -> [Unicode.Scalar] {
        try write(value, depth: 0)
        return result
    }

    private mutating func write(_ value: TemplateValue, depth: Int) throws {
        try evaluator.charge()
        guard depth <= evaluator.limits.valueDepth else {
            throw TemplateFault.limit("\(evaluator.limits.valueDepth) values within each other")
        }
        switch value {
        case .none: append("null")
        case .boolean(let value): append(value ? "true" : "false")
        case .integer(let value): append(String(value))
        case .float(let value): append(Self.float(value))
        case .text(let text): try write(text.scalars)
        case .list(let sequence), .tuple(let sequence):
            guard !sequence.elements.isEmpty else { return append("[]") }
            append("[")
            for (index, element) in sequence.elements.enumerated() {
                if index > 0 { result += itemSeparator }
                try breakLine(depth + 1)
                try write(element, depth: depth + 1)
            }
            try breakLine(depth)
            append("]")
        case .dictionary(let dictionary): try write(dictionary, depth: depth)
        default:
            throw TemplateFault.evaluation("Object of type \(value.typeName) is not JSON serializable")
        }
    }

    private mutating func write(_ dictionary: TemplateDictionary, depth: Int) throws {
        guard dictionary.count > 0 else { return append("{}") }
        var members = dictionary.members
        if sortsKeys { members = try evaluator.sorted(members) { $0.key } }
        append("{")
        for (index, member) in members.enumerated() {
            if index > 0 { result += itemSeparator }
            try breakLine(depth + 1)
            switch member.key {
            case .text(let text): try write(text.scalars)
            case .none: append("\"null\"")
            case .boolean(let value): append(value ? "\"true\"" : "\"false\"")
            case .integer(let value): append("\"\(value)\"")
            case .float(let value): append("\"\(Self.float(value))\"")
            default:
                throw TemplateFault.evaluation(
                    "keys must be str, int, float, bool or None, not \(member.key.typeName)")
            }
            result += keySeparator
            try write(member.value, depth: depth + 1)
        }
        try breakLine(depth)
        append("}")
    }

    private mutating func append(_ string: String) { result += string.unicodeScalars }

    private mutating func breakLine(_ depth: Int) throws {
        guard let indent else { return }
        try evaluator.reserve(bytes: 4 * depth * indent.count)
        result.append("\n")
        for _ in 0..<depth { result += indent }
    }

    private mutating func write(_ text: [Unicode.Scalar]) throws {
        try evaluator.reserve(bytes: 4 * text.count)
        result.append("\"")
        for scalar in text {
            switch scalar {
            case "\"": append("\\\"")
            case "\\": append("\\\\")
            case "\n": append("\\n")
            case "\r": append("\\r")
            case "\t": append("\\t")
            case "\u{8}": append("\\b")
            case "\u{C}": append("\\f")
            default:
                if scalar.value < 0x20 || (escapesNonASCII && scalar.value > 0x7E) {
                    for unit in UTF16.encode(scalar) ?? UTF16.encodedReplacementCharacter {
                        append("\\u" + PythonText.hexadecimal(UInt32(unit), count: 4))
                    }
                } else {
                    result.append(scalar)
                }
            }
        }
        result.append("\"")
    }

    private static func float(_ value: Double) -> String {
        if value.isNaN { return "NaN" }
        if value.isInfinite { return value < 0 ? "-Infinity" : "Infinity" }
        return PythonText.float(value)
    }
}
