/// The bounds on a chat template, each stated only here. A template comes from a stranger: whatever it says, parsing and rendering it end
/// soon and in little memory, also on a thread whose stack has 512 KB, and without the compiler's optimisation. Templates of real models
/// need at most three quarters of these depths.
public struct ChatTemplateLimits: Sendable, Equatable {
    /// The length of a template's source, in bytes of UTF-8.
    public var sourceBytes = 1 << 20
    /// The depth of brackets, conditions and blocks in each other, as a template writes them.
    public var syntaxDepth = 18
    /// The depth of an expression's tree. Chains of operators, attributes and filters make it deep without any bracket.
    public var expressionDepth = 64
    /// The depth of expressions, statements and macros that are evaluated within each other.
    public var evaluationDepth = 100
    /// The depth of macros that call each other.
    public var callDepth = 24
    /// The depth of the values that a template makes: lists in lists, and so on.
    public var valueDepth = 100
    /// The work of one rendering. Each expression is a step, and so is each eighth character or element that is copied.
    public var steps = 20_000_000
    /// The length of the rendered text, in characters.
    public var outputCharacters = 1 << 24
    /// The bytes of all values that one rendering makes, whether or not they are still in use.
    public var valueBytes = 1 << 29
    /// The length of one `range`, as in Jinja's sandbox.
    public var rangeCount = 100_000

    public init() {}
}

/// What keeps a template from being parsed or rendered, before the template's name is known.
struct TemplateFault: Error, Equatable {
    enum Kind: Equatable {
        case syntax(String)
        case unsupported(String)
        /// `raise_exception`, with its message.
        case raised(String)
        case evaluation(String)
        case limit(String)
    }

    var kind: Kind
    /// From 1; nil until the evaluator adds it.
    var line: Int?

    static func syntax(_ reason: String, line: Int) -> TemplateFault { .init(kind: .syntax(reason), line: line) }
    static func unsupported(_ construct: String, line: Int? = nil) -> TemplateFault {
        .init(kind: .unsupported(construct), line: line)
    }
    static func evaluation(_ reason: String) -> TemplateFault { .init(kind: .evaluation(reason)) }
    static func limit(_ bound: String) -> TemplateFault { .init(kind: .limit(bound)) }
}
