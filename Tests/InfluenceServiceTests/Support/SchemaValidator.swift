import Foundation
import JSON

@testable import InfluenceService

/// Checks values against the schemas of an OpenAPI document.
///
/// It knows the keywords that the document uses, and reports any other: a schema must not promise what no test checks.
struct SchemaValidator {
    let document: JSONTree

    /// What is wrong with a value; empty if it is what the schema says.
    func mistakes(in value: JSONTree, _ schema: JSONTree, at path: String = "") -> [String] {
        if schema == false { return ["\(path): nothing is allowed, found \(value.text)"] }
        guard case .object(let keywords) = schema else { return ["\(path): the schema is no object"] }
        return keywords.flatMap { keyword in
            mistakes(in: value, keyword: keyword.name, keyword.value, of: schema, at: path)
        }
    }

    /// The value at a JSON pointer of the document.
    func resolve(_ reference: String) -> JSONTree? {
        reference.split(separator: "/").dropFirst().reduce(document as JSONTree?) { tree, name in tree?[String(name)] }
    }

    private func mistakes(
        in value: JSONTree, keyword: String, _ argument: JSONTree, of schema: JSONTree, at path: String
    ) -> [String] {
        func refuse(_ isWrong: Bool, _ reason: String) -> [String] {
            isWrong ? ["\(path): \(reason), found \(value.text)"] : []
        }
        switch (keyword, argument, value) {
        case ("description", .string(let text), _): return refuse(text.isEmpty, "an empty description")
        case ("default", _, _), ("examples", _, _): return []
        case ("$ref", .string(let reference), _):
            guard let target = resolve(reference) else { return ["\(path): nothing is at \(reference)"] }
            return mistakes(in: value, target, at: path)
        case ("type", .string(let type), _): return refuse(!value.isOf(type), "not \(type)")
        case ("type", .array(let types), _):
            return refuse(
                !types.contains { if case .string(let type) = $0 { value.isOf(type) } else { false } }, "no type fits")
        case ("enum", .array(let words), _): return refuse(!words.contains(value), "not one of \(argument.text)")
        case ("oneOf", .array(let schemas), _):
            return refuse(schemas.count { mistakes(in: value, $0, at: path).isEmpty } != 1, "not exactly one fits")
        case ("anyOf", .array(let schemas), _):
            return refuse(!schemas.contains { mistakes(in: value, $0, at: path).isEmpty }, "none fits")
        case ("properties", .object(let properties), .object(let members)):
            return members.flatMap { member in
                properties.first { $0.name == member.name }
                    .map { mistakes(in: member.value, $0.value, at: "\(path).\(member.name)") } ?? []
            }
        case ("required", .array(let names), .object):
            return names.flatMap { name -> [String] in
                guard case .string(let name) = name else { return ["\(path): a name that is no string"] }
                return refuse(value[name] == nil, "no \(name)")
            }
        case ("additionalProperties", .boolean(false), .object(let members)):
            let unknown = members.map(\.name).filter { schema["properties"]?[$0] == nil }
            return refuse(!unknown.isEmpty, "unknown members \(unknown)")
        case ("items", _, .array(let elements)):
            return elements.enumerated().flatMap { mistakes(in: $0.element, argument, at: "\(path)[\($0.offset)]") }
        case ("minItems", .number(let count), .array(let elements)):
            return refuse(elements.count < Int(count) ?? 0, "too few elements")
        case ("maxItems", .number(let count), .array(let elements)):
            return refuse(elements.count > Int(count) ?? 0, "too many elements")
        case ("maxLength", .number(let count), .string(let text)):
            return refuse(text.unicodeScalars.count > Int(count) ?? 0, "too long")
        case ("minLength", .number(let count), .string(let text)):
            return refuse(text.unicodeScalars.count < Int(count) ?? 0, "too short")
        case ("pattern", .string(let pattern), .string(let text)):
            return refuse(text.range(of: pattern, options: .regularExpression) == nil, "not like \(pattern)")
        case ("format", "date-time", .string(let text)):
            return refuse(
                (try? Date(text, strategy: .iso8601.year().month().day().time(includingFractionalSeconds: true)))
                    == nil, "no time")
        case ("minimum", .number(let bound), .number(let number)):
            return refuse(Double(number) ?? 0 < Double(bound) ?? 0, "less than \(bound)")
        case ("maximum", .number(let bound), .number(let number)):
            return refuse(Double(number) ?? 0 > Double(bound) ?? 0, "more than \(bound)")
        case ("exclusiveMinimum", .number(let bound), .number(let number)):
            return refuse(Double(number) ?? 0 <= Double(bound) ?? 0, "not more than \(bound)")
        case ("exclusiveMaximum", .number(let bound), .number(let number)):
            return refuse(Double(number) ?? 0 >= Double(bound) ?? 0, "not less than \(bound)")
        case ("properties", _, _), ("required", _, _), ("additionalProperties", _, _), ("items", _, _),
            ("maxItems", _, _), ("maxLength", _, _), ("exclusiveMaximum", _, _),
            ("minItems", _, _), ("minLength", _, _), ("pattern", _, _), ("format", _, _), ("minimum", _, _),
            ("maximum", _, _), ("exclusiveMinimum", _, _):
            return []
        default: return ["\(path): unknown keyword \(keyword)"]
        }
    }
}

extension JSONTree {
    fileprivate func isOf(_ type: String) -> Bool {
        switch self {
        case .null: type == "null"
        case .boolean: type == "boolean"
        case .number(let digits):
            type == "number" || (type == "integer" && !digits.contains(where: { ".eE".contains($0) }))
        case .string: type == "string"
        case .array: type == "array"
        case .object: type == "object"
        }
    }

    /// The names of an object's members.
    var names: [String] {
        if case .object(let members) = self { members.map(\.name) } else { [] }
    }

    var string: String? { if case .string(let text) = self { text } else { nil } }

    var elements: [JSONTree] { if case .array(let elements) = self { elements } else { [] } }
}
