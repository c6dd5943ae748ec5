import JSON

/// A value that clients can send, as the API's description has it.
struct DescribedInput: CustomStringConvertible {
    let method: String
    /// The call's path, in which `{name}` stands for a segment.
    let pattern: String
    /// What the call's answers name it by: `[0].candidates.limit`, or the name of a query item.
    let field: String
    let place: Place
    /// With all references resolved.
    let schema: JSONTree

    enum Place {
        case path, query, header
        /// Puts a value there, in a body that is otherwise as small as it can be.
        case body(@Sendable (JSONTree) -> JSONTree)
    }

    var description: String { "\(method) \(pattern) \(field)" }

    /// Whether it is a number.
    var isNumeric: Bool { schema["type"] == "integer" || schema["type"] == "number" }
}

extension DescribedInput {
    /// All that the calls of a description take.
    static func all(in document: JSONTree) -> [DescribedInput] {
        let walk = InputWalk(validator: SchemaValidator(document: document))
        var inputs: [DescribedInput] = []
        for pattern in document["paths"]?.names ?? [] {
            for method in document["paths"]?[pattern]?.names ?? [] {
                let operation = document["paths"]?[pattern]?[method]
                for parameter in operation?["parameters"]?.elements ?? [] {
                    let place: Place =
                        switch parameter["in"] {
                        case "path": .path
                        case "query": .query
                        default: .header
                        }
                    inputs.append(
                        DescribedInput(
                            method: method.uppercased(), pattern: pattern, field: parameter["name"]?.string ?? "",
                            place: place, schema: parameter["schema"] ?? .null))
                }
                guard let body = operation?["requestBody"]?["content"]?["application/json"]?["schema"] else { continue }
                inputs += walk.leaves(of: body, at: "") { $0 }.map { field, schema, place in
                    DescribedInput(
                        method: method.uppercased(), pattern: pattern, field: field, place: .body(place), schema: schema
                    )
                }
            }
        }
        return inputs
    }

    /// The smallest list of as many elements as there are to be.
    func list(of count: Int) -> JSONTree {
        .array(Array(repeating: schema["items"].map(InputWalk.sample) ?? .null, count: count))
    }
}

/// Goes through the schema of a request's body.
private struct InputWalk {
    typealias Leaf = (field: String, schema: JSONTree, place: @Sendable (JSONTree) -> JSONTree)

    let validator: SchemaValidator

    /// The values within a body: numbers, texts, and lists, which are followed by what they hold.
    func leaves(
        of schema: JSONTree, at field: String, _ place: @escaping @Sendable (JSONTree) -> JSONTree
    ) -> [Leaf] {
        let schema = resolved(schema)
        if schema["properties"] == nil, let alternatives = schema["oneOf"] ?? schema["anyOf"] {
            return alternatives.elements.flatMap { leaves(of: $0, at: field, place) }
        }
        switch schema["type"] {
        case "object":
            return (schema["properties"]?.names ?? []).flatMap { name in
                let least = Self.object(of: schema, with: name)
                return leaves(of: schema["properties"]?[name] ?? .null, at: field.isEmpty ? name : "\(field).\(name)") {
                    value in
                    place(least.setting(name, to: value))
                }
            }
        case "array":
            let items = leaves(of: schema["items"] ?? .null, at: "\(field)[0]") { place(.array([$0])) }
            return [(field, schema, place)] + items
        case "integer", "number", "string": return [(field, schema, place)]
        default: return []
        }
    }

    /// A schema without references, and of the types that it has beside null.
    private func resolved(_ schema: JSONTree) -> JSONTree {
        switch schema {
        case .object(let members):
            if let reference = schema["$ref"]?.string { return resolved(validator.resolve(reference) ?? .null) }
            return .object(
                members.map { member in
                    guard member.name == "type", case .array(let types) = member.value else {
                        return .init(name: member.name, value: resolved(member.value))
                    }
                    return .init(name: "type", value: types.first ?? .null)
                })
        case .array(let elements): return .array(elements.map(resolved))
        default: return schema
        }
    }

    /// The smallest object that a schema describes.
    ///
    /// - Parameter name: A member that must be allowed beside the others; where there are alternatives, one that requires it is preferred.
    private static func object(of schema: JSONTree, with name: String? = nil) -> JSONTree {
        func required(_ schema: JSONTree) -> [String] { (schema["required"]?.elements ?? []).compactMap(\.string) }
        let alternatives = (schema["oneOf"] ?? schema["anyOf"])?.elements ?? []
        let chosen =
            alternatives.first { name.map(required($0).contains) ?? true }
            ?? alternatives.first { alternative in name.flatMap { alternative["properties"]?[$0]?["type"] } != "null" }
        return .object(
            (required(schema) + (chosen.map(required) ?? [])).map {
                .init(name: $0, value: sample(of: schema["properties"]?[$0] ?? .null))
            })
    }

    /// The smallest value that a schema without references describes.
    static func sample(of schema: JSONTree) -> JSONTree {
        if schema["properties"] == nil, let alternatives = schema["oneOf"] ?? schema["anyOf"] {
            return sample(of: alternatives.elements[0])
        }
        if let example = schema["examples"]?.elements.first ?? schema["enum"]?.elements.first { return example }
        switch schema["type"] {
        case "object": return object(of: schema)
        case "array": return .array([sample(of: schema["items"] ?? .null)])
        case "integer", "number": return schema["minimum"] ?? 1
        case "string": return "abc"
        default: return .null
        }
    }
}

extension JSONTree {
    /// An object with one of its members set.
    fileprivate func setting(_ name: String, to value: JSONTree) -> JSONTree {
        .object(
            names.filter { $0 != name }.map { .init(name: $0, value: self[$0] ?? .null) } + [
                .init(name: name, value: value)
            ])
    }
}
