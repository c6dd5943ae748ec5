/// An expression of a template.
///
/// Invariant: nodes are nested at most ``ChatTemplateLimits/expressionDepth`` deep, so that walking a tree cannot exhaust the stack.
struct TemplateExpression: Sendable {
    let node: Node
    let line: Int
    let depth: Int

    indirect enum Node: Sendable {
        case text([Unicode.Scalar])
        case integer(Int)
        case float(Double)
        case boolean(Bool)
        case none
        case name(String)
        case list([TemplateExpression])
        case tuple([TemplateExpression])
        case dictionary([(key: TemplateExpression, value: TemplateExpression)])
        case attribute(TemplateExpression, String)
        case item(TemplateExpression, TemplateExpression)
        case slice(TemplateExpression, start: TemplateExpression?, stop: TemplateExpression?, step: TemplateExpression?)
        case call(TemplateExpression, TemplateArguments)
        /// A filter; its input is nil in a filter block.
        case filter(TemplateExpression?, String, TemplateArguments)
        case test(TemplateExpression, String, TemplateArguments)
        case not(TemplateExpression)
        case negative(TemplateExpression)
        case positive(TemplateExpression)
        case and(TemplateExpression, TemplateExpression)
        case or(TemplateExpression, TemplateExpression)
        case binary(TemplateExpression, Operator, TemplateExpression)
        case comparison(TemplateExpression, [(comparison: Comparison, operand: TemplateExpression)])
        /// The `~` operator.
        case concatenation([TemplateExpression])
        case conditional(condition: TemplateExpression, then: TemplateExpression, otherwise: TemplateExpression?)
    }

    enum Operator: String, Sendable {
        case add = "+"
        case subtract = "-"
        case multiply = "*"
        case divide = "/"
        case floorDivide = "//"
        case modulo = "%"
        case power = "**"
    }

    enum Comparison: String, Sendable {
        case equal = "=="
        case notEqual = "!="
        case less = "<"
        case lessOrEqual = "<="
        case greater = ">"
        case greaterOrEqual = ">="
        case contained = "in"
        case notContained = "not in"
    }
}

/// The arguments of a call, a filter or a test.
struct TemplateArguments: Sendable {
    var positional: [TemplateExpression] = []
    var named: [(name: String, value: TemplateExpression)] = []
    /// `*expression`
    var list: TemplateExpression?
    /// `**expression`
    var dictionary: TemplateExpression?

    var depth: Int {
        max(
            max(positional.reduce(0) { max($0, $1.depth) }, named.reduce(0) { max($0, $1.value.depth) }),
            max(list?.depth ?? 0, dictionary?.depth ?? 0))
    }
}

/// A statement of a template.
struct TemplateStatement: Sendable {
    let node: Node
    let line: Int

    indirect enum Node: Sendable {
        case text([Unicode.Scalar])
        case output(TemplateExpression)
        case conditional([(condition: TemplateExpression, body: [TemplateStatement])], otherwise: [TemplateStatement])
        case loop(Loop)
        case assign(Target, TemplateExpression)
        case assignBlock(Target, filter: TemplateExpression?, body: [TemplateStatement])
        case macro(Macro)
        case call(TemplateExpression, Macro)
        case filterBlock(TemplateExpression, body: [TemplateStatement])
        case with([(target: Target, value: TemplateExpression)], body: [TemplateStatement])
        case generation([TemplateStatement])
        case breakLoop
        case continueLoop
    }

    struct Loop: Sendable {
        let target: Target
        let sequence: TemplateExpression
        let condition: TemplateExpression?
        let body: [TemplateStatement]
        let otherwise: [TemplateStatement]
    }

    struct Macro: Sendable {
        let name: String
        let parameters: [String]
        /// Of the last parameters.
        let defaults: [TemplateExpression]
        let body: [TemplateStatement]
    }

    enum Target: Sendable {
        case name(String)
        /// An attribute of a namespace.
        case attribute(String, String)
        case tuple([Target])
    }
}
