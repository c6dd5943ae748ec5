import Foundation

/// Renders a parsed template once.
///
/// A template can read the variables that it is given and the time that it is told, and nothing else. Everything it does is counted
/// against ``ChatTemplateLimits``.
final class TemplateEvaluator {
    let limits: ChatTemplateLimits
    let now: Date
    private var steps = 0
    private var valueBytes = 0
    private var depth = 0
    private var calls = 0
    private var loops = 0
    /// The line of what is evaluated, for errors.
    private(set) var line = 1
    /// The text so far, and above it that of macros and blocks whose text becomes a value.
    private var buffers: [[Unicode.Scalar]] = [[]]
    /// The text between `{% generation %}` and `{% endgeneration %}`, in code points.
    private(set) var generations: [Range<Int>] = []
    /// Both can refer to themselves through variables, so they are emptied at the end.
    private var namespaces: [TemplateNamespace] = []
    private var macros: [TemplateMacro] = []

    init(limits: ChatTemplateLimits, now: Date) {
        self.limits = limits
        self.now = now
    }

    struct Rendering {
        var text: [Unicode.Scalar]
        var generations: [Range<Int>]
    }

    /// - Throws: ``TemplateFault`` with a line.
    func render(_ statements: [TemplateStatement], variables: [String: TemplateValue]) throws -> Rendering {
        defer {
            for namespace in namespaces { namespace.clear() }
            for macro in macros { macro.scope = nil }
        }
        let global = TemplateScope(parent: nil)
        global.variables = Dictionary(
            uniqueKeysWithValues: TemplateFunction.allCases.map { ($0.rawValue, TemplateValue.function($0)) })
        global.variables.merge(variables) { $1 }
        do {
            _ = try execute(statements, in: TemplateScope(parent: global))
        } catch var fault as TemplateFault {
            fault.line = fault.line ?? line
            throw fault
        }
        return Rendering(text: buffers[0], generations: generations)
    }

    // MARK: Bounds

    /// Counts work: one step, and one more for each eighth of `count`.
    func charge(_ count: Int = 0) throws {
        steps += 1 + count / 8
        guard steps <= limits.steps else { throw TemplateFault.limit("\(limits.steps) steps of work") }
    }

    /// Counts the memory of a new value.
    func reserve(bytes: Int) throws {
        try charge(bytes / 8)
        valueBytes += bytes
        guard valueBytes <= limits.valueBytes else {
            throw TemplateFault.limit("\(limits.valueBytes) bytes of values")
        }
    }

    /// How many characters a new text can have at most.
    var availableCharacters: Int { max(0, limits.valueBytes - valueBytes) / 4 }

    private func enter() throws {
        depth += 1
        guard depth <= limits.evaluationDepth else {
            throw TemplateFault.limit("\(limits.evaluationDepth) expressions, statements and macros within each other")
        }
        try charge()
    }

    // MARK: Making values

    func text(_ scalars: [Unicode.Scalar], isMarkup: Bool = false) throws -> TemplateValue {
        try reserve(bytes: 4 * scalars.count)
        return .text(TemplateText(scalars, isMarkup: isMarkup))
    }

    func text(_ string: String) throws -> TemplateValue { try text(Array(string.unicodeScalars)) }

    private func checkDepth(_ value: TemplateValue) throws -> TemplateValue {
        guard value.depth <= limits.valueDepth else {
            throw TemplateFault.limit("\(limits.valueDepth) values within each other")
        }
        return value
    }

    func sequence(_ elements: [TemplateValue]) throws -> TemplateSequence {
        try reserve(bytes: 16 * elements.count + 32)
        let sequence = TemplateSequence(elements)
        _ = try checkDepth(.list(sequence))
        return sequence
    }

    func list(_ elements: [TemplateValue]) throws -> TemplateValue { .list(try sequence(elements)) }

    func iterator(_ elements: [TemplateValue]) throws -> TemplateValue {
        try reserve(bytes: 16 * elements.count + 32)
        return try checkDepth(.iterator(TemplateIterator(elements)))
    }

    func dictionary(_ members: [(key: TemplateValue, value: TemplateValue)]) throws -> TemplateValue {
        try reserve(bytes: 96 * members.count + 96)
        var hashed: [(key: TemplateValue, hashed: TemplateKey, value: TemplateValue)] = []
        for member in members { hashed.append((member.key, try key(member.key), member.value)) }
        return try checkDepth(.dictionary(TemplateDictionary(hashed)))
    }

