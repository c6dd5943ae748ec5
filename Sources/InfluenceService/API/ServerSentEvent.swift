import Foundation

/// One event of a stream (HTML, section 9.2.6, "Interpreting an event stream").
struct ServerSentEvent: Sendable, Equatable {
    var id: String
    var event: String
    /// JSON on one line.
    var data: String

    var bytes: [UInt8] { Array("id: \(id)\nevent: \(event)\ndata: \(data)\n\n".utf8) }

    /// A line that clients pass over.
    static func comment(_ text: String) -> [UInt8] { Array(": \(text)\n\n".utf8) }

    /// Tells the client how long to wait before it connects again.
    static func retry(milliseconds: Int) -> [UInt8] { Array("retry: \(milliseconds)\n\n".utf8) }
}
