/// A value of a template, with the behaviour of the Python value that it is in transformers.
///
/// Lists and dictionaries never change, as Jinja's immutable sandbox demands. Only namespaces do.
enum TemplateValue {
    /// - reason: Why the value is missing, for errors.
    case undefined(reason: String)
    case none
    case boolean(Bool)
    case integer(Int)
    case float(Double)
    case text(TemplateText)
    case list(TemplateSequence)
    case tuple(TemplateSequence)
    case range(TemplateSequence, description: String)
    /// What `items`, `keys` and `values` of a dictionary return.
    case view(TemplateSequence, name: String)
    case dictionary(TemplateDictionary)
    case iterator(TemplateIterator)
    case namespace(TemplateNamespace)
    case macro(TemplateMacro)
    case method(TemplateMethod)
    case function(TemplateFunction)
    case loop(TemplateLoop)

    static func text(_ string: String) -> TemplateValue { .text(TemplateText(string)) }

    static func text(_ scalars: some Sequence<Unicode.Scalar>, isMarkup: Bool = false) -> TemplateValue {
        .text(TemplateText(Array(scalars), isMarkup: isMarkup))
    }

    /// The depth of nested values, which ``ChatTemplateLimits/valueDepth`` bounds.
    var depth: Int {
        switch self {
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _), .view(let sequence, _): sequence.depth
        case .dictionary(let dictionary): dictionary.depth
        case .iterator(let iterator): iterator.depth
        case .method(let method): method.receiver.depth
        case .loop(let loop): loop.depth
        default: 0
        }
    }

    var isUndefined: Bool {
        if case .undefined = self { true } else { false }
    }

    /// The name of the Python type, for errors.
    var typeName: String {
        switch self {
        case .undefined: "Undefined"
        case .none: "NoneType"
        case .boolean: "bool"
        case .integer: "int"
        case .float: "float"
        case .text: "str"
        case .list: "list"
        case .tuple: "tuple"
        case .range: "range"
        case .view(_, let name): name
        case .dictionary: "dict"
        case .iterator: "generator"
        case .namespace: "Namespace"
        case .macro: "Macro"
        case .method: "method"
        case .function: "function"
        case .loop: "LoopContext"
        }
    }

    /// Python's truth.
    var isTrue: Bool {
        switch self {
        case .undefined, .none: false
        case .boolean(let value): value
        case .integer(let value): value != 0
        case .float(let value): value != 0
        case .text(let text): !text.scalars.isEmpty
        case .list(let sequence), .tuple(let sequence), .range(let sequence, _), .view(let sequence, _):
            !sequence.elements.isEmpty
        case .dictionary(let dictionary): dictionary.count > 0
        case .iterator, .namespace, .macro, .method, .function, .loop: true
        }
    }

    /// The number in arithmetic; a boolean is 0 or 1.
    var number: TemplateNumber? {
        switch self {
        case .boolean(let value): .integer(value ? 1 : 0)
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        default: nil
        }
    }

    var integer: Int? {
        if case .integer(let value)? = number { value } else { nil }
    }
}

enum TemplateNumber {
    case integer(Int)
    case float(Double)

    var double: Double {
        switch self {
        case .integer(let value): Double(value)
        case .float(let value): value
        }
    }
}

/// A string of code points, as in Python.
struct TemplateText {
    var scalars: [Unicode.Scalar]
    /// Whether it is the result of `safe` or `escape`: text that is joined with it is escaped as HTML.
    var isMarkup = false

    init(_ scalars: [Unicode.Scalar], isMarkup: Bool = false) {
        self.scalars = scalars
        self.isMarkup = isMarkup
    }

    init(_ string: String) { self.init(Array(string.unicodeScalars)) }

    var string: String { String(scalars: scalars) }
}

/// The elements of a list or tuple.
final class TemplateSequence {
    let elements: [TemplateValue]
    let depth: Int

    init(_ elements: [TemplateValue]) {
        self.elements = elements
        depth = elements.reduce(0) { max($0, $1.depth) } + 1
    }
}

/// A dictionary in the order in which its keys were added.
final class TemplateDictionary {
    let keys: [TemplateValue]
    let values: [TemplateValue]
    private let indices: [TemplateKey: Int]
    let depth: Int

    /// - Parameter members: Later values replace earlier ones at the earlier place.
    init(_ members: [(key: TemplateValue, hashed: TemplateKey, value: TemplateValue)]) {
        var keys: [TemplateValue] = []
        var values: [TemplateValue] = []
        var indices: [TemplateKey: Int] = [:]
        for member in members {
            if let index = indices[member.hashed] {
                values[index] = member.value
            } else {
                indices[member.hashed] = keys.count
                keys.append(member.key)
                values.append(member.value)
            }
        }
        depth = values.reduce(keys.reduce(0) { max($0, $1.depth) }) { max($0, $1.depth) } + 1
        (self.keys, self.values, self.indices) = (keys, values, indices)
    }

    var count: Int { keys.count }

    subscript(key: TemplateKey) -> TemplateValue? { indices[key].map { values[$0] } }

