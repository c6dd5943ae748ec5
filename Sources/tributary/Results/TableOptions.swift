import ArgumentParser
import Limits

/// How results look as a table.
struct TableOptions: ParsableArguments {
    @Option(
        help: """
            Whether to use colour: auto (on a terminal), always or never. Without colour, asterisks mark influential tokens.
            """)
    var color = Color.auto

    @Option(help: "How many lines of each sequence's text to show; 0 for the whole text.")
    var lines = 3

    private static let lineLimit = 0...10_000

    enum Color: String, CaseIterable, ExpressibleByArgument {
        case auto, always, never

        /// `nil` to find out.
        var choice: Bool? {
            switch self {
            case .auto: nil
            case .always: true
            case .never: false
            }
        }
    }

    func validate() throws {
        try Self.lineLimit.check(lines, of: "--lines")
    }
}
