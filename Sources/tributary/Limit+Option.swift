import ArgumentParser
import Limits

extension Limit {
    /// Refuses the value of an option that is not allowed, in the words in which a server refuses it.
    ///
    /// - Parameters:
    ///   - value: Nil for an option that was not given.
    ///   - name: The option's, with its dashes.
    func check(_ value: Value?, of name: String) throws {
        guard let value, let refusal = refusal(of: value) else { return }
        throw ValidationError("\(name): \(refusal)")
    }

    /// Refuses any of the values of an option that can be given several.
    func check(each values: [Value], of name: String) throws {
        for value in values { try check(value, of: name) }
    }
}
