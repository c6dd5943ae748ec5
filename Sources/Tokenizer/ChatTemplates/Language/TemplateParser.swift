/// Parses a template into statements.
struct TemplateParser {
    private typealias Token = TemplateLexer.Token
    private typealias Node = TemplateExpression.Node

    private let tokens: [TemplateLexer.Located]
    private let limits: ChatTemplateLimits
    private var position = 0
    private var nesting = 0
    /// The depth of loops around the current statement, which `break` and `continue` need.
    private var loops = 0
    private var hasGenerationMarks = false

    /// - Throws: ``TemplateFault``.
    static func parse(
        _ source: String, limits: ChatTemplateLimits
    ) throws -> (statements: [TemplateStatement], hasGenerationMarks: Bool) {
        guard source.utf8.count <= limits.sourceBytes else {
            throw TemplateFault(
                kind: .limit("\(limits.sourceBytes) bytes of source, and this template has \(source.utf8.count)"),
                line: 1)
        }
        var parser = TemplateParser(tokens: try TemplateLexer.tokens(of: source), limits: limits)
        let statements = try parser.statements(until: [], of: nil)
        return (statements, parser.hasGenerationMarks)
    }

    private init(tokens: [TemplateLexer.Located], limits: ChatTemplateLimits) {
        self.tokens = tokens
        self.limits = limits
    }

    // MARK: Tokens

    private var current: Token { tokens[position].token }
    private var line: Int { tokens[position].line }
    private var next: Token { position + 1 < tokens.count ? tokens[position + 1].token : .end }

    /// The last token is the end, which stays current.
    private mutating func advance() {
        if position + 1 < tokens.count { position += 1 }
    }

    private func isName(_ name: String) -> Bool { current == .name(name) }
    private func isSymbol(_ symbol: String) -> Bool { current == .symbol(symbol) }

    private mutating func take(name: String) -> Bool {
        guard isName(name) else { return false }
        advance()
        return true
    }

    private mutating func take(symbol: String) -> Bool {
        guard isSymbol(symbol) else { return false }
        advance()
        return true
    }

    private func mistake(_ reason: String) -> TemplateFault { .syntax(reason, line: line) }

    private func unexpected(_ expected: String) -> TemplateFault {
        mistake("expected \(expected), found \(current.shown)")
    }

    private mutating func expect(symbol: String) throws {
        guard take(symbol: symbol) else { throw unexpected("\"\(symbol)\"") }
    }

    private mutating func expect(name: String) throws {
        guard take(name: name) else { throw unexpected("\"\(name)\"") }
    }

    private mutating func expectName() throws -> String {
        guard case .name(let name) = current else { throw unexpected("a name") }
        advance()
        return name
    }

    private mutating func expect(_ token: Token) throws {
        guard current == token else { throw unexpected(token.shown) }
        advance()
    }

    private mutating func nested<Result>(_ body: (inout TemplateParser) throws -> Result) throws -> Result {
        nesting += 1
        defer { nesting -= 1 }
        guard nesting <= limits.syntaxDepth else {
            throw TemplateFault(
                kind: .limit("\(limits.syntaxDepth) brackets, conditions and blocks in each other"), line: line)
        }
        return try body(&self)
    }

    // MARK: Statements

