import ArgumentParser
import Limits

/// How results look as a table.
struct TableOptions: ParsableArguments {
    @Option(
        help: """
            Colour: auto (on a terminal), always or never. Without it, influential tokens are marked with asterisks.
            """)
    var color = Color.auto

    @Option(help: "Lines of each sequence's text; 0 for all of it.")
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