    func key(_ value: TemplateValue) throws -> TemplateKey {
        if case .text(let text) = value { try charge(text.scalars.count) }
        guard let key = TemplateKey(value) else {
            throw TemplateFault.evaluation("unhashable type: '\(value.typeName)'")
        }
        return key
    }

    func namespace() throws -> TemplateNamespace {
        try reserve(bytes: 128)
        let namespace = TemplateNamespace()
        namespaces.append(namespace)
        return namespace
    }

    // MARK: Text

    private func write(_ scalars: [Unicode.Scalar]) throws {
        try charge(scalars.count)
        let top = buffers.count - 1
        guard buffers[top].count + scalars.count <= limits.outputCharacters else {
            throw TemplateFault.limit("\(limits.outputCharacters) characters of text")
        }
        buffers[top] += scalars
    }

    /// The text that statements write.
    private func captured(_ statements: [TemplateStatement], in scope: TemplateScope) throws -> (
        text: [Unicode.Scalar], flow: Flow
    ) {
        buffers.append([])
        defer { buffers.removeLast() }
        let flow = try execute(statements, in: scope)
        let text = buffers[buffers.count - 1]
        try reserve(bytes: 4 * text.count)
        return (text, flow)
    }

    // MARK: Statements

    private enum Flow { case onward, leavesLoop, nextIteration }

    private func execute(_ statements: [TemplateStatement], in scope: TemplateScope) throws -> Flow {
        try enter()
        defer { depth -= 1 }
        for statement in statements {
            line = statement.line
            let flow = try execute(statement, in: scope)
            if flow != .onward { return flow }
        }
        return .onward
    }

    private func execute(_ statement: TemplateStatement, in scope: TemplateScope) throws -> Flow {
        switch statement.node {
        case .text(let text): try write(text)
        case .output(let expression): try write(try string(of: try evaluate(expression, in: scope)).scalars)
        case .conditional(let branches, let otherwise):
            return try executeConditional(branches, otherwise: otherwise, in: scope)
        case .loop(let loop): return try executeLoop(loop, in: scope)
        case .assign(let target, let expression):
            try assign(try evaluate(expression, in: scope), to: target, in: scope)
        case .assignBlock(let target, let filter, let body):
            return try executeAssignBlock(target, filter: filter, body: body, in: scope)
        case .macro(let macro): scope.variables[macro.name] = try made(macro, in: scope)
        case .call(let call, let caller): try executeCall(call, caller: caller, in: scope)
        case .filterBlock(let filter, let body):
            let (text, flow) = try captured(body, in: TemplateScope(parent: scope))
            try write(try string(of: try evaluate(filter, in: scope, input: .text(text))).scalars)
            return flow
        case .with(let values, let body): return try executeWith(values, body: body, in: scope)
        case .generation(let body): try executeGeneration(body, in: scope)
        case .breakLoop: return .leavesLoop
        case .continueLoop: return .nextIteration
        }
        return .onward
    }

