import JSON

/// Leaves out the first turns of a chat that is too long.
///
/// A turn is a user's message, or several in a row, with everything up to the next user's message. The messages of system and developer at
/// the beginning stay, and so does the last turn.
public enum ChatTurns {
    /// The chat without as few of its first turns as possible.
    ///
    /// - Parameter made: What is made of the messages that stay; nil if they are too long.
    /// - Returns: What was made, and the number of messages that were left out; nil if the last turn alone is too long.
    /// - Complexity: Calls `made` once, and twice the logarithm of the number of turns where the chat is too long.
    public static func fitting<Value>(
        _ messages: [JSONTree], _ made: ([JSONTree]) throws -> Value?
    ) rethrows -> (value: Value, dropped: Int)? {
        if let whole = try made(messages) { return (whole, 0) }
        let head = Array(messages.prefix { isHead($0) })
        let starts = starts(in: messages, after: head.count)
        var best: (value: Value, dropped: Int)?
        // Of two chats, the one with more turns is the longer.
        var (low, high) = (0, starts.count)
        while low < high {
            // First of all, whether the last turn alone is short enough.
            let middle = best == nil ? high - 1 : (low + high) / 2
            if let value = try made(head + messages[starts[middle]...]) {
                best = (value, starts[middle] - head.count)
                high = middle
            } else {
                guard best != nil else { return nil }
                low = middle + 1
            }
        }
        return best
    }

    /// Where the turns after the first one begin.
    private static func starts(in messages: [JSONTree], after head: Int) -> [Int] {
        messages.indices.filter { index in
            index > head && isUser(messages[index]) && !isUser(messages[index - 1])
        }
    }

    private static func isHead(_ message: JSONTree) -> Bool {
        message["role"] == .string("system") || message["role"] == .string("developer")
    }

    private static func isUser(_ message: JSONTree) -> Bool { message["role"] == .string("user") }
}
