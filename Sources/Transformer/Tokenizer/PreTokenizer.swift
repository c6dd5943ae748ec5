/// Cuts text into the words that byte-pair merging never joins.
///
/// The stages follow each other, each cutting the pieces of the one before. A byte-level stage is always the last, and
/// there is none where tokens are written as they are.
struct PreTokenizer: Sendable, Equatable {
    enum Stage: Sendable, Equatable {
        /// Cuts at the matches of a pattern (Split, behaviour Isolated).
        case split(SplitPattern)
        /// Cuts at a string.
        case literal(LiteralSplit)
        /// Sets digits apart, one by one or in runs (Digits).
        case digits(individually: Bool)
        /// Puts a space before a piece that starts without one, and cuts by GPT-2's pattern, as asked (ByteLevel).
        case byteLevel(addsPrefixSpace: Bool, splits: Bool)
    }

    /// What is done to the spaces of a stretch of text before it is cut, where something is.
    let metaspace: Metaspace?
    let stages: [Stage]

    init(metaspace: Metaspace? = nil, stages: [Stage]) {
        self.metaspace = metaspace
        self.stages = stages
    }

    /// GPT-2's: cut by its pattern and nothing else.
    static let gpt2 = PreTokenizer(stages: [.byteLevel(addsPrefixSpace: false, splits: true)])

    /// Words, and the text they are of where spaces had to be put in.
    struct Words: Sendable {
        /// The end of each word in the text, or in ``spacedText`` where that is set.
        fileprivate(set) var ends: [Int] = []
        /// The text with the spaces that a stage put in; nil where none was.
        fileprivate(set) var spacedText: [UInt8]?
        /// Where in the text spaces were put in, ascending.
        fileprivate(set) var insertions: [Int] = []
        private var pieces: [Int] = []

        fileprivate mutating func startStage() {
            swap(&ends, &pieces)
            ends.removeAll(keepingCapacity: true)
        }

        fileprivate mutating func start(with text: Span<UInt8>) {
            ends.removeAll(keepingCapacity: true)
            ends.append(text.count)
            insertions.removeAll(keepingCapacity: true)
            spacedText = nil
        }

        /// Calls `body` with each piece of the stage before; what it appends to the ends is the next stage's.
        fileprivate mutating func refine(_ body: (_ piece: Range<Int>, _ ends: inout [Int]) -> Void) {
            startStage()
            var start = 0
            for end in pieces {
                body(start..<end, &ends)
                start = end
            }
        }
    }

    /// Cuts `text`, which is not empty and in which ``metaspace`` has been applied. `words` is overwritten.
    func split(_ text: Span<UInt8>, into words: inout Words) {
        words.start(with: text)
        if let metaspace, metaspace.startsWords {
            let split = LiteralSplit(pattern: String(metaspace.replacement), behavior: .mergedWithNext)
            words.refine { piece, ends in split.appendWordEnds(of: text, in: piece, to: &ends) }
        }
        for stage in stages {
            switch stage {
            case .split(let pattern):
                words.refine { piece, ends in pattern.appendWordEnds(of: text, in: piece, to: &ends) }
            case .literal(let split):
                words.refine { piece, ends in split.appendWordEnds(of: text, in: piece, to: &ends) }
            case .digits(let individually):
                words.refine { piece, ends in
                    Self.appendEndsAtDigits(of: text, in: piece, individually: individually, to: &ends)
                }
            case .byteLevel(let addsPrefixSpace, let splits):
                if addsPrefixSpace { Self.addPrefixSpaces(to: text, words: &words) }
                guard splits else { break }
                if let spacedText = words.spacedText {
                    words.refine { SplitPattern.gpt2.appendWordEnds(of: spacedText.span, in: $0, to: &$1) }
                } else {
                    words.refine { SplitPattern.gpt2.appendWordEnds(of: text, in: $0, to: &$1) }
                }
            }
        }
    }

    private static func appendEndsAtDigits(
        of text: Span<UInt8>, in piece: Range<Int>, individually: Bool, to ends: inout [Int]
    ) {
        let classes = CharacterClasses.shared
        var previousIsDigit: Bool?
        var position = piece.lowerBound
        while position < piece.upperBound {
            let (flags, length) = classes.at(position, in: text)
            let isDigit = flags & CharacterClasses.digit != 0
            if let previousIsDigit, isDigit != previousIsDigit || (isDigit && individually) { ends.append(position) }
            previousIsDigit = isDigit
            position += length
        }
        ends.append(piece.upperBound)
    }

    private static func addPrefixSpaces(to text: Span<UInt8>, words: inout Words) {
        let space = UInt8(ascii: " ")
        var spacedText: [UInt8] = []
        var insertions: [Int] = []
        spacedText.reserveCapacity(text.count + words.ends.count)
        words.refine { piece, ends in
            if text[piece.lowerBound] != space {
                spacedText.append(space)
                insertions.append(piece.lowerBound)
            }
            for index in piece { spacedText.append(text[index]) }
            ends.append(spacedText.count)
        }
        guard !insertions.isEmpty else { return }
        words.spacedText = spacedText
        words.insertions = insertions
    }
}