    /// Parses statements up to one of the tags `ends`, whose name is then the current token.
    ///
    /// - Parameter tag: The tag that these statements belong to; nil for the whole template.
    private mutating func statements(until ends: [String], of tag: (name: String, line: Int)?) throws
        -> [TemplateStatement]
    {
        var statements: [TemplateStatement] = []
        while true {
            let line = line
            switch current {
            case .data(let text):
                advance()
                statements.append(TemplateStatement(node: .text(text), line: line))
            case .variableBegin:
                advance()
                let expression = try tuple()
                try expect(.variableEnd)
                statements.append(TemplateStatement(node: .output(expression), line: line))
            case .blockBegin:
                advance()
                if case .name(let name) = current, ends.contains(name) { return statements }
                statements.append(try nested { parser throws in try parser.statement() })
            default:
                guard let tag else { return statements }
                throw TemplateFault.syntax(
                    "the template ends within \"{% \(tag.name) %}\": expected \(ends.map { "\"{% \($0) %}\"" }.joined(separator: " or "))",
                    line: tag.line)
            }
        }
    }

    private mutating func statement() throws -> TemplateStatement {
        let line = line
        guard case .name(let tag) = current else { throw unexpected("a tag's name") }
        advance()
        let node: TemplateStatement.Node
        switch tag {
        case "if": node = try conditional(line: line)
        case "for": node = try loop(line: line)
        case "set": node = try assignment(line: line)
        case "macro": node = .macro(try macro(line: line))
        case "call": node = try callBlock(line: line)
        case "filter":
            guard let filter = try filters(of: nil, startsInline: true) else { throw unexpected("a filter") }
            node = .filterBlock(filter, body: try body(until: "endfilter", of: (tag, line)))
        case "with": node = try with(line: line)
        case "generation":
            hasGenerationMarks = true
            node = .generation(try functionBody(until: "endgeneration", of: (tag, line)))
        case "print":
            node = .output(try tuple())
            try expect(.blockEnd)
        case "break", "continue":
            guard loops > 0 else { throw TemplateFault.syntax("\"{% \(tag) %}\" outside of a loop", line: line) }
            try expect(.blockEnd)
            node = tag == "break" ? .breakLoop : .continueLoop
        case "block", "extends", "include", "import", "from", "autoescape":
            throw TemplateFault.unsupported("{% \(tag) %}", line: line)
        default: throw TemplateFault.syntax("unknown tag \"{% \(tag) %}\"", line: line)
        }
        return TemplateStatement(node: node, line: line)
    }

    /// Parses the end of an opening tag, the statements after it, and the closing tag.
    private mutating func body(until end: String, of tag: (String, Int)) throws -> [TemplateStatement] {
        try expect(.blockEnd)
        let body = try statements(until: [end], of: tag)
        advance()
        try expect(.blockEnd)
        return body
    }

    /// The same for a body that is a function of its own, which `break` cannot leave.
    private mutating func functionBody(until end: String, of tag: (String, Int)) throws -> [TemplateStatement] {
        let outer = loops
        loops = 0
        defer { loops = outer }
        return try body(until: end, of: tag)
    }

    private mutating func conditional(line: Int) throws -> TemplateStatement.Node {
        var branches: [(condition: TemplateExpression, body: [TemplateStatement])] = []
        var otherwise: [TemplateStatement] = []
        while true {
            let condition = try tuple(allowsConditional: false)
            try expect(.blockEnd)
            branches.append((condition, try statements(until: ["elif", "else", "endif"], of: ("if", line))))
            if take(name: "elif") { continue }
            if take(name: "else") {
                otherwise = try body(until: "endif", of: ("if", line))
            } else {
                advance()
                try expect(.blockEnd)
            }
            return .conditional(branches, otherwise: otherwise)
        }
    }

    private mutating func loop(line: Int) throws -> TemplateStatement.Node {
        let target = try target(allowsAttribute: false)
        try expect(name: "in")
        let sequence = try tuple(allowsConditional: false, end: "recursive")
        let condition = take(name: "if") ? try expression() : nil
        let isRecursive = take(name: "recursive")
        try expect(.blockEnd)
        loops += 1
        let body = try statements(until: ["endfor", "else"], of: ("for", line))
        loops -= 1
        var otherwise: [TemplateStatement] = []
        if take(name: "else") {
            otherwise = try self.body(until: "endfor", of: ("for", line))
        } else {
            advance()
            try expect(.blockEnd)
        }
        if isRecursive { throw TemplateFault.unsupported("{% for ... recursive %}", line: line) }
        return .loop(
            TemplateStatement.Loop(
                target: target, sequence: sequence, condition: condition, body: body, otherwise: otherwise))
    }

    private mutating func assignment(line: Int) throws -> TemplateStatement.Node {
        let target = try target(allowsAttribute: true)
        if take(symbol: "=") {
            let value = try tuple()
            try expect(.blockEnd)
            return .assign(target, value)
        }
        let filter = try filters(of: nil)
        return .assignBlock(target, filter: filter, body: try body(until: "endset", of: ("set", line)))
    }

    private mutating func macro(line: Int) throws -> TemplateStatement.Macro {
        let name = try expectName()
        let (parameters, defaults) = try signature()
        let body = try functionBody(until: "endmacro", of: ("macro", line))
        return TemplateStatement.Macro(name: name, parameters: parameters, defaults: defaults, body: body)
    }

    private mutating func callBlock(line: Int) throws -> TemplateStatement.Node {
        let (parameters, defaults) = isSymbol("(") ? try signature() : ([], [])
        let call = try expression()
        guard case .call = call.node else { throw TemplateFault.syntax("expected a call of a macro", line: line) }
        let body = try functionBody(until: "endcall", of: ("call", line))
        return .call(
            call, TemplateStatement.Macro(name: "caller", parameters: parameters, defaults: defaults, body: body))
    }

    private mutating func signature() throws -> (parameters: [String], defaults: [TemplateExpression]) {
        var parameters: [String] = []
        var defaults: [TemplateExpression] = []
        try expect(symbol: "(")
        while !isSymbol(")") {
            if !parameters.isEmpty { try expect(symbol: ",") }
            parameters.append(try expectName())
            if take(symbol: "=") {
                defaults.append(try expression())
            } else if !defaults.isEmpty {
                throw mistake("a parameter without a default follows one with a default")
            }
        }
        advance()
        return (parameters, defaults)
    }

    private mutating func with(line: Int) throws -> TemplateStatement.Node {
        var values: [(target: TemplateStatement.Target, value: TemplateExpression)] = []
        while current != .blockEnd {
            if !values.isEmpty { try expect(symbol: ",") }
            let target = try target(allowsAttribute: false)
            try expect(symbol: "=")
            values.append((target, try expression()))
        }
        return .with(values, body: try body(until: "endwith", of: ("with", line)))
    }

    private mutating func target(allowsAttribute: Bool) throws -> TemplateStatement.Target {
        var targets: [TemplateStatement.Target] = []
        var isTuple = false
        while !(isName("in") || isSymbol("=") || isSymbol(")") || current == .blockEnd) {
            if take(symbol: "(") {
                targets.append(
                    try nested { parser throws in try parser.target(allowsAttribute: allowsAttribute) })
                try expect(symbol: ")")
            } else {
                let name = try expectName()
                guard !Self.constants.contains(name) else { throw mistake("cannot assign to \"\(name)\"") }
                if allowsAttribute, take(symbol: ".") {
                    targets.append(.attribute(name, try expectName()))
                } else {
                    targets.append(.name(name))
                }
            }
            guard take(symbol: ",") else { break }
            isTuple = true
        }
        guard let first = targets.first else { throw unexpected("a name") }
        return isTuple ? .tuple(targets) : first
    }

    private static let constants = ["true", "false", "none", "True", "False", "None"]

    // MARK: Expressions

    private func made(_ node: Node, line: Int, within depth: Int) throws -> TemplateExpression {
        guard depth < limits.expressionDepth else {
            throw TemplateFault(
                kind: .limit("\(limits.expressionDepth) operators, attributes and filters in one expression's depth"),
                line: line)
        }
        return TemplateExpression(node: node, line: line, depth: depth + 1)
    }

    private mutating func expression(allowsConditional: Bool = true) throws -> TemplateExpression {
        try nested { parser throws in
            try allowsConditional ? parser.conditionalExpression() : parser.disjunction()
        }
    }

    /// An expression, or several with commas between them, which are a tuple.
    ///
    /// - Parameter end: A name that ends the tuple after a comma.
    private mutating func tuple(
        allowsConditional: Bool = true, end: String? = nil, isParenthesized: Bool = false
    ) throws -> TemplateExpression {
        let line = line
        var elements: [TemplateExpression] = []
        var isTuple = false
        while !isTupleEnd(end) {
            elements.append(try expression(allowsConditional: allowsConditional))
            guard take(symbol: ",") else { break }
            isTuple = true
        }
        if !isTuple {
            if let first = elements.first { return first }
            guard isParenthesized else { throw unexpected("an expression") }
        }
        return try made(.tuple(elements), line: line, within: elements.reduce(0) { max($0, $1.depth) })
    }

    private func isTupleEnd(_ end: String?) -> Bool {
        switch current {
        case .variableEnd, .blockEnd, .symbol(")"): true
        case .name(let name): name == end
        default: false
        }
    }

    private mutating func conditionalExpression() throws -> TemplateExpression {
        var value = try disjunction()
        while isName("if") {
            let line = line
            advance()
            let condition = try disjunction()
            let otherwise = take(name: "else") ? try expression() : nil
            value = try made(
                .conditional(condition: condition, then: value, otherwise: otherwise), line: line,
                within: max(value.depth, max(condition.depth, otherwise?.depth ?? 0)))
        }
        return value
    }

    private mutating func disjunction() throws -> TemplateExpression {
        var left = try conjunction()
        while isName("or") {
            let line = line
            advance()
            let right = try conjunction()
            left = try made(.or(left, right), line: line, within: max(left.depth, right.depth))
        }
        return left
    }

    private mutating func conjunction() throws -> TemplateExpression {
        var left = try negation()
        while isName("and") {
            let line = line
            advance()
            let right = try negation()
            left = try made(.and(left, right), line: line, within: max(left.depth, right.depth))
        }
        return left
    }

    private mutating func negation() throws -> TemplateExpression {
        let line = line
        guard take(name: "not") else { return try comparison() }
        let operand = try nested { parser throws in try parser.negation() }
        return try made(.not(operand), line: line, within: operand.depth)
    }

    private mutating func comparison() throws -> TemplateExpression {
        let line = line
        let first = try sum()
        var operands: [(comparison: TemplateExpression.Comparison, operand: TemplateExpression)] = []
        while true {
            if case .symbol(let symbol) = current, let comparison = TemplateExpression.Comparison(rawValue: symbol) {
                advance()
                operands.append((comparison, try sum()))
            } else if take(name: "in") {
                operands.append((.contained, try sum()))
            } else if isName("not"), next == .name("in") {
                advance()
                advance()
                operands.append((.notContained, try sum()))
            } else {
                break
            }
        }
        guard !operands.isEmpty else { return first }
        return try made(
            .comparison(first, operands), line: line,
            within: operands.reduce(first.depth) { max($0, $1.operand.depth) })
    }

    private mutating func takeOperator(_ allowed: [TemplateExpression.Operator]) -> TemplateExpression.Operator? {
        guard case .symbol(let symbol) = current, let found = allowed.first(where: { $0.rawValue == symbol }) else {
            return nil
        }
        advance()
        return found
    }

    private mutating func sum() throws -> TemplateExpression {
        var left = try concatenation()
        while true {
            let line = line
            guard let found = takeOperator([.add, .subtract]) else { return left }
            let right = try concatenation()
            left = try made(.binary(left, found, right), line: line, within: max(left.depth, right.depth))
        }
    }

    private mutating func concatenation() throws -> TemplateExpression {
        let line = line
        var parts = [try product()]
        while take(symbol: "~") { parts.append(try product()) }
        if parts.count == 1 { return parts[0] }
        return try made(.concatenation(parts), line: line, within: parts.reduce(0) { max($0, $1.depth) })
    }

    private mutating func product() throws -> TemplateExpression {
        var left = try power()
        while true {
            let line = line
            guard let found = takeOperator([.multiply, .divide, .floorDivide, .modulo]) else { return left }
            let right = try power()
            left = try made(.binary(left, found, right), line: line, within: max(left.depth, right.depth))
        }
    }

    private mutating func power() throws -> TemplateExpression {
        var left = try unary()
        while true {
            let line = line
            guard let found = takeOperator([.power]) else { return left }
            let right = try unary()
            left = try made(.binary(left, found, right), line: line, within: max(left.depth, right.depth))
        }
    }

    private mutating func unary(allowsFilter: Bool = true) throws -> TemplateExpression {
        let line = line
        let operand: TemplateExpression
        if take(symbol: "-") {
            let inner = try nested { parser throws in try parser.unary(allowsFilter: false) }
            operand = try made(.negative(inner), line: line, within: inner.depth)
        } else if take(symbol: "+") {
            let inner = try nested { parser throws in try parser.unary(allowsFilter: false) }
            operand = try made(.positive(inner), line: line, within: inner.depth)
        } else {
            operand = try primary()
        }
        let whole = try postfix(of: operand)
        return allowsFilter ? try filtersAndTests(of: whole) : whole
    }

    // The cases that recur have functions of their own, so that a level of nesting takes little of the stack.
    private mutating func primary() throws -> TemplateExpression {
        if isSymbol("(") { return try parenthesized() }
        if isSymbol("[") { return try list() }
        if isSymbol("{") { return try dictionary() }
        return try literal()
    }

    private mutating func literal() throws -> TemplateExpression {
        let line = line
        switch current {
        case .name(let name):
            advance()
            switch name {
            case "true", "True": return try made(.boolean(true), line: line, within: 0)
            case "false", "False": return try made(.boolean(false), line: line, within: 0)
            case "none", "None": return try made(.none, line: line, within: 0)
            default: return try made(.name(name), line: line, within: 0)
            }
        case .text(var text):
            advance()
            while case .text(let more) = current {
                text += more
                advance()
            }
            return try made(.text(text), line: line, within: 0)
        case .integer(let value):
            advance()
            return try made(.integer(value), line: line, within: 0)
        case .float(let value):
            advance()
            return try made(.float(value), line: line, within: 0)
        default: throw unexpected("an expression")
        }
    }

    private mutating func parenthesized() throws -> TemplateExpression {
        advance()
        let inner = try tuple(isParenthesized: true)
        try expect(symbol: ")")
        return inner
    }

    private mutating func list() throws -> TemplateExpression {
        let line = line
        advance()
        var elements: [TemplateExpression] = []
        while !isSymbol("]") {
            if !elements.isEmpty { try expect(symbol: ",") }
            if isSymbol("]") { break }
            elements.append(try expression())
        }
        advance()
        return try made(.list(elements), line: line, within: elements.reduce(0) { max($0, $1.depth) })
    }

    private mutating func dictionary() throws -> TemplateExpression {
        let line = line
        advance()
        var members: [(key: TemplateExpression, value: TemplateExpression)] = []
        while !isSymbol("}") {
            if !members.isEmpty { try expect(symbol: ",") }
            if isSymbol("}") { break }
            let key = try expression()
            try expect(symbol: ":")
            members.append((key, try expression()))
        }
        advance()
        return try made(
            .dictionary(members), line: line,
            within: members.reduce(0) { max($0, max($1.key.depth, $1.value.depth)) })
    }

    private mutating func postfix(of operand: TemplateExpression) throws -> TemplateExpression {
        var result = operand
        while true {
            let line = line
            if take(symbol: ".") {
                switch current {
                case .name(let name):
                    advance()
                    result = try made(.attribute(result, name), line: line, within: result.depth)
                case .integer(let index):
                    advance()
                    let key = try made(.integer(index), line: line, within: 0)
                    result = try made(.item(result, key), line: line, within: result.depth)
                default: throw unexpected("a name or a number after \".\"")
                }
            } else if take(symbol: "[") {
                result = try subscripted(result, line: line)
            } else if isSymbol("(") {
                result = try call(of: result, line: line)
            } else {
                return result
            }
        }
    }

    private mutating func call(of function: TemplateExpression, line: Int) throws -> TemplateExpression {
        let arguments = try arguments()
        return try made(.call(function, arguments), line: line, within: max(function.depth, arguments.depth))
    }

    private mutating func subscripted(_ value: TemplateExpression, line: Int) throws -> TemplateExpression {
        let start = isSymbol(":") ? nil : try expression()
        guard take(symbol: ":") else {
            guard var index = start else { throw unexpected("an index") }
            if isSymbol(",") {
                var elements = [index]
                while take(symbol: ","), !isSymbol("]") { elements.append(try expression()) }
                index = try made(.tuple(elements), line: line, within: elements.reduce(0) { max($0, $1.depth) })
            }
            try expect(symbol: "]")
            return try made(.item(value, index), line: line, within: max(value.depth, index.depth))
        }
        let stop = isSymbol(":") || isSymbol("]") ? nil : try expression()
        var step: TemplateExpression?
        if take(symbol: ":"), !isSymbol("]") { step = try expression() }
        try expect(symbol: "]")
        let depth = [value, start, stop, step].reduce(0) { max($0, $1?.depth ?? 0) }
        return try made(.slice(value, start: start, stop: stop, step: step), line: line, within: depth)
    }

    private mutating func arguments() throws -> TemplateArguments {
        var arguments = TemplateArguments()
        var isFirst = true
        try expect(symbol: "(")
        while !isSymbol(")") {
            if !isFirst {
                try expect(symbol: ",")
                if isSymbol(")") { break }
            }
            isFirst = false
            let invalid = mistake("a positional argument follows a named one")
            if take(symbol: "*") {
                guard arguments.list == nil, arguments.dictionary == nil else { throw invalid }
                arguments.list = try expression()
            } else if take(symbol: "**") {
                guard arguments.dictionary == nil else { throw invalid }
                arguments.dictionary = try expression()
            } else if case .name(let name) = current, next == .symbol("=") {
                guard arguments.dictionary == nil else { throw invalid }
                advance()
                advance()
                arguments.named.append((name, try expression()))
            } else {
                guard arguments.named.isEmpty, arguments.list == nil, arguments.dictionary == nil else { throw invalid }
                arguments.positional.append(try expression())
            }
        }
        advance()
        return arguments
    }

    private mutating func filtersAndTests(of operand: TemplateExpression) throws -> TemplateExpression {
        var result = operand
        while true {
            let line = line
            if isSymbol("|") {
                result = try filters(of: result) ?? result
            } else if isName("is") {
                result = try test(of: result)
            } else if isSymbol("(") {
                result = try call(of: result, line: line)
            } else {
                return result
            }
        }
    }

    /// - Parameter startsInline: Whether the first filter has no bar before it.
    private mutating func filters(
        of operand: TemplateExpression?, startsInline: Bool = false
    ) throws -> TemplateExpression? {
        var result = operand
        var isInline = startsInline
        while isInline || take(symbol: "|") {
            isInline = false
            let line = line
            var name = try expectName()
            while take(symbol: ".") { name += "." + (try expectName()) }
            let arguments = isSymbol("(") ? try arguments() : TemplateArguments()
            result = try made(
                .filter(result, name, arguments), line: line, within: max(result?.depth ?? 0, arguments.depth))
        }
        return result
    }

    private mutating func test(of operand: TemplateExpression) throws -> TemplateExpression {
        let line = line
        advance()
        let isNegated = take(name: "not")
        var name = try expectName()
        while take(symbol: ".") { name += "." + (try expectName()) }
        var arguments = TemplateArguments()
        switch current {
        case .symbol("("): arguments = try self.arguments()
        case .name("else"), .name("or"), .name("and"): break
        case .name("is"): throw mistake("tests cannot be chained with \"is\"")
        case .name, .text, .integer, .float, .symbol("["), .symbol("{"):
            let argument = try primary()
            arguments.positional = [try postfix(of: argument)]
        default: break
        }
        let test = try made(
            .test(operand, name, arguments), line: line, within: max(operand.depth, arguments.depth))
        return isNegated ? try made(.not(test), line: line, within: test.depth) : test
    }
}
