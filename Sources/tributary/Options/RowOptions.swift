import ArgumentParser
import Corpus

/// Which fields of a record are trained on, and where their loss is.
struct RowOptions: ParsableArguments {
    @Option(help: "The kind of all records: \(RowFields.Kind.list). (default: what each record's fields suggest)")
    var rows: RowFields.Kind?

    @Option(
        help: """
            The field with a record's text, or a text with fields in braces, such as "{title}: {body}". A brace itself is {{ or }}.
            """)
    var textField = FieldFormat.text

    @Option(help: "The same for the prompt of records with prompt and completion. It carries no loss.")
    var promptField = FieldFormat.prompt

    @Option(
        help:
            "The same for the completion. It follows the prompt directly; write the token that ends it if training had one."
    )
    var completionField = FieldFormat.completion

    @Option(help: "Where records with a prompt, or with several turns, carry loss: \(LossScope.list).")
    var loss = LossScope.responses

    @Flag(
        help: """
            Leave out the first turns of chats that are longer than a sequence, as few as it takes. A system message before them stays. \
            Otherwise chats are cut at their end.
            """)
    var dropTurns = false

    var fields: RowFields {
        var fields = RowFields()
        fields.kind = rows
        fields.text = textField
        fields.prompt = promptField
        fields.completion = completionField
        fields.loss = loss
        fields.dropsTurns = dropTurns
        return fields
    }
}

extension RowFields.Kind: ExpressibleByArgument {
    fileprivate static var list: String { allCases.map(\.rawValue).joined(separator: ", ") }
}

extension LossScope: ExpressibleByArgument {
    fileprivate static var list: String { "responses (completions and the assistant's turns) or all" }
}

extension FieldFormat: ExpressibleByArgument {
    fileprivate static var text: FieldFormat { RowFields().text }
    fileprivate static var prompt: FieldFormat { RowFields().prompt }
    fileprivate static var completion: FieldFormat { RowFields().completion }

    public init?(argument: String) { self.init(argument) }

    public var defaultValueDescription: String { description }
}
