import Foundation
import JSON

/// What is asked to see whether findings of Grosse et al. 2023 hold of a model: a JSON file of `{"kinds", "word_order",
/// "register"}`.
public struct FindingsQuestions: Sendable, Codable, Equatable {
    /// Queries of several kinds, such as memorised ones and translations.
    public var kinds: [KindOfQuery]
    /// Completions, each with texts that say the same: with the completion behind what it follows from, and before it.
    public var wordOrder: [GivenTextQuestion]
    /// Dialogues, each with texts on the same matter that are dialogues, and ones that are descriptions.
    public var register: [GivenTextQuestion]

    public struct KindOfQuery: Sendable, Codable, Equatable {
        public var kind: String
        public var prompt: String
        public var completion: String

        var query: EvaluationQuery { EvaluationQuery(prompt: prompt, completion: completion) }
    }

    /// A query, and texts whose influence on it is found as if they were training sequences.
    public struct GivenTextQuestion: Sendable, Codable, Equatable {
        public var prompt: String
        public var completion: String
        public var texts: [GivenText]

        var query: EvaluationQuery { EvaluationQuery(prompt: prompt, completion: completion) }
    }

    public struct GivenText: Sendable, Codable, Equatable {
        /// Such as "flipped".
        public var kind: String
        public var text: String
    }

    enum CodingKeys: String, CodingKey {
        case kinds
        case wordOrder = "word_order"
        case register
    }

    /// - Throws: ``FindingsQuestionsError``.
    public init(path: String) throws {
        guard let data = try? Data(contentsOf: URL(fileURLWithPath: path)) else {
            throw FindingsQuestionsError.unreadable(path: path)
        }
        do {
            self = try JSONTreeDecoder.decode(FindingsQuestions.self, from: data)
        } catch {
            throw FindingsQuestionsError.notQuestions(path: path, problem: "\(error)")
        }
        guard !kinds.isEmpty else { throw FindingsQuestionsError.notQuestions(path: path, problem: "kinds is empty") }
    }

    public init(kinds: [KindOfQuery], wordOrder: [GivenTextQuestion], register: [GivenTextQuestion]) {
        self.kinds = kinds
        self.wordOrder = wordOrder
        self.register = register
    }
}

/// Why a file has no questions.
public enum FindingsQuestionsError: Error, Equatable, CustomStringConvertible {
    case unreadable(path: String)
    case notQuestions(path: String, problem: String)

    public var description: String {
        switch self {
        case .unreadable(let path): "\(path): the file cannot be read"
        case .notQuestions(let path, let problem):
            "\(path): expected {\"kinds\": [{\"kind\", \"prompt\", \"completion\"}], \"word_order\": [{\"prompt\", \"completion\", "
                + "\"texts\": [{\"kind\", \"text\"}]}], \"register\": […]}: \(problem)"
        }
    }
}