    subscript(name: String) -> TemplateValue? { self[.text(Array(name.unicodeScalars))] }

    var members: [(key: TemplateValue, value: TemplateValue)] {
        keys.indices.map { (keys[$0], values[$0]) }
    }
}

/// A value as a dictionary's key: numbers that are equal are one key, as in Python.
enum TemplateKey: Hashable {
    case none
    case number(Double)
    case integer(Int)
    case text([Unicode.Scalar])
    case tuple([TemplateKey])

    init?(_ value: TemplateValue) {
        switch value {
        case .none: self = .none
        case .boolean(let value): self = .integer(value ? 1 : 0)
        case .integer(let value): self = .integer(value)
        case .float(let value): self = Int(exactly: value).map { .integer($0) } ?? .number(value)
        case .text(let text): self = .text(text.scalars)
        case .tuple(let sequence):
            var keys: [TemplateKey] = []
            for element in sequence.elements {
                guard let key = TemplateKey(element) else { return nil }
                keys.append(key)
            }
            self = .tuple(keys)
        default: return nil
        }
    }
}

/// A generator: elements that can be taken once.
final class TemplateIterator {
    private let elements: [TemplateValue]
    private var position = 0
    let depth: Int

    init(_ elements: [TemplateValue]) {
        self.elements = elements
        depth = elements.reduce(0) { max($0, $1.depth) } + 1
    }

    func next() -> TemplateValue? {
        guard position < elements.count else { return nil }
        defer { position += 1 }
        return elements[position]
    }

    func remaining() -> [TemplateValue] {
        defer { position = elements.count }
        return Array(elements[position...])
    }
}

/// The one kind of value that a template can change.
final class TemplateNamespace {
    var names: [String] = []
    var attributes: [String: TemplateValue] = [:]

    func set(_ name: String, _ value: TemplateValue) {
        if attributes.updateValue(value, forKey: name) == nil { names.append(name) }
    }

    func clear() {
        attributes = [:]
        names = []
    }
}

final class TemplateMacro {
    let macro: TemplateStatement.Macro
    /// Where the macro was defined, whose variables it sees. Nil after the rendering.
    var scope: TemplateScope?

    init(_ macro: TemplateStatement.Macro, scope: TemplateScope) {
        self.macro = macro
        self.scope = scope
    }
}

/// The variables of a template, a loop's iteration or a macro's call.
final class TemplateScope {
    var variables: [String: TemplateValue] = [:]
    let parent: TemplateScope?

    init(parent: TemplateScope?) { self.parent = parent }

    func value(of name: String) -> TemplateValue? {
        var scope: TemplateScope? = self
        while let current = scope {
            if let value = current.variables[name] { return value }
            scope = current.parent
        }
        return nil
    }
}

/// A method that was read but not yet called.
final class TemplateMethod {
    let receiver: TemplateValue
    let name: String

    init(receiver: TemplateValue, name: String) {
        self.receiver = receiver
        self.name = name
    }
}

enum TemplateFunction: String, CaseIterable {
    case range
    case namespace
    case dict
    case raiseException = "raise_exception"
    case currentTime = "strftime_now"
    case cycler
    case joiner
    case lipsum
}

/// The variable `loop`. It takes elements only as the loop reaches them, because a loop's condition can depend on its body.
final class TemplateLoop {
    private var source: TemplateIterator
    private let condition: ((TemplateValue) throws -> Bool)?
    /// Whether the remaining elements are known to fulfil the condition.
    private var isChecked = false
    private var following: TemplateValue?
    private(set) var previous: TemplateValue?
    private(set) var current: TemplateValue?
    private(set) var index = -1
    let depth: Int
    /// The number of loops around this one.
    let outerLoops: Int
    private var changed: [TemplateValue]?

    init(_ source: TemplateIterator, outerLoops: Int, condition: ((TemplateValue) throws -> Bool)?) {
        self.source = source
        self.condition = condition
        self.outerLoops = outerLoops
        depth = source.depth
    }

    private func take() throws -> TemplateValue? {
        while let value = source.next() {
            if try isChecked || condition?(value) ?? true { return value }
        }
        return nil
    }

    func advance() throws -> TemplateValue? {
        let value = try peek()
        following = nil
        guard let value else { return nil }
        (previous, current) = (current, value)
        index += 1
        return value
    }

    func peek() throws -> TemplateValue? {
        if following == nil { following = try take() }
        return following
    }

    func length() throws -> Int {
        var rest: [TemplateValue] = []
        if let next = try peek() { rest.append(next) }
        following = nil
        while let value = try take() { rest.append(value) }
        // What was taken only to be counted is put back.
        (source, isChecked) = (TemplateIterator(rest), true)
        return index + 1 + rest.count
    }

    func hasChanged(_ values: [TemplateValue], isEqual: ([TemplateValue], [TemplateValue]) throws -> Bool) rethrows
        -> Bool
    {
        if let changed, try isEqual(changed, values) { return false }
        changed = values
        return true
    }
}
