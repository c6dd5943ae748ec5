/// Operators, and how values are written, compared and taken apart.
extension TemplateEvaluator {
    func mistake(_ reason: String) -> TemplateFault { .evaluation(reason) }

    func undefinedUse(_ reason: String) -> TemplateFault { .evaluation(reason) }

    // MARK: Writing

    /// Python's `str`, which is what output writes.
    func string(of value: TemplateValue) throws -> TemplateText {
        switch value {
        case .text(let text): return text
        case .undefined: return TemplateText([])
        default:
            var result: [Unicode.Scalar] = []
            try write(value, to: &result)
            return TemplateText(result)
        }
    }

    /// Python's `repr`.
    private func write(_ value: TemplateValue, to result: inout [Unicode.Scalar], depth: Int = 0) throws {
        try charge()
        guard depth <= limits.valueDepth else {
            throw TemplateFault.limit("\(limits.valueDepth) values within each other")
        }
        func append(_ string: String) { result += string.unicodeScalars }
        func append(_ elements: [TemplateValue], open: String, close: String) throws {
            append(open)
            for (index, element) in elements.enumerated() {
                if index > 0 { append(", ") }
                try write(element, to: &result, depth: depth + 1)
            }
            append(close)
        }
        switch value {
        case .undefined: append("Undefined")
        case .none: append("None")
        case .boolean(let value): append(value ? "True" : "False")
        case .integer(let value): append(String(value))
        case .float(let value): append(PythonText.float(value))
        case .text(let text):
            try reserve(bytes: 4 * text.scalars.count)
            if text.isMarkup { append("Markup(") }
            result += PythonText.quoted(text.scalars)
            if text.isMarkup { append(")") }
        case .list(let sequence): try append(sequence.elements, open: "[", close: "]")
        case .tuple(let sequence):
            try append(sequence.elements, open: "(", close: sequence.elements.count == 1 ? ",)" : ")")
        case .range(_, let description): append(description)
        case .view(let sequence, let name): try append(sequence.elements, open: "\(name)([", close: "])")
        case .dictionary(let dictionary): try appendMembers(dictionary.members)
        case .namespace(let namespace):
            append("<Namespace ")
            try appendMembers(namespace.names.map { (.text($0), namespace.attributes[$0] ?? .none) })
            append(">")
        case .iterator, .macro, .method, .function, .loop:
            throw TemplateFault.unsupported("the text of a value of type \(value.typeName)")
        }
        func appendMembers(_ members: [(key: TemplateValue, value: TemplateValue)]) throws {
            append("{")
            for (index, member) in members.enumerated() {
                if index > 0 { append(", ") }
                try write(member.key, to: &result, depth: depth + 1)
                append(": ")
                try write(member.value, to: &result, depth: depth + 1)
            }
            append("}")
        }
    }

    func representation(of value: TemplateValue) throws -> [Unicode.Scalar] {
        var result: [Unicode.Scalar] = []
        try write(value, to: &result)
        return result
    }

    // MARK: Taking apart

