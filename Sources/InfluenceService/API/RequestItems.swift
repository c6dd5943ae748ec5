import HTTP

extension Request {
    /// The query's item of a name, of those that a route knows.
    func item<Value>(_ name: String, expected: String, _ read: (String) -> Value?) throws(Problem) -> Value? {
        guard let text = query(name) else { return nil }
        guard let value = read(text) else {
            throw .invalidField(name, detail: "The query item \"\(name)\" must be \(expected), but is \"\(text)\".")
        }
        return value
    }

    /// Refuses query items beside the known ones, and known ones that stand twice: a misspelt one, or all but the first, would otherwise
    /// be silently ignored.
    func refuseItems(besides known: [String]) throws(Problem) {
        var seen: Set<String> = []
        for item in query {
            // Known names are ASCII, and no other name is equal to one of these byte by byte.
            guard let name = known.first(where: { $0.utf8.elementsEqual(item.name.utf8) }) else {
                let list = known.isEmpty ? "there are none here" : "known here are \(known.joined(separator: ", "))"
                throw .invalidField(item.name, detail: "The query item \"\(item.name)\" is unknown; \(list).")
            }
            guard seen.insert(name).inserted else {
                throw .invalidField(name, detail: "The query item \"\(name)\" stands twice: send it once.")
            }
        }
    }
}
