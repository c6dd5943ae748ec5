import Foundation

/// Jinja's filters. Those that are missing are refused by name where they are used.
extension TemplateEvaluator {
    func filter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        try charge()
        switch name {
        case "trim", "upper", "lower", "capitalize", "title", "string", "replace", "indent", "escape", "e",
            "forceescape",
            "safe", "truncate", "wordcount", "center", "format", "urlencode":
            return try textFilter(name, value, call)
        case "map", "select", "reject", "selectattr", "rejectattr": return try mappingFilter(name, value, call)
        case "abs", "int", "float", "round", "sum": return try numberFilter(name, value, call)
        default: return try sequenceFilter(name, value, call)
        }
    }

    // MARK: Texts

    private func textFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        let subject = try string(of: value)
        let scalars = subject.scalars
        try charge(scalars.count)
        func made(_ scalars: [Unicode.Scalar]) throws -> TemplateValue { try text(scalars, isMarkup: subject.isMarkup) }
        switch name {
        case "trim":
            let characters = try call.bound(to: ["chars"], of: name)[0]
            if case .text(let characters)? = characters {
                return try made(PythonText.strip(scalars, characters: characters.scalars))
            }
            return try made(PythonText.strip(scalars, characters: nil))
        case "upper": return try made(PythonText.uppercase(scalars))
        case "lower": return try made(PythonText.lowercase(scalars))
        case "capitalize": return try made(PythonText.capitalize(scalars))
        case "title":
            var result: [Unicode.Scalar] = []
            var isFirst = true
            for scalar in scalars {
                if scalar.isPythonSpace || ["-", "(", "{", "[", "<"].contains(scalar) {
                    result.append(scalar)
                    isFirst = true
                } else {
                    result += isFirst ? PythonText.uppercase([scalar]) : PythonText.lowercase([scalar])
                    isFirst = false
                }
            }
            return try text(result)
        case "string": return try made(scalars)
        case "replace":
            let values = try call.bound(to: ["old", "new", "count"], of: name)
            guard let old = values[0], let new = values[1] else { throw mistake("replace needs two arguments") }
            let limit: Int
            switch values[2] {
            case nil, .some(.none): limit = -1
            case let count?:
                guard let count = count.integer else { throw mistake("replace: the count must be a number") }
                limit = count
            }
            try charge(8 * scalars.count)
            return try text(
                try PythonText.replace(
                    try string(of: old).scalars, by: try string(of: new).scalars, in: scalars, limit: limit,
                    maximumCount: availableCharacters))
        case "indent": return try indented(value, subject, call)
        case "escape", "e":
            return subject.isMarkup ? .text(subject) : try text(PythonText.escaped(scalars), isMarkup: true)
        case "forceescape": return try text(PythonText.escaped(scalars), isMarkup: true)
        case "safe": return try text(scalars, isMarkup: true)
        case "truncate": return try truncated(subject, call)
        case "wordcount":
            var count = 0
            var isInWord = false
            for scalar in scalars {
                if scalar.isWordCharacter, !isInWord { count += 1 }
                isInWord = scalar.isWordCharacter
            }
            return .integer(count)
        case "format":
            guard call.named.isEmpty || call.positional.isEmpty else {
                throw mistake("can't handle positional and keyword arguments at the same time")
            }
            if call.named.isEmpty { return try formatted(subject, with: .tuple(try sequence(call.positional))) }
            return try formatted(subject, with: try dictionary(call.named.map { (.text($0.name), $0.value) }))
        case "center":
            let width = try call.bound(to: ["width"], of: name)[0]?.integer ?? 80
            return try self.call(
                .method(TemplateMethod(receiver: .text(subject), name: "center")),
                TemplateCall(positional: [.integer(width)]))
        default: throw TemplateFault.unsupported("the filter \"\(name)\"")
        }
    }

    private func indented(_ value: TemplateValue, _ subject: TemplateText, _ call: TemplateCall) throws -> TemplateValue
    {
        guard case .text = value else {
            throw mistake("indent: expected a string, found a value of type \(value.typeName)")
        }
        let values = try call.bound(to: ["width", "first", "blank"], of: "indent")
        var indent: [Unicode.Scalar]
        if case .text(let text)? = values[0] {
            indent = text.scalars
        } else {
            let width = values[0]?.integer ?? 4
            guard width <= 10_000 else { throw TemplateFault.limit("10000 as the width of an indent") }
            indent = .init(repeating: " ", count: max(0, width))
        }
        let lines = PythonText.lines(subject.scalars + ["\n"])
        try reserve(bytes: 4 * (lines.count * indent.count + subject.scalars.count))
        let indentsBlank = values[2]?.isTrue ?? false
        var result: [Unicode.Scalar] = values[1]?.isTrue ?? false ? indent : []
        for (index, line) in lines.enumerated() {
            if index > 0 {
                result.append("\n")
                if indentsBlank || !line.isEmpty { result += indent }
            }
            result += line
        }
        return try text(result, isMarkup: subject.isMarkup)
    }

    private func truncated(_ subject: TemplateText, _ call: TemplateCall) throws -> TemplateValue {
        let values = try call.bound(to: ["length", "killwords", "end", "leeway"], of: "truncate")
        let length = values[0]?.integer ?? 255
        let end = try values[2].map { try string(of: $0).scalars } ?? Array("...".unicodeScalars)
        let leeway = values[3]?.integer ?? 5
        guard length >= end.count, leeway >= 0, length < Int.max - leeway else {
            throw mistake("truncate: the length must be at least \(end.count)")
        }
        if subject.scalars.count <= length + leeway { return .text(subject) }
        var kept = Array(subject.scalars[..<(length - end.count)])
        if !(values[1]?.isTrue ?? false), let space = kept.lastIndex(of: " ") { kept = Array(kept[..<space]) }
        return try text(kept + end, isMarkup: subject.isMarkup)
    }

    // MARK: Numbers

    private func numberFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        if case .undefined(let reason) = value, name == "abs" || name == "round" { throw undefinedUse(reason) }
        switch name {
        case "abs":
            switch value.number {
            case .integer(let value)?: return value < 0 ? try negated(.integer(value)) : .integer(value)
            case .float(let value)?: return .float(value.magnitude)
            case nil: throw mistake("bad operand type for abs(): '\(value.typeName)'")
            }
        case "int":
            let values = try call.bound(to: ["default", "base"], of: name)
            return try integer(value, base: values[1]?.integer ?? 10) ?? values[0] ?? .integer(0)
        case "float":
            let values = try call.bound(to: ["default"], of: name)
            if let number = value.number { return .float(number.double) }
            if case .text(let text) = value, let number = float(text) { return .float(number) }
            return values[0] ?? .float(0)
        case "round":
            let values = try call.bound(to: ["precision", "method"], of: name)
            let precision = values[0]?.integer ?? 0
            let method = try values[1].map { try string(of: $0).string } ?? "common"
            guard let number = value.number, (0...300).contains(precision) else {
                throw TemplateFault.unsupported("round of \(value.typeName) with the precision \(precision)")
            }
            if method == "common" {
                guard case .float(let double) = number else { return value }
                guard double.isFinite else { return value }
                return .float(Double(String(format: "%.\(precision)f", double)) ?? double)
            }
            guard method == "ceil" || method == "floor" else { throw mistake("method must be common, ceil or floor") }
            let scale = power(10, Double(precision))
            return .float((number.double * scale).rounded(method == "ceil" ? .up : .down) / scale)
        default:
            let values = try call.bound(to: ["attribute", "start"], of: name)
            var total = values[1] ?? .integer(0)
            for element in try elements(of: value) {
                total = try apply(.add, total, try self.value(at: values[0], of: element))
            }
            return total
        }
    }

    private func integer(_ value: TemplateValue, base: Int) throws -> TemplateValue? {
        switch value {
        case .text(let text):
            var digits = String(scalars: PythonText.strip(text.scalars, characters: nil))
            let isNegative = digits.hasPrefix("-")
            if isNegative || digits.hasPrefix("+") { digits.removeFirst() }
            for (radix, prefix) in [(16, "0x"), (8, "0o"), (2, "0b")]
            where base == radix && digits.lowercased().hasPrefix(prefix) {
                digits.removeFirst(2)
            }
            let isClean =
                !digits.isEmpty && digits.unicodeScalars.allSatisfy { $0.isASCII && $0.isWordCharacter }
                && !digits.hasPrefix("_") && !digits.hasSuffix("_") && !digits.contains("__")
            digits.removeAll { $0 == "_" }
            if isClean, (2...36).contains(base), let number = Int((isNegative ? "-" : "") + digits, radix: base) {
                return .integer(number)
            }
            guard let double = float(text) else { return nil }
            return try whole(double)
        case .boolean, .integer: return value.integer.map { .integer($0) }
        case .float(let double): return try whole(double)
        default: return nil
        }
    }

    private func whole(_ double: Double) throws -> TemplateValue? {
        guard double.isFinite else { return nil }
        guard let number = Int(exactly: double.rounded(.towardZero)) else {
            throw TemplateFault.unsupported("a whole number beyond 64 bits, from \"int\"")
        }
        return .integer(number)
    }

    private func float(_ text: TemplateText) -> Double? {
        let digits = String(scalars: PythonText.strip(text.scalars, characters: nil)).lowercased()
        guard !digits.hasPrefix("0x"), !digits.hasPrefix("-0x"), !digits.hasPrefix("+0x"), !digits.contains("(") else {
            return nil
        }
        return Double(digits.filter { $0 != "_" })
    }

    // MARK: Elements

    /// The value that an attribute's path leads to, such as `function.name`; the element itself without a path.
    ///
    /// - Parameter fallback: The value in place of each one on the path that is not defined.
    private func value(
        at path: TemplateValue?, of element: TemplateValue, orElse fallback: TemplateValue? = nil
    ) throws -> TemplateValue {
        guard let path else { return element }
        switch path {
        case .none: return element
        case .integer:
            let found = try item(path, of: element)
            return found.isUndefined ? fallback ?? found : found
        default:
            var value = element
            for part in PythonText.split(try string(of: path).scalars, by: ["."], limit: -1, fromRight: false) {
                let index = part.allSatisfy(\.isASCIIDigit) ? Int(String(scalars: part)) : nil
                value = try item(index.map { .integer($0) } ?? .text(TemplateText(part)), of: value)
                if value.isUndefined, let fallback { value = fallback }
            }
            return value
        }
    }

    private func mappingFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        var result: [TemplateValue] = []
        // Nothing that is false is iterated over, not even none.
        let elements = value.isTrue ? try elements(of: value) : []
        if name == "map" {
            if call.positional.isEmpty, let path = call.named.first(where: { $0.name == "attribute" })?.value {
                let fallback = call.named.first { $0.name == "default" }?.value
                for element in elements {
                    result.append(try self.value(at: path, of: element, orElse: fallback))
                }
                return try iterator(result)
            }
            guard case .text(let filterName)? = call.positional.first else {
                throw mistake("map requires a filter argument")
            }
            let rest = TemplateCall(positional: Array(call.positional.dropFirst()), named: call.named)
            for element in elements { result.append(try filter(filterName.string, element, rest)) }
            return try iterator(result)
        }
        let takesAttribute = name.hasSuffix("attr")
        var rest = call.positional
        if takesAttribute, rest.isEmpty { throw mistake("Missing parameter for attribute name") }
        let path = takesAttribute ? rest.removeFirst() : nil
        var testName: String?
        if case .text(let name)? = rest.first {
            testName = name.string
            rest.removeFirst()
        }
        for element in elements {
            let subject = try self.value(at: path, of: element)
            let holds =
                try testName.map { try test($0, subject, TemplateCall(positional: rest, named: call.named)) }
                ?? subject.isTrue
            if holds == name.hasPrefix("select") { result.append(element) }
        }
        return try iterator(result)
    }

    private func sequenceFilter(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        switch name {
        case "length", "count": return .integer(try count(of: value))
        case "default", "d":
            let values = try call.bound(to: ["default_value", "boolean"], of: name)
            let isMissing = value.isUndefined || (values[1]?.isTrue ?? false && !value.isTrue)
            return isMissing ? values[0] ?? .text("") : value
        case "list": return try list(try elements(of: value))
        case "first":
            if case .iterator(let iterator) = value {
                return iterator.next() ?? .undefined(reason: "No first item, sequence was empty.")
            }
            return try elements(of: value).first ?? .undefined(reason: "No first item, sequence was empty.")
        case "last":
            if case .iterator = value { throw mistake("'generator' object is not reversible") }
            return try elements(of: value).last ?? .undefined(reason: "No last item, sequence was empty.")
        case "join": return try joined(value, call)
        case "tojson":
            var writer = try TemplateJSON(evaluator: self, arguments: call)
            return try text(try writer.text(of: value))
        case "items":
            switch value {
            case .undefined: return try iterator([])
            case .dictionary(let dictionary): return try iterator(try items(of: dictionary))
            default: throw mistake("Can only get item pairs from a mapping.")
            }
        case "dictsort": return try sortedItems(of: value, call)
        case "sort":
            let values = try call.bound(to: ["reverse", "case_sensitive", "attribute"], of: name)
            return try list(
                try sorted(
                    try elements(of: value), path: values[2], isCaseSensitive: values[1]?.isTrue ?? false,
                    isReversed: values[0]?.isTrue ?? false))
        case "min", "max":
            let values = try call.bound(to: ["case_sensitive", "attribute"], of: name)
            var best: (element: TemplateValue, key: TemplateValue)?
            for element in try elements(of: value) {
                let key = try sortKey(of: element, path: values[1], isCaseSensitive: values[0]?.isTrue ?? false)
                if let found = best, try !(name == "min" ? isLess(key, found.key) : isLess(found.key, key)) { continue }
                best = (element, key)
            }
            return best?.element ?? .undefined(reason: "No aggregated item, sequence was empty.")
        case "unique":
            let values = try call.bound(to: ["case_sensitive", "attribute"], of: name)
            var seen: Set<TemplateKey> = []
            var result: [TemplateValue] = []
            for element in try elements(of: value) {
                let key = try sortKey(of: element, path: values[1], isCaseSensitive: values[0]?.isTrue ?? false)
                if seen.insert(try self.key(key)).inserted { result.append(element) }
            }
            return try iterator(result)
        case "reverse":
            if case .text(let text) = value { return try self.text(text.scalars.reversed(), isMarkup: text.isMarkup) }
            return try iterator(try elements(of: value).reversed())
        case "batch", "slice": return try grouped(name, value, call)
        case "attr":
            guard case .text(let attribute)? = try call.bound(to: ["name"], of: name)[0] else {
                throw mistake("attr: the name must be a string")
            }
            if case .dictionary = value {
                return method(attribute.string, of: value) ?? missing(attribute.string, of: value)
            }
            return try self.attribute(attribute.string, of: value)
        default: throw TemplateFault.unsupported("the filter \"\(name)\"")
        }
    }

    private func joined(_ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        let values = try call.bound(to: ["d", "attribute"], of: "join")
        let separator = try values[0].map { try string(of: $0).scalars } ?? []
        var result: [Unicode.Scalar] = []
        for (index, element) in try elements(of: value).enumerated() {
            if index > 0 { result += separator }
            result += try string(of: try self.value(at: values[1], of: element)).scalars
            try charge(separator.count)
            guard result.count <= availableCharacters else {
                throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
            }
        }
        return try text(result)
    }

    private func grouped(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        let values = try call.bound(to: [name == "batch" ? "linecount" : "slices", "fill_with"], of: name)
        guard let size = values[0]?.integer, (1...limits.rangeCount).contains(size) else {
            throw mistake("\(name): the number must be positive")
        }
        var fill = values[1]
        if case .none? = fill { fill = nil }
        let elements = try elements(of: value)
        var groups: [TemplateValue] = []
        if name == "batch" {
            for start in stride(from: 0, to: elements.count, by: size) {
                var group = Array(elements[start..<min(start + size, elements.count)])
                if let fill { group += [TemplateValue](repeating: fill, count: size - group.count) }
                groups.append(try list(group))
            }
        } else {
            let (each, longer) = elements.count.quotientAndRemainder(dividingBy: size)
            var start = 0
            for index in 0..<size {
                let end = start + each + (index < longer ? 1 : 0)
                var group = Array(elements[start..<end])
                if let fill, index >= longer { group.append(fill) }
                groups.append(try list(group))
                start = end
            }
        }
        return try iterator(groups)
    }

    // MARK: Sorting

    private func sortKey(of element: TemplateValue, path: TemplateValue?, isCaseSensitive: Bool) throws -> TemplateValue
    {
        func folded(_ value: TemplateValue) throws -> TemplateValue {
            guard !isCaseSensitive, case .text(let text) = value else { return value }
            return try self.text(PythonText.lowercase(text.scalars))
        }
        return try folded(try value(at: path, of: element))
    }

    private func sorted(
        _ elements: [TemplateValue], path: TemplateValue?, isCaseSensitive: Bool, isReversed: Bool
    ) throws -> [TemplateValue] {
        var keyed: [(element: TemplateValue, key: TemplateValue)] = []
        let paths: [TemplateValue?]
        if case .text(let text)? = path, text.scalars.contains(",") {
            paths = PythonText.split(text.scalars, by: [","], limit: -1, fromRight: false).map {
                .text(TemplateText($0))
            }
        } else {
            paths = [path]
        }
        for element in elements {
            var keys: [TemplateValue] = []
            for path in paths { keys.append(try sortKey(of: element, path: path, isCaseSensitive: isCaseSensitive)) }
            keyed.append((element, paths.count == 1 ? keys[0] : .tuple(try sequence(keys))))
        }
        // Python keeps the order of equal elements when it sorts in reverse, too.
        if isReversed { keyed.reverse() }
        let result = try sorted(keyed) { $0.key }.map(\.element)
        return isReversed ? result.reversed() : result
    }

    /// A stable merge sort, which is defined for any order, even of a NaN.
    func sorted<Element>(_ elements: [Element], by key: (Element) -> TemplateValue) throws -> [Element] {
        try reserve(bytes: 64 * elements.count)
        var current = elements
        var width = 1
        while width < current.count {
            var merged: [Element] = []
            merged.reserveCapacity(current.count)
            for start in stride(from: 0, to: current.count, by: 2 * width) {
                let middle = min(start + width, current.count)
                let end = min(start + 2 * width, current.count)
                var (left, right) = (start, middle)
                while left < middle || right < end {
                    if left < middle, try right >= end || !isLess(key(current[right]), key(current[left])) {
                        merged.append(current[left])
                        left += 1
                    } else {
                        merged.append(current[right])
                        right += 1
                    }
                }
            }
            current = merged
            width *= 2
        }
        return current
    }

    private func sortedItems(of value: TemplateValue, _ call: TemplateCall) throws -> TemplateValue {
        let values = try call.bound(to: ["case_sensitive", "by", "reverse"], of: "dictsort")
        guard case .dictionary(let dictionary) = value else {
            if case .undefined(let reason) = value { throw undefinedUse(reason) }
            throw mistake("'\(value.typeName)' object has no attribute 'items'")
        }
        let by = try values[1].map { try string(of: $0).string } ?? "key"
        guard by == "key" || by == "value" else { throw mistake("You can only sort by either \"key\" or \"value\"") }
        return try list(
            try sorted(
                try items(of: dictionary), path: .integer(by == "key" ? 0 : 1),
                isCaseSensitive: values[0]?.isTrue ?? false, isReversed: values[2]?.isTrue ?? false))
    }

    // MARK: Tests

    func test(_ name: String, _ value: TemplateValue, _ call: TemplateCall) throws -> Bool {
        func argument() throws -> TemplateValue {
            guard let first = call.positional.first, call.positional.count == 1, call.named.isEmpty else {
                throw mistake("the test \"\(name)\" takes one argument")
            }
            return first
        }
        switch name {
        case "eq", "equalto", "==": return try isEqual(value, try argument())
        case "ne", "!=": return try !isEqual(value, try argument())
        case "lt", "lessthan", "<": return try compare(value, .less, try argument())
        case "le", "<=": return try compare(value, .lessOrEqual, try argument())
        case "gt", "greaterthan", ">": return try compare(value, .greater, try argument())
        case "ge", ">=": return try compare(value, .greaterOrEqual, try argument())
        case "in": return try isContained(value, in: try argument())
        case "divisibleby": return try isEqual(try apply(.modulo, value, try argument()), .integer(0))
        case "sameas": return try isSame(value, try argument())
        default: break
        }
        guard call.positional.isEmpty, call.named.isEmpty else {
            throw mistake("the test \"\(name)\" takes no argument")
        }
        switch name {
        case "defined": return !value.isUndefined
        case "undefined": return value.isUndefined
        case "odd": return try isEqual(try apply(.modulo, value, .integer(2)), .integer(1))
        case "even": return try isEqual(try apply(.modulo, value, .integer(2)), .integer(0))
        case "lower", "upper":
            let text = try string(of: value)
            return try self.call(
                .method(TemplateMethod(receiver: .text(text), name: "is" + name)), TemplateCall()
            ).isTrue
        default: return try hasType(name, value)
        }
    }

    private func hasType(_ name: String, _ value: TemplateValue) throws -> Bool {
        switch (name, value) {
        case ("none", .none), ("boolean", .boolean), ("true", .boolean(true)), ("false", .boolean(false)),
            ("integer", .integer), ("float", .float), ("string", .text), ("mapping", .dictionary),
            ("number", .integer), ("number", .float), ("number", .boolean), ("callable", .macro),
            ("callable", .function), ("callable", .method), ("callable", .loop), ("callable", .undefined):
            return true
        case ("none", _), ("boolean", _), ("true", _), ("false", _), ("integer", _), ("float", _), ("string", _),
            ("mapping", _), ("number", _), ("callable", _):
            return false
        case ("escaped", .text(let text)): return text.isMarkup
        case ("escaped", _): return false
        case ("sequence", .text), ("sequence", .list), ("sequence", .tuple), ("sequence", .range),
            ("sequence", .dictionary), ("sequence", .undefined):
            return true
        case ("sequence", _): return false
        case ("iterable", .none), ("iterable", .boolean), ("iterable", .integer), ("iterable", .float),
            ("iterable", .namespace), ("iterable", .macro), ("iterable", .function), ("iterable", .method):
            return false
        case ("iterable", _): return true
        default: throw TemplateFault.unsupported("the test \"\(name)\"")
        }
    }

    private func isSame(_ left: TemplateValue, _ right: TemplateValue) throws -> Bool {
        switch (left, right) {
        case (.none, .none): return true
        case (.boolean(let left), .boolean(let right)): return left == right
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.none, _), (_, .none), (.boolean, _), (_, .boolean): return false
        default: throw TemplateFault.unsupported("the test \"sameas\" of values other than none, true and false")
        }
    }
}

func power(_ base: Double, _ exponent: Double) -> Double { Foundation.pow(base, exponent) }
