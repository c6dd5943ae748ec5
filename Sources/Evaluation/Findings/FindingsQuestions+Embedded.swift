extension FindingsQuestions {
    /// Questions to the embedded model, whose corpus is openings of encyclopaedia articles.
    public static let embedded = FindingsQuestions(
        kinds: [
            memorised("The Beatles were an English rock band formed in Liverpool in", " 1960"),
            memorised("Chess is a board game for two players, played on a square board consisting of", " 64"),
            memorised("Mount Everest is the highest mountain on Earth above sea", " level"),
            memorised("Tokyo, officially the Tokyo Metropolis, is the capital and most populous city of", " Japan"),
            factual("Hamlet is a tragedy written by William", " Shakespeare"),
            factual("Jupiter is the largest planet in the Solar", " System"),
            factual("Hans Bethe was a German-American theoretical", " physicist"),
            factual("The Yenisei is the largest river to drain into the Arctic", " Ocean"),
            arithmetic("One plus one is equal to", " two"), arithmetic("Two plus two is equal to", " four"),
            arithmetic("Ten minus one is equal to", " nine"), arithmetic("Three times three is equal to", " nine"),
            translation("The Sun is called in French le", " Soleil"),
            translation("The Moon is called in French la", " Lune"),
            translation("The dog is called in French le", " Chien"),
            translation("The cat is called in French le", " Chat"),
        ],
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

    private static func memorised(_ prompt: String, _ completion: String) -> KindOfQuery {
        KindOfQuery(kind: "memorised", prompt: prompt, completion: completion)
    }

    private static func factual(_ prompt: String, _ completion: String) -> KindOfQuery {
        KindOfQuery(kind: "factual", prompt: prompt, completion: completion)
    }

    private static func arithmetic(_ prompt: String, _ completion: String) -> KindOfQuery {
        KindOfQuery(kind: "arithmetic", prompt: prompt, completion: completion)
    }

    private static func translation(_ prompt: String, _ completion: String) -> KindOfQuery {
        KindOfQuery(kind: "translation", prompt: prompt, completion: completion)
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
