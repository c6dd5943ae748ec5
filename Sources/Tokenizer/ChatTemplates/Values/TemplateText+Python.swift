import Foundation

/// How Python writes values, and what its string methods make of code points.
enum PythonText {
    /// `repr` of a float, which is also how `str` and JSON write it.
    static func float(_ value: Double) -> String {
        if value.isNaN { return "nan" }
        if value.isInfinite { return value < 0 ? "-inf" : "inf" }
        // Swift writes the same shortest digits, and switches to an exponent elsewhere.
        var mantissa = "\(value.magnitude)"
        var exponent = 0
        if let mark = mantissa.firstIndex(of: "e") {
            exponent = Int(mantissa[mantissa.index(after: mark)...]) ?? 0
            mantissa = String(mantissa[..<mark])
        }
        let parts = mantissa.split(separator: ".")
        let whole = parts.first.map(String.init) ?? "0"
        let fraction = parts.count > 1 && parts[1] != "0" ? String(parts[1]) : ""
        var digits = whole + fraction
        /// The position of the point after the first digit.
        var point = whole.utf8.count + exponent
        while digits.utf8.count > 1, digits.hasPrefix("0") {
            digits.removeFirst()
            point -= 1
        }
        while digits.utf8.count > 1, digits.hasSuffix("0") { digits.removeLast() }
        if digits == "0" { point = 1 }
        let sign = value.sign == .minus ? "-" : ""
        let count = digits.utf8.count
        guard (-3...16).contains(point) else {
            let first = digits.removeFirst()
            let power = point - 1
            let written = power.magnitude < 10 ? "0\(power.magnitude)" : "\(power.magnitude)"
            return "\(sign)\(first)\(digits.isEmpty ? "" : ".")\(digits)e\(power < 0 ? "-" : "+")\(written)"
        }
        if point <= 0 { return sign + "0." + String(repeating: "0", count: -point) + digits }
        if point >= count { return sign + digits + String(repeating: "0", count: point - count) + ".0" }
        return sign + digits.prefix(point) + "." + digits.dropFirst(point)
    }

    /// `repr` of a string.
    static func quoted(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        let quote: Unicode.Scalar = scalars.contains("'") && !scalars.contains("\"") ? "\"" : "'"
        var result: [Unicode.Scalar] = [quote]
        for scalar in scalars {
            switch scalar {
            case quote, "\\": result += ["\\", scalar]
            case "\n": result += ["\\", "n"]
            case "\r": result += ["\\", "r"]
            case "\t": result += ["\\", "t"]
            default:
                if isPrintable(scalar) {
                    result.append(scalar)
                } else {
                    let (letter, count) = scalar.value < 0x100 ? ("x", 2) : scalar.value < 0x10000 ? ("u", 4) : ("U", 8)
                    result += "\\\(letter)\(hexadecimal(scalar.value, count: count))".unicodeScalars
                }
            }
        }
        result.append(quote)
        return result
    }