    /// The elements that a loop over the value takes. A generator has none left afterwards.
    func elements(of value: TemplateValue) throws -> [TemplateValue] {
        switch value {
        case .undefined: return []
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _), .view(let sequence, _):
            try charge(sequence.elements.count)
            return sequence.elements
        case .dictionary(let dictionary):
            try charge(dictionary.count)
            return dictionary.keys
        case .text(let text):
            try reserve(bytes: 32 * text.scalars.count)
            return text.scalars.map { .text(TemplateText([$0])) }
        case .iterator(let iterator):
            let elements = iterator.remaining()
            try charge(elements.count)
            return elements
        case .loop, .none, .boolean, .integer, .float, .namespace, .macro, .method, .function:
            throw mistake("'\(value.typeName)' object is not iterable")
        }
    }

    /// `len`
    func count(of value: TemplateValue) throws -> Int {
        switch value {
        case .undefined: return 0
        case .text(let text): return text.scalars.count
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _), .view(let sequence, _):
            return sequence.elements.count
        case .dictionary(let dictionary): return dictionary.count
        case .loop(let loop): return try loop.length()
        default: throw mistake("object of type '\(value.typeName)' has no len()")
        }
    }

    /// `value[key]`
    func item(_ key: TemplateValue, of value: TemplateValue) throws -> TemplateValue {
        func missing() throws -> TemplateValue {
            if case .text(let name) = key {
                return self.method(name.string, of: value) ?? self.missing(name.string, of: value)
            }
            let shown = try representation(of: key)
            return .undefined(reason: "'\(value.typeName) object' has no element \(String(scalars: shown))")
        }
        switch value {
        case .undefined(let reason): throw undefinedUse(reason)
        case .dictionary(let dictionary):
            if case .undefined = key { return try missing() }
            // Jinja takes a key that Python cannot look up for one that is not there.
            guard TemplateKey(key) != nil else { return try missing() }
            return try dictionary[self.key(key)] ?? missing()
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _):
            guard let index = key.integer, let place = place(index, of: sequence.elements.count) else {
                return try missing()
            }
            return sequence.elements[place]
        case .text(let text):
            guard let index = key.integer, let place = place(index, of: text.scalars.count) else {
                return try missing()
            }
            return .text(TemplateText([text.scalars[place]], isMarkup: text.isMarkup))
        case .namespace, .loop:
            guard case .text(let name) = key else { return try missing() }
            return try attribute(name.string, of: value)
        default: return try missing()
        }
    }

    private func place(_ index: Int, of count: Int) -> Int? {
        let place = index < 0 ? index + count : index
        return (0..<count).contains(place) ? place : nil
    }

    func missing(_ name: String, of value: TemplateValue) -> TemplateValue {
        .undefined(reason: "'\(value.typeName) object' has no attribute '\(name)'")
    }

    /// `value.name`
    func attribute(_ name: String, of value: TemplateValue) throws -> TemplateValue {
        switch value {
        case .undefined(let reason): throw undefinedUse(reason)
        case .namespace(let namespace): return namespace.attributes[name] ?? missing(name, of: value)
        case .loop(let loop): return try attribute(name, of: loop)
        case .macro(let macro):
            switch name {
            case "name": return .text(macro.macro.name)
            case "arguments": return .tuple(try sequence(macro.macro.parameters.map { .text($0) }))
            default: return missing(name, of: value)
            }
        default: break
        }
        if let method = method(name, of: value) { return method }
        if case .dictionary(let dictionary) = value, let member = dictionary[name] { return member }
        return missing(name, of: value)
    }

    private func attribute(_ name: String, of loop: TemplateLoop) throws -> TemplateValue {
        switch name {
        case "index": return .integer(loop.index + 1)
        case "index0": return .integer(loop.index)
        case "first": return .boolean(loop.index == 0)
        case "last": return .boolean(try loop.peek() == nil)
        case "length": return .integer(try loop.length())
        case "revindex": return .integer(try loop.length() - loop.index)
        case "revindex0": return .integer(try loop.length() - loop.index - 1)
        case "previtem": return loop.previous ?? .undefined(reason: "there is no previous item")
        case "nextitem": return try loop.peek() ?? .undefined(reason: "there is no next item")
        case "depth": return .integer(1)
        case "depth0": return .integer(0)
        case "cycle", "changed": return .method(TemplateMethod(receiver: .loop(loop), name: name))
        default: return missing(name, of: .loop(loop))
        }
    }

    /// `value[start:stop:step]`, with Python's rules for negative numbers.
    func slice(_ value: TemplateValue, start: Int?, stop: Int?, step: Int?) throws -> TemplateValue {
        if case .undefined(let reason) = value { throw undefinedUse(reason) }
        let count: Int
        switch value {
        case .text, .list, .tuple, .range: count = try self.count(of: value)
        case .dictionary: throw mistake("unhashable type: 'slice'")
        default: return .undefined(reason: "'\(value.typeName) object' cannot be sliced")
        }
        let step = step ?? 1
        guard step != 0 else { throw mistake("slice step cannot be zero") }
        func clamped(_ index: Int?, missing: Int, low: Int, high: Int) -> Int {
            guard let index else { return missing }
            return min(max(index < 0 ? index + count : index, low), high)
        }
        var indices: [Int] = []
        if step > 0 {
            let first = clamped(start, missing: 0, low: 0, high: count)
            let last = clamped(stop, missing: count, low: 0, high: count)
            if first < last { indices = Self.steps(from: first, to: last, by: step) }
        } else {
            let first = clamped(start, missing: count - 1, low: -1, high: count - 1)
            let last = clamped(stop, missing: -1, low: -1, high: count - 1)
            if first > last { indices = Self.steps(from: first, to: last, by: step) }
        }
        switch value {
        case .text(let text): return try self.text(indices.map { text.scalars[$0] }, isMarkup: text.isMarkup)
        case .tuple(let sequence): return .tuple(try self.sequence(indices.map { sequence.elements[$0] }))
        case .list(let sequence): return try list(indices.map { sequence.elements[$0] })
        case .range: throw TemplateFault.unsupported("a slice of a range")
        default: return .none
        }
    }

    // MARK: Comparing

    func isEqual(_ left: TemplateValue, _ right: TemplateValue, depth: Int = 0) throws -> Bool {
        try charge()
        guard depth <= limits.valueDepth else {
            throw TemplateFault.limit("\(limits.valueDepth) values within each other")
        }
        func areEqual(_ left: [TemplateValue], _ right: [TemplateValue]) throws -> Bool {
            guard left.count == right.count else { return false }
            for (left, right) in zip(left, right) where try !isEqual(left, right, depth: depth + 1) { return false }
            return true
        }
        switch (left, right) {
        case (.undefined, .undefined), (.none, .none): return true
        case (.text(let left), .text(let right)):
            guard left.scalars.count == right.scalars.count else { return false }
            try charge(left.scalars.count)
            return left.scalars == right.scalars
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)),
            (.range(let left, _), .range(let right, _)):
            return try areEqual(left.elements, right.elements)
        case (.dictionary(let left), .dictionary(let right)):
            guard left.count == right.count else { return false }
            for (key, value) in left.members {
                guard let other = right[try self.key(key)], try isEqual(value, other, depth: depth + 1) else {
                    return false
                }
            }
            return true
        case (.namespace(let left), .namespace(let right)): return left === right
        case (.macro(let left), .macro(let right)): return left === right
        case (.iterator(let left), .iterator(let right)): return left === right
        case (.loop(let left), .loop(let right)): return left === right
        case (.function(let left), .function(let right)): return left == right
        default:
            switch (left.number, right.number) {
            case (.integer(let left)?, .integer(let right)?): return left == right
            case (.integer(let left)?, .float(let right)?): return Int(exactly: right) == left
            case (.float(let left)?, .integer(let right)?): return Int(exactly: left) == right
            case (.float(let left)?, .float(let right)?): return left == right
            default: return false
            }
        }
    }

    /// Whether the left value comes before the right one.
    func isLess(_ left: TemplateValue, _ right: TemplateValue, depth: Int = 0) throws -> Bool {
        try charge()
        guard depth <= limits.valueDepth else {
            throw TemplateFault.limit("\(limits.valueDepth) values within each other")
        }
        switch (left, right) {
        case (.undefined(let reason), _), (_, .undefined(let reason)): throw undefinedUse(reason)
        case (.text(let left), .text(let right)):
            try charge(min(left.scalars.count, right.scalars.count))
            return left.scalars.lexicographicallyPrecedes(right.scalars)
        case (.list(let left), .list(let right)), (.tuple(let left), .tuple(let right)):
            for (left, right) in zip(left.elements, right.elements) where try !isEqual(left, right, depth: depth + 1) {
                return try isLess(left, right, depth: depth + 1)
            }
            return left.elements.count < right.elements.count
        default:
            switch (left.number, right.number) {
            case (.integer(let left)?, .integer(let right)?): return left < right
            case (let left?, let right?): return left.double < right.double
            default:
                throw mistake(
                    "'<' is not supported between instances of '\(left.typeName)' and '\(right.typeName)'")
            }
        }
    }

    func compare(
        _ left: TemplateValue, _ comparison: TemplateExpression.Comparison, _ right: TemplateValue
    ) throws -> Bool {
        switch comparison {
        case .equal: return try isEqual(left, right)
        case .notEqual: return try !isEqual(left, right)
        case .less: return try isLess(left, right)
        case .greater: return try isLess(right, left)
        // Numbers apart, an order is total; a NaN is neither less nor equal.
        case .lessOrEqual: return try isLess(left, right) || isEqual(left, right)
        case .greaterOrEqual: return try isLess(right, left) || isEqual(left, right)
        case .contained: return try isContained(left, in: right)
        case .notContained: return try !isContained(left, in: right)
        }
    }

    func isContained(_ value: TemplateValue, in container: TemplateValue) throws -> Bool {
        switch container {
        case .text(let text):
            guard case .text(let part) = value else {
                throw mistake("'in <string>' requires string as left operand, not \(value.typeName)")
            }
            try charge(8 * text.scalars.count)
            return PythonText.find(part.scalars, in: text.scalars) != nil
        case .dictionary(let dictionary):
            if case .undefined = value { return false }
            return dictionary[try key(value)] != nil
        case .undefined: return false
        case .none, .boolean, .integer, .float, .namespace, .macro, .method, .function, .loop:
            throw mistake("argument of type '\(container.typeName)' is not iterable")
        case .list, .tuple, .range, .view, .iterator:
            for element in try elements(of: container) where try isEqual(element, value) { return true }
            return false
        }
    }

    // MARK: Arithmetic

    func negated(_ value: TemplateValue) throws -> TemplateValue {
        if case .undefined(let reason) = value { throw undefinedUse(reason) }
        switch value.number {
        case .integer(let value)?: return .integer(try checked(0.subtractingReportingOverflow(value), "-"))
        case .float(let value)?: return .float(-value)
        case nil: throw mistake("bad operand type for unary -: '\(value.typeName)'")
        }
    }

    func positive(_ value: TemplateValue) throws -> TemplateValue {
        if case .undefined(let reason) = value { throw undefinedUse(reason) }
        switch value.number {
        case .integer(let value)?: return .integer(value)
        case .float(let value)?: return .float(value)
        case nil: throw mistake("bad operand type for unary +: '\(value.typeName)'")
        }
    }

    private func checked(_ result: (partialValue: Int, overflow: Bool), _ symbol: String) throws -> Int {
        guard !result.overflow else {
            throw TemplateFault.unsupported("a whole number beyond 64 bits, from \"\(symbol)\"")
        }
        return result.partialValue
    }

    func apply(
        _ symbol: TemplateExpression.Operator, _ left: TemplateValue, _ right: TemplateValue
    ) throws -> TemplateValue {
        if case .undefined(let reason) = left { throw undefinedUse(reason) }
        if symbol == .modulo, case .text(let format) = left { return try formatted(format, with: right) }
        if case .undefined(let reason) = right { throw undefinedUse(reason) }
        switch (symbol, left, right) {
        case (.add, .text(let left), .text(let right)): return try joined(left, right)
        case (.add, .list(let left), .list(let right)): return try list(left.elements + right.elements)
        case (.add, .tuple(let left), .tuple(let right)): return .tuple(try sequence(left.elements + right.elements))
        case (.multiply, .text, _), (.multiply, .list, _), (.multiply, .tuple, _):
            if let count = right.integer { return try repeated(left, count) }
        case (.multiply, _, .text), (.multiply, _, .list), (.multiply, _, .tuple):
            if let count = left.integer { return try repeated(right, count) }
        default: break
        }
        guard let first = left.number, let second = right.number else {
            throw mistake(
                "unsupported operand type(s) for \(symbol.rawValue): '\(left.typeName)' and '\(right.typeName)'")
        }
        if case .integer(let left) = first, case .integer(let right) = second, symbol != .divide {
            return try apply(symbol, left, right)
        }
        return try apply(symbol, first.double, second.double)
    }

    /// `left + right` of texts, where markup escapes the other text.
    func joined(_ left: TemplateText, _ right: TemplateText) throws -> TemplateValue {
        guard left.isMarkup || right.isMarkup else { return try text(left.scalars + right.scalars) }
        func escaped(_ text: TemplateText) -> [Unicode.Scalar] {
            text.isMarkup ? text.scalars : PythonText.escaped(text.scalars)
        }
        return try text(escaped(left) + escaped(right), isMarkup: true)
    }

    private func repeated(_ value: TemplateValue, _ count: Int) throws -> TemplateValue {
        let length = try self.count(of: value)
        let (total, overflow) = length.multipliedReportingOverflow(by: max(0, count))
        guard !overflow, total <= availableCharacters else {
            throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
        }
        switch value {
        case .text(let text):
            var result: [Unicode.Scalar] = []
            result.reserveCapacity(total)
            if length > 0 { for _ in 0..<max(0, count) { result += text.scalars } }
            return try self.text(result, isMarkup: text.isMarkup)
        case .list(let sequence), .tuple(let sequence):
            try reserve(bytes: 16 * total)
            var result: [TemplateValue] = []
            if length > 0 { for _ in 0..<max(0, count) { result += sequence.elements } }
            if case .list = value { return try list(result) }
            return .tuple(try self.sequence(result))
        default: return value
        }
    }

    private func apply(_ symbol: TemplateExpression.Operator, _ left: Int, _ right: Int) throws -> TemplateValue {
        switch symbol {
        case .add: return .integer(try checked(left.addingReportingOverflow(right), "+"))
        case .subtract: return .integer(try checked(left.subtractingReportingOverflow(right), "-"))
        case .multiply: return .integer(try checked(left.multipliedReportingOverflow(by: right), "*"))
        case .floorDivide, .modulo:
            guard right != 0 else { throw mistake("integer division or modulo by zero") }
            if right == -1 { return symbol == .modulo ? .integer(0) : try negated(.integer(left)) }
            // Python rounds down, and the remainder has the divisor's sign.
            let remainder = left % right
            let isOff = remainder != 0 && (remainder < 0) != (right < 0)
            return .integer(
                symbol == .modulo ? remainder + (isOff ? right : 0) : left / right - (isOff ? 1 : 0))
        case .power:
            guard right >= 0 else {
                guard left != 0 else { throw mistake("0.0 cannot be raised to a negative power") }
                return .float(power(Double(left), Double(right)))
            }
            var result = 1
            if left == 0 || left == 1 || right == 0 { return .integer(right == 0 ? 1 : left) }
            if left == -1 { return .integer(right % 2 == 0 ? 1 : -1) }
            for _ in 0..<min(right, 64) { result = try checked(result.multipliedReportingOverflow(by: left), "**") }
            return .integer(result)
        case .divide: return try apply(symbol, Double(left), Double(right))
        }
    }

    private func apply(_ symbol: TemplateExpression.Operator, _ left: Double, _ right: Double) throws -> TemplateValue {
        switch symbol {
        case .add: return .float(left + right)
        case .subtract: return .float(left - right)
        case .multiply: return .float(left * right)
        case .divide, .floorDivide, .modulo:
            guard right != 0 else { throw mistake("float division by zero") }
            if symbol == .divide { return .float(left / right) }
            var remainder = left.truncatingRemainder(dividingBy: right)
            if remainder != 0, (remainder < 0) != (right < 0) { remainder += right }
            return .float(symbol == .modulo ? remainder : ((left - remainder) / right).rounded())
        case .power: return .float(power(left, right))
        }
    }
}