    private func executeConditional(
        _ branches: [(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement],
        in scope: TemplateScope
    ) throws -> Flow {
        for branch in branches where try evaluate(branch.condition, in: scope).isTrue {
            return try execute(branch.body, in: scope)
        }
        return try execute(otherwise, in: scope)
    }

    private func executeLoop(_ loop: TemplateStatement.Loop, in scope: TemplateScope) throws -> Flow {
        let elements = try elements(of: try evaluate(loop.sequence, in: scope))
        var condition: ((TemplateValue) throws -> Bool)?
        if let test = loop.condition {
            condition = { [self] value in
                let inner = TemplateScope(parent: scope)
                try assign(value, to: loop.target, in: inner)
                return try evaluate(test, in: inner).isTrue
            }
        }
        let state = TemplateLoop(TemplateIterator(elements), outerLoops: loops, condition: condition)
        loops += 1
        defer { loops -= 1 }
        while let element = try state.advance() {
            let inner = TemplateScope(parent: scope)
            inner.variables["loop"] = .loop(state)
            try assign(element, to: loop.target, in: inner)
            if try execute(loop.body, in: inner) == .leavesLoop { return .onward }
            try charge(8)
        }
        return state.index < 0 ? try execute(loop.otherwise, in: TemplateScope(parent: scope)) : .onward
    }

    private func executeAssignBlock(
        _ target: TemplateStatement.Target, filter: TemplateExpression?, body: [TemplateStatement],
        in scope: TemplateScope
    ) throws -> Flow {
        let (text, flow) = try captured(body, in: TemplateScope(parent: scope))
        var value = TemplateValue.text(text)
        if let filter { value = try evaluate(filter, in: scope, input: value) }
        try assign(value, to: target, in: scope)
        return flow
    }

    private func executeCall(
        _ call: TemplateExpression, caller: TemplateStatement.Macro, in scope: TemplateScope
    ) throws {
        guard case .call(let function, let arguments) = call.node else { return }
        let callee = try evaluate(function, in: scope)
        var values = try evaluate(arguments, in: scope)
        values.named.append(("caller", try made(caller, in: scope)))
        try write(try string(of: try self.call(callee, values)).scalars)
    }

    private func executeWith(
        _ values: [(target: TemplateStatement.Target, value: TemplateExpression)], body: [TemplateStatement],
        in scope: TemplateScope
    ) throws -> Flow {
        let inner = TemplateScope(parent: scope)
        for (target, value) in values { try assign(try evaluate(value, in: scope), to: target, in: inner) }
        return try execute(body, in: inner)
    }

    private func executeGeneration(_ body: [TemplateStatement], in scope: TemplateScope) throws {
        // Where the marks are in a macro, transformers takes the place of the macro's call for their place.
        let start = buffers[0].count
        let (text, _) = try captured(body, in: TemplateScope(parent: scope))
        generations.append(start..<start + text.count)
        try write(text)
    }

    private func assign(
        _ value: TemplateValue, to target: TemplateStatement.Target, in scope: TemplateScope
    ) throws {
        switch target {
        case .name(let name): scope.variables[name] = value
        case .attribute(let name, let attribute):
            guard case .namespace(let namespace)? = scope.value(of: name) else {
                throw TemplateFault.evaluation("cannot assign attribute on non-namespace object \"\(name)\"")
            }
            guard !attribute.hasPrefix("_") else {
                throw TemplateFault.evaluation("a namespace cannot have the attribute \"\(attribute)\"")
            }
            namespace.set(attribute, value)
        case .tuple(let targets):
            let elements = try elements(of: value)
            guard elements.count == targets.count else {
                throw TemplateFault.evaluation(
                    "cannot unpack \(elements.count) values into \(targets.count) variables")
            }
            for (target, element) in zip(targets, elements) { try assign(element, to: target, in: scope) }
        }
    }

    // MARK: Macros

    private func made(_ macro: TemplateStatement.Macro, in scope: TemplateScope) throws -> TemplateValue {
        try reserve(bytes: 128)
        let value = TemplateMacro(macro, scope: scope)
        macros.append(value)
        return .macro(value)
    }

    func call(_ macro: TemplateMacro, _ arguments: TemplateCall) throws -> TemplateValue {
        calls += 1
        defer { calls -= 1 }
        guard calls <= limits.callDepth else {
            throw TemplateFault.limit("\(limits.callDepth) macros that call each other")
        }
        let callLine = line
        let scope = TemplateScope(parent: macro.scope)
        let definition = macro.macro
        var named = arguments.named
        for (index, parameter) in definition.parameters.enumerated() {
            if index < arguments.positional.count {
                guard !named.contains(where: { $0.name == parameter }) else {
                    throw TemplateFault.evaluation(
                        "macro \"\(definition.name)\" takes the argument \"\(parameter)\" once")
                }
                scope.variables[parameter] = arguments.positional[index]
            } else if let place = named.firstIndex(where: { $0.name == parameter }) {
                scope.variables[parameter] = named.remove(at: place).value
            } else {
                let place = index - (definition.parameters.count - definition.defaults.count)
                scope.variables[parameter] =
                    place >= 0
                    ? try evaluate(definition.defaults[place], in: scope)
                    : .undefined(reason: "parameter \"\(parameter)\" was not provided")
            }
        }
        if let place = named.firstIndex(where: { $0.name == "caller" }) {
            scope.variables["caller"] = named.remove(at: place).value
        } else if scope.variables["caller"] == nil {
            scope.variables["caller"] = .undefined(reason: "No caller defined")
        }
        // Both take what is left, but only where the macro mentions them, which is too rare to be looked for.
        guard arguments.positional.count <= definition.parameters.count else {
            throw TemplateFault.evaluation(
                "macro \"\(definition.name)\" takes at most \(definition.parameters.count) arguments")
        }
        if let extra = named.first {
            throw TemplateFault.evaluation("macro \"\(definition.name)\" takes no argument \"\(extra.name)\"")
        }
        let (text, _) = try captured(definition.body, in: scope)
        line = callLine
        return .text(text)
    }

    // MARK: Expressions

    /// - Parameter input: What a filter without an operand takes.
    func evaluate(
        _ expression: TemplateExpression, in scope: TemplateScope, input: TemplateValue? = nil
    ) throws -> TemplateValue {
        try enter()
        defer { depth -= 1 }
        line = expression.line
        // Kinds of expressions have functions of their own, so that a level of nesting takes little of the stack.
        switch expression.node {
        case .text, .integer, .float, .boolean, .none, .name: return try evaluateLiteral(expression, in: scope)
        case .list, .tuple, .dictionary: return try evaluateCollection(expression, in: scope)
        case .attribute, .item, .slice: return try evaluateAccess(expression, in: scope)
        case .call: return try evaluateCall(expression, in: scope)
        case .filter: return try evaluateFilter(expression, in: scope, input: input)
        case .test: return try evaluateTest(expression, in: scope)
        case .not, .negative, .positive: return try evaluateUnary(expression, in: scope)
        case .and, .or: return try evaluateLogic(expression, in: scope)
        case .binary: return try evaluateBinary(expression, in: scope)
        case .comparison: return try evaluateComparison(expression, in: scope)
        case .concatenation: return try evaluateConcatenation(expression, in: scope)
        case .conditional: return try evaluateConditional(expression, in: scope)
        }
    }

    private func evaluateLiteral(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        switch expression.node {
        case .text(let text): .text(TemplateText(text))
        case .integer(let value): .integer(value)
        case .float(let value): .float(value)
        case .boolean(let value): .boolean(value)
        case .name(let name): scope.value(of: name) ?? .undefined(reason: "'\(name)' is undefined")
        default: .none
        }
    }

    private func evaluateCollection(
        _ expression: TemplateExpression, in scope: TemplateScope
    ) throws -> TemplateValue {
        if case .list(let elements) = expression.node { return try list(try evaluate(elements, in: scope)) }
        if case .tuple(let elements) = expression.node {
            return .tuple(try sequence(try evaluate(elements, in: scope)))
        }
        guard case .dictionary(let members) = expression.node else { return .none }
        return try evaluateDictionary(members, in: scope)
    }

    private func evaluateAccess(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        if case .attribute(let value, let name) = expression.node {
            return try attribute(name, of: try evaluate(value, in: scope))
        }
        if case .item(let value, let key) = expression.node {
            let value = try evaluate(value, in: scope)
            return try item(try evaluate(key, in: scope), of: value)
        }
        guard case .slice(let value, let start, let stop, let step) = expression.node else { return .none }
        return try evaluateSlice(value, start, stop, step, in: scope)
    }

    private func evaluateCall(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        guard case .call(let function, let arguments) = expression.node else { return .none }
        let callee = try evaluate(function, in: scope)
        let values = try evaluate(arguments, in: scope)
        line = expression.line
        return try call(callee, values)
    }

    private func evaluateTest(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        guard case .test(let operand, let name, let arguments) = expression.node else { return .none }
        let value = try evaluate(operand, in: scope)
        let values = try evaluate(arguments, in: scope)
        line = expression.line
        return .boolean(try test(name, value, values))
    }

    private func evaluateUnary(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        switch expression.node {
        case .not(let operand): .boolean(!(try evaluate(operand, in: scope).isTrue))
        case .negative(let operand): try negated(try evaluate(operand, in: scope))
        case .positive(let operand): try positive(try evaluate(operand, in: scope))
        default: .none
        }
    }

    private func evaluateLogic(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        if case .and(let left, let right) = expression.node {
            let value = try evaluate(left, in: scope)
            return value.isTrue ? try evaluate(right, in: scope) : value
        }
        guard case .or(let left, let right) = expression.node else { return .none }
        let value = try evaluate(left, in: scope)
        return value.isTrue ? value : try evaluate(right, in: scope)
    }

    private func evaluateConditional(
        _ expression: TemplateExpression, in scope: TemplateScope
    ) throws -> TemplateValue {
        guard case .conditional(let condition, let then, let otherwise) = expression.node else { return .none }
        if try evaluate(condition, in: scope).isTrue { return try evaluate(then, in: scope) }
        guard let otherwise else {
            return .undefined(
                reason:
                    "the inline if-expression on line \(expression.line) evaluated to false and no else section was defined"
            )
        }
        return try evaluate(otherwise, in: scope)
    }

    private func evaluate(_ expressions: [TemplateExpression], in scope: TemplateScope) throws -> [TemplateValue] {
        var values: [TemplateValue] = []
        for expression in expressions { values.append(try evaluate(expression, in: scope)) }
        return values
    }

    private func evaluate(_ arguments: TemplateArguments, in scope: TemplateScope) throws -> TemplateCall {
        var values = TemplateCall(positional: try evaluate(arguments.positional, in: scope))
        for (name, value) in arguments.named { values.named.append((name, try evaluate(value, in: scope))) }
        if let list = arguments.list { values.positional += try elements(of: try evaluate(list, in: scope)) }
        if let dictionary = arguments.dictionary {
            guard case .dictionary(let members) = try evaluate(dictionary, in: scope) else {
                throw TemplateFault.evaluation("the argument after ** must be a dictionary")
            }
            for (key, value) in members.members {
                guard case .text(let name) = key else {
                    throw TemplateFault.evaluation("keywords must be strings")
                }
                values.named.append((name.string, value))
            }
        }
        return values
    }

    private func evaluateDictionary(
        _ members: [(key: TemplateExpression, value: TemplateExpression)], in scope: TemplateScope
    ) throws -> TemplateValue {
        var values: [(key: TemplateValue, value: TemplateValue)] = []
        for member in members {
            values.append((try evaluate(member.key, in: scope), try evaluate(member.value, in: scope)))
        }
        return try dictionary(values)
    }

    private func evaluateSlice(
        _ value: TemplateExpression, _ start: TemplateExpression?, _ stop: TemplateExpression?,
        _ step: TemplateExpression?, in scope: TemplateScope
    ) throws -> TemplateValue {
        let value = try evaluate(value, in: scope)
        func bound(_ expression: TemplateExpression?) throws -> Int? {
            guard let expression else { return nil }
            let value = try evaluate(expression, in: scope)
            if case .none = value { return nil }
            guard let index = value.integer else {
                throw TemplateFault.evaluation("slice indices must be integers or None, not \(value.typeName)")
            }
            return index
        }
        return try slice(value, start: try bound(start), stop: try bound(stop), step: try bound(step))
    }

    private func evaluateFilter(
        _ expression: TemplateExpression, in scope: TemplateScope, input: TemplateValue?
    ) throws -> TemplateValue {
        guard case .filter(let operand, let name, let arguments) = expression.node else { return .none }
        let value: TemplateValue
        if let operand {
            value = try evaluate(operand, in: scope, input: input)
        } else {
            value = input ?? .undefined(reason: "a filter without input")
        }
        let values = try evaluate(arguments, in: scope)
        line = expression.line
        return try filter(name, value, values)
    }

    /// Goes along a chain of operators without recursion, because chains can be long.
    private func evaluateBinary(_ expression: TemplateExpression, in scope: TemplateScope) throws -> TemplateValue {
        var pending: [(TemplateExpression.Operator, TemplateExpression, line: Int)] = []
        var first = expression
        while case .binary(let left, let found, let right) = first.node {
            pending.append((found, right, first.line))
            first = left
        }
        var value = try evaluate(first, in: scope)
        while let (found, right, line) = pending.popLast() {
            let operand = try evaluate(right, in: scope)
            self.line = line
            value = try apply(found, value, operand)
        }
        return value
    }

    private func evaluateComparison(
        _ expression: TemplateExpression, in scope: TemplateScope
    ) throws -> TemplateValue {
        guard case .comparison(let first, let operands) = expression.node else { return .none }
        var left = try evaluate(first, in: scope)
        for (comparison, operand) in operands {
            let right = try evaluate(operand, in: scope)
            guard try compare(left, comparison, right) else { return .boolean(false) }
            left = right
        }
        return .boolean(true)
    }

    private func evaluateConcatenation(
        _ expression: TemplateExpression, in scope: TemplateScope
    ) throws -> TemplateValue {
        guard case .concatenation(let parts) = expression.node else { return .none }
        var result: [Unicode.Scalar] = []
        var values: [TemplateValue] = []
        for part in parts { values.append(try evaluate(part, in: scope)) }
        for value in values { result += try string(of: value).scalars }
        return try text(result)
    }
}

/// The values of a call's arguments.
struct TemplateCall {
    var positional: [TemplateValue] = []
    var named: [(name: String, value: TemplateValue)] = []

    /// The values of a function's parameters, in their order; nil where one is not given.
    func bound(to parameters: [String], of function: String) throws -> [TemplateValue?] {
        guard positional.count <= parameters.count else {
            throw TemplateFault.evaluation(
                "\(function) takes at most \(parameters.count) arguments, and \(positional.count) are given")
        }
        var values: [TemplateValue?] = positional
        values += [TemplateValue?](repeating: nil, count: parameters.count - positional.count)
        for (name, value) in named {
            guard let index = parameters.firstIndex(of: name), values[index] == nil else {
                throw TemplateFault.evaluation("\(function) takes no argument \"\(name)\" here")
            }
            values[index] = value
        }
        return values
    }
}