    static func hexadecimal(_ value: UInt32, count: Int) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: max(0, count - digits.utf8.count)) + digits
    }

    private static func isPrintable(_ scalar: Unicode.Scalar) -> Bool {
        if scalar.value < 0x7F { return scalar.value >= 0x20 }
        switch scalar.properties.generalCategory {
        case .control, .format, .surrogate, .privateUse, .unassigned, .lineSeparator, .paragraphSeparator,
            .spaceSeparator:
            return false
        default: return true
        }
    }

    static func uppercase(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        scalars.flatMap { $0.isASCII ? asciiUppercase($0) : Array($0.properties.uppercaseMapping.unicodeScalars) }
    }

    private static func asciiUppercase(_ scalar: Unicode.Scalar) -> [Unicode.Scalar] {
        ("a"..."z").contains(scalar) ? [Unicode.Scalar(UInt8(scalar.value - 32))] : [scalar]
    }

    static func lowercase(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        lowercase(scalars, from: 0)
    }

    /// - Parameter start: Where to begin; the earlier characters only tell whether a sigma ends a word.
    static func lowercase(_ scalars: [Unicode.Scalar], from start: Int) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(scalars.count)
        for index in start..<max(start, scalars.count) {
            let scalar = scalars[index]
            if ("A"..."Z").contains(scalar) {
                result.append(Unicode.Scalar(UInt8(scalar.value + 32)))
            } else if scalar.isASCII {
                result.append(scalar)
            } else if scalar == "Σ" {
                result.append(isFinalSigma(index, in: scalars) ? "ς" : "σ")
            } else {
                result += scalar.properties.lowercaseMapping.unicodeScalars
            }
        }
        return result
    }

    private static func isFinalSigma(_ index: Int, in scalars: [Unicode.Scalar]) -> Bool {
        let before = scalars[..<index].last { !$0.properties.isCaseIgnorable }
        let after = scalars[(index + 1)...].first { !$0.properties.isCaseIgnorable }
        return before?.properties.isCased ?? false && !(after?.properties.isCased ?? false)
    }

    static func capitalize(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        guard let first = scalars.first else { return [] }
        return Array(first.properties.titlecaseMapping.unicodeScalars) + lowercase(scalars, from: 1)
    }

    /// `str.title`.
    static func title(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        var followsCased = false
        for (index, scalar) in scalars.enumerated() {
            if followsCased {
                result += lowercase(scalar, at: index, in: scalars)
            } else {
                result += scalar.properties.titlecaseMapping.unicodeScalars
            }
            followsCased = scalar.properties.isCased
        }
        return result
    }

    /// `str.swapcase`: characters of neither case, such as those in title case, stay.
    static func swapcase(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        scalars.enumerated().flatMap { index, scalar in
            if scalar.properties.isUppercase { return lowercase(scalar, at: index, in: scalars) }
            return scalar.properties.isLowercase ? uppercase([scalar]) : [scalar]
        }
    }

    private static func lowercase(
        _ scalar: Unicode.Scalar, at index: Int, in scalars: [Unicode.Scalar]
    ) -> [Unicode.Scalar] {
        if scalar == "Σ" { return [isFinalSigma(index, in: scalars) ? "ς" : "σ"] }
        return Array(scalar.properties.lowercaseMapping.unicodeScalars)
    }

    /// `strip`, `lstrip` and `rstrip`.
    static func strip(
        _ scalars: [Unicode.Scalar], characters: [Unicode.Scalar]?, left: Bool = true, right: Bool = true
    ) -> [Unicode.Scalar] {
        let set = characters.map { Set($0) }
        func strips(_ scalar: Unicode.Scalar) -> Bool { set.map { $0.contains(scalar) } ?? scalar.isPythonSpace }
        var start = 0
        var end = scalars.count
        if left { while start < end, strips(scalars[start]) { start += 1 } }
        if right { while end > start, strips(scalars[end - 1]) { end -= 1 } }
        return start == 0 && end == scalars.count ? scalars : Array(scalars[start..<end])
    }

    /// The index of the first occurrence at or after `start`.
    static func find(_ pattern: [Unicode.Scalar], in text: [Unicode.Scalar], from start: Int = 0, to end: Int? = nil)
        -> Int?
    {
        let end = min(end ?? text.count, text.count)
        guard start >= 0, start + pattern.count <= end else { return nil }
        guard let first = pattern.first else { return start }
        var index = start
        while index + pattern.count <= end {
            if text[index] == first, text[index..<index + pattern.count].elementsEqual(pattern) { return index }
            index += 1
        }
        return nil
    }

    static func findLast(
        _ pattern: [Unicode.Scalar], in text: [Unicode.Scalar], from start: Int = 0, to end: Int? = nil
    ) -> Int? {
        let end = min(end ?? text.count, text.count)
        var index = end - pattern.count
        while index >= max(0, start) {
            if text[index..<index + pattern.count].elementsEqual(pattern) { return index }
            index -= 1
        }
        return nil
    }

    /// `str.split`, or `str.rsplit` from the right.
    static func split(
        _ text: [Unicode.Scalar], by separator: [Unicode.Scalar]?, limit: Int, fromRight: Bool
    ) -> [[Unicode.Scalar]] {
        if fromRight {
            let reversed = split(
                text.reversed(), by: separator.map { $0.reversed() }, limit: limit, fromRight: false)
            return reversed.reversed().map { $0.reversed() }
        }
        var parts: [[Unicode.Scalar]] = []
        if let separator {
            var start = 0
            while limit < 0 || parts.count < limit, let index = find(separator, in: text, from: start) {
                parts.append(Array(text[start..<index]))
                start = index + separator.count
            }
            parts.append(Array(text[start...]))
            return parts
        }
        var index = 0
        while true {
            while index < text.count, text[index].isPythonSpace { index += 1 }
            guard index < text.count else { return parts }
            if limit >= 0, parts.count == limit {
                parts.append(Array(text[index...]))
                return parts
            }
            let start = index
            while index < text.count, !text[index].isPythonSpace { index += 1 }
            parts.append(Array(text[start..<index]))
        }
    }

    static func lines(_ text: [Unicode.Scalar], keepingEnds: Bool = false) -> [[Unicode.Scalar]] {
        var lines: [[Unicode.Scalar]] = []
        var start = 0
        var index = 0
        while index < text.count {
            var length = 0
            switch text[index].value {
            case 0x0D: length = index + 1 < text.count && text[index + 1] == "\n" ? 2 : 1
            case 0x0A, 0x0B, 0x0C, 0x1C, 0x1D, 0x1E, 0x85, 0x2028, 0x2029: length = 1
            default: break
            }
            guard length > 0 else {
                index += 1
                continue
            }
            lines.append(Array(text[start..<(keepingEnds ? index + length : index)]))
            index += length
            start = index
        }
        if start < text.count { lines.append(Array(text[start...])) }
        return lines
    }

    /// `str.replace`.
    static func replace(
        _ old: [Unicode.Scalar], by new: [Unicode.Scalar], in text: [Unicode.Scalar], limit: Int, maximumCount: Int
    ) throws -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        var remaining = limit < 0 ? Int.max : limit
        var start = 0
        func check() throws {
            guard result.count <= maximumCount else { throw TemplateFault.limit("the memory of one text") }
        }
        if old.isEmpty {
            for scalar in text {
                if remaining > 0 {
                    result += new
                    remaining -= 1
                }
                result.append(scalar)
                try check()
            }
            return remaining > 0 ? result + new : result
        }
        while remaining > 0, let index = find(old, in: text, from: start) {
            result += text[start..<index]
            result += new
            start = index + old.count
            remaining -= 1
            try check()
        }
        return result + text[start...]
    }

    /// HTML's characters as references, as MarkupSafe writes them.
    static func escaped(_ scalars: [Unicode.Scalar]) -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        result.reserveCapacity(scalars.count)
        for scalar in scalars {
            switch scalar {
            case "&": result += "&amp;".unicodeScalars
            case "<": result += "&lt;".unicodeScalars
            case ">": result += "&gt;".unicodeScalars
            case "'": result += "&#39;".unicodeScalars
            case "\"": result += "&#34;".unicodeScalars
            default: result.append(scalar)
            }
        }
        return result
    }
}
