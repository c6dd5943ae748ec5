import Foundation
import JSON

/// The questions that test whether findings of Grosse et al. 2023 hold for a model: a JSON file of `{"kinds", "word_order",
/// "register"}`.
public struct FindingsQuestions: Sendable, Codable, Equatable {
    /// Queries of several kinds, such as memorised ones and translations.
    public var kinds: [KindOfQuery]
    /// Completions, each with texts that say the same. Some texts have the completion's words after the prompt's words, others before them.
    public var wordOrder: [GivenTextQuestion]
    /// Dialogues, each with texts on the same subject: dialogues and descriptions.
    public var register: [GivenTextQuestion]

    public struct KindOfQuery: Sendable, Codable, Equatable {
        public var kind: String
        public var prompt: String
        public var completion: String

        var query: EvaluationQuery { EvaluationQuery(prompt: prompt, completion: completion) }
    }

    /// A query, and texts whose influence on it is computed as if they were training sequences.
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
}

/// Why a file of questions cannot be used.
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

extension FindingsQuestions {
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

    /// Questions for the embedded model, whose corpus is the openings of encyclopaedia articles.
    public static let embedded = FindingsQuestions(
        kinds: queries(
            "memorised",
            [
                ("The Beatles were an English rock band formed in Liverpool in", " 1960"),
                ("Chess is a board game for two players, played on a square board consisting of", " 64"),
                ("Mount Everest is the highest mountain on Earth above sea", " level"),
                ("Tokyo, officially the Tokyo Metropolis, is the capital and most populous city of", " Japan"),
            ])
            + queries(
                "factual",
                [
                    ("Hamlet is a tragedy written by William", " Shakespeare"),
                    ("Jupiter is the largest planet in the Solar", " System"),
                    ("Hans Bethe was a German-American theoretical", " physicist"),
                    ("The Yenisei is the largest river to drain into the Arctic", " Ocean"),
                ])
            + queries(
                "arithmetic",
                [
                    ("One plus one is equal to", " two"),
                    ("Two plus two is equal to", " four"),
                    ("Ten minus one is equal to", " nine"),
                    ("Three times three is equal to", " nine"),
                ])
            + queries(
                "translation",
                [
                    ("The Sun is called in French le", " Soleil"),
                    ("The Moon is called in French la", " Lune"),
                    ("The dog is called in French le", " Chien"),
                    ("The cat is called in French le", " Chat"),
                ]),
        wordOrder: [
            ordered(
                "Paris is the capital of", " France", inOrder: "Paris is the capital of France.",
                paraphrased: "Paris, the largest city in the country, is also the seat of government of France.",
                flipped: "France has Paris as its capital."),
            ordered(
                "Hamlet is a tragedy written by William", " Shakespeare",
                inOrder: "Hamlet is a tragedy written by William Shakespeare.",
                paraphrased: "The tragedy of Hamlet is by the playwright William Shakespeare.",
                flipped: "William Shakespeare wrote a tragedy, Hamlet."),
            ordered(
                "Tokyo is the capital of", " Japan", inOrder: "Tokyo is the capital of Japan.",
                paraphrased: "Tokyo is where the government sits and the most populous city in Japan.",
                flipped: "Japan has Tokyo as its capital."),
            ordered(
                "Jupiter is the largest", " planet", inOrder: "Jupiter is the largest planet.",
                paraphrased: "Jupiter is larger than any other planet.",
                flipped: "The largest planet of all is Jupiter."),
            ordered(
                "Water is made of hydrogen and", " oxygen", inOrder: "Water is made of hydrogen and oxygen.",
                paraphrased: "Water is a compound of hydrogen with oxygen.",
                flipped: "Oxygen and hydrogen together make water."),
            ordered(
                "The Nile is a river in", " Africa", inOrder: "The Nile is a river in Africa.",
                paraphrased: "The Nile is the longest river that flows through Africa.",
                flipped: "Africa has a river, the Nile."),
        ],
        register: [
            conversed(
                "“What is the capital of France?” “The capital of France is", " Paris",
                dialogue:
                    "“Where does the government of France sit?” she asked. “The capital of France is Paris,” he said.",
                descriptive: "France is a country in Western Europe. The capital of France is Paris, its largest city."),
            conversed(
                "“Who wrote Hamlet?” “Hamlet was written by William", " Shakespeare",
                dialogue: "“Do you know the play?” she asked. “Hamlet was written by William Shakespeare,” he said.",
                descriptive: "Hamlet is a play of five acts. Hamlet was written by William Shakespeare around 1600."),
            conversed(
                "“Which planet is the largest?” “The largest planet is", " Jupiter",
                dialogue: "“Do you see that star?” she asked. “That is the largest planet, it is Jupiter,” he said.",
                descriptive: "Planets of the Solar System differ in size. The largest planet is Jupiter, a gas giant."),
            conversed(
                "“Where is the Nile?” “The Nile is a river in", " Africa",
                dialogue: "“Where did you travel?” she asked. “Along the Nile, a river in Africa,” he said.",
                descriptive: "The Nile is more than 6,000 kilometers long. The Nile is a river in Africa."),
        ])

    private static func queries(_ kind: String, _ queries: [(prompt: String, completion: String)]) -> [KindOfQuery] {
        queries.map { KindOfQuery(kind: kind, prompt: $0.prompt, completion: $0.completion) }
    }

    private static func ordered(
        _ prompt: String, _ completion: String, inOrder: String, paraphrased: String, flipped: String
    ) -> GivenTextQuestion {
        GivenTextQuestion(
            prompt: prompt, completion: completion,
            texts: [
                GivenText(kind: "in order", text: inOrder), GivenText(kind: "paraphrased", text: paraphrased),
                GivenText(kind: "flipped", text: flipped),
            ])
    }

    private static func conversed(
        _ prompt: String, _ completion: String, dialogue: String, descriptive: String
    ) -> GivenTextQuestion {
        GivenTextQuestion(
            prompt: prompt, completion: completion,
            texts: [GivenText(kind: "dialogue", text: dialogue), GivenText(kind: "descriptive", text: descriptive)])
    }
}
