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
    /// The stages, the Metaspace's own cut among them, as single steps. There is one at least.
    private let cuts: [Cut]

    /// How many words a batch has, or a few more.
    static let batchSize = 1 << 14

    init(metaspace: Metaspace? = nil, stages: [Stage]) {
        self.metaspace = metaspace
        self.stages = stages
        var cuts: [Cut] = []
        if let metaspace, metaspace.startsWords {
            cuts.append(.literal(LiteralSplit(pattern: String(metaspace.replacement), behavior: .mergedWithNext)))
        }
        for stage in stages {
            switch stage {
            case .split(let pattern): cuts.append(.pattern(pattern))
            case .literal(let split): cuts.append(.literal(split))
            case .digits(let individually): cuts.append(.digits(individually: individually))
            case .byteLevel(let addsPrefixSpace, let splits):
                if addsPrefixSpace { cuts.append(.spaces) }
                if splits { cuts.append(.pattern(.gpt2)) }
            }
        }
        self.cuts = cuts.isEmpty ? [.none] : cuts
    }

    /// GPT-2's: cut by its pattern and nothing else.
    static let gpt2 = PreTokenizer(stages: [.byteLevel(addsPrefixSpace: false, splits: true)])

    /// Starts on `text`, in which ``metaspace`` has been applied.
    ///
    /// - Parameter border: A place in the text; spaces that are put in before it are counted.
    func start(_ words: inout Words, on text: Span<UInt8>, border: Int? = nil, batchSize: Int = batchSize) {
        words.start(on: text, border: border, cuts: cuts.count, batchSize: batchSize)
    }

    /// Takes the next words of the text that `words` was started on.
    ///
    /// - Returns: Whether there were any left.
    func next(_ words: inout Words, of text: Span<UInt8>) -> Bool {
        fill(cuts.count - 1, of: &words, from: text)
    }
}

extension PreTokenizer {
    /// Some of a text's words, and what it takes to find those that follow.
    ///
    /// A text is cut a batch of words at a time, so that the memory this takes does not grow with the text.
    struct Words: Sendable {
        /// The end of each word in the text, or in ``spacedText`` where that is set.
        var ends: [Int] { levels.last?.ends ?? [] }
        /// Where the first word starts.
        var start: Int { levels.last?.start ?? 0 }
        /// The words' text with the spaces that a stage put in; nil where no stage does that.
        fileprivate(set) var spacedText: [UInt8]?
        /// How many spaces have been put in before the border.
        fileprivate(set) var spacesBeforeBorder = 0
        fileprivate var border: Int?
        fileprivate var levels: [Level] = []
        /// The text, until the first stage takes it.
        fileprivate var whole: Range<Int>?
        fileprivate var batchSize = 0

        fileprivate mutating func start(on text: Span<UInt8>, border: Int?, cuts: Int, batchSize: Int) {
            if levels.count != cuts { levels = [Level](repeating: Level(), count: cuts) }
            for index in levels.indices { levels[index].clear() }
            whole = text.isEmpty ? nil : 0..<text.count
            self.batchSize = max(1, batchSize)
            self.border = border
            spacesBeforeBorder = 0
            spacedText = nil
        }

        /// Gives back the memory of ``spacedText``, which alone can be large.
        mutating func clearSpacedText() { spacedText = nil }
    }

    /// The pieces that one step has cut, of which the next step takes one after the other.
    fileprivate struct Level: Sendable {
        /// What is still to be cut of the piece at hand.
        var input = 0..<0
        var ends: [Int] = []
        /// How many of the pieces have been taken, and where the next one starts.
        var taken = 0
        var start = 0

        var isTaken: Bool { taken == ends.count }

        mutating func clear() {
            input = 0..<0
            ends.removeAll(keepingCapacity: true)
            (taken, start) = (0, 0)
        }
    }

    fileprivate enum Cut: Sendable, Equatable {
        case none
        case pattern(SplitPattern)
        case literal(LiteralSplit)
        case digits(individually: Bool)
        /// Puts a space before each piece that starts without one.
        case spaces
    }

    /// Lets a step cut a batch of pieces.
    ///
    /// - Returns: Whether there were any.
    private func fill(_ index: Int, of words: inout Words, from text: Span<UInt8>) -> Bool {
        var level = Level()
        swap(&level, &words.levels[index])
        defer { swap(&level, &words.levels[index]) }
        level.start = level.ends.last ?? level.start
        level.ends.removeAll(keepingCapacity: true)
        level.taken = 0
        if cuts[index] == .spaces {
            addSpaces(at: index, to: &level, of: &words, from: text)
            return !level.ends.isEmpty
        }
        let followsSpaces = index > 0 && cuts[index - 1] == .spaces
        while level.ends.count < words.batchSize {
            if level.input.isEmpty {
                // The spaced text is another one from batch to batch.
                if followsSpaces, !level.ends.isEmpty, words.levels[index - 1].isTaken { break }
                guard let piece = takePiece(from: index - 1, of: &words, text) else { break }
                if level.ends.isEmpty { level.start = piece.lowerBound }
                level.input = piece
            }
            if followsSpaces, let spaced = words.spacedText {
                append(index, to: &level, from: spaced.span, limit: words.batchSize)
            } else {
                append(index, to: &level, from: text, limit: words.batchSize)
            }
        }
        return !level.ends.isEmpty
    }

    /// The next piece that a step has cut, or the whole text where there is no such step.
    private func takePiece(from index: Int, of words: inout Words, _ text: Span<UInt8>) -> Range<Int>? {
        guard index >= 0 else {
            defer { words.whole = nil }
            return words.whole
        }
        if words.levels[index].isTaken, !fill(index, of: &words, from: text) { return nil }
        let level = words.levels[index]
        let piece = level.start..<level.ends[level.taken]
        words.levels[index].taken += 1
        words.levels[index].start = piece.upperBound
        return piece
    }

    /// Cuts some of the piece at hand. Where it is cut, the rest is cut as a piece of its own would be.
    private func append(_ index: Int, to level: inout Level, from text: Span<UInt8>, limit: Int) {
        let position: Int
        switch cuts[index] {
        case .none, .spaces:
            level.ends.append(level.input.upperBound)
            position = level.input.upperBound
        case .pattern(let pattern):
            position = pattern.appendWordEnds(of: text, in: level.input, to: &level.ends, limit: limit)
        case .literal(let split):
            position = split.appendWordEnds(of: text, in: level.input, to: &level.ends, limit: limit)
        case .digits(let individually):
            position = Self.appendEndsAtDigits(
                of: text, in: level.input, individually: individually, to: &level.ends, limit: limit)
        }
        level.input = position..<level.input.upperBound
    }

    private static func appendEndsAtDigits(
        of text: Span<UInt8>, in piece: Range<Int>, individually: Bool, to ends: inout [Int], limit: Int
    ) -> Int {
        let classes = CharacterClasses.shared
        var previousIsDigit: Bool?
        var position = piece.lowerBound
        while position < piece.upperBound {
            let (flags, length) = classes.at(position, in: text)
            let isDigit = flags & CharacterClasses.digit != 0
            if let previousIsDigit, isDigit != previousIsDigit || (isDigit && individually) {
                ends.append(position)
                if ends.count >= limit { return position }
            }
            previousIsDigit = isDigit
            position += length
        }
        ends.append(piece.upperBound)
        return piece.upperBound
    }

    private func addSpaces(at index: Int, to level: inout Level, of words: inout Words, from text: Span<UInt8>) {
        let space = UInt8(ascii: " ")
        var spacedText = words.spacedText ?? []
        words.spacedText = nil
        spacedText.removeAll(keepingCapacity: true)
        while level.ends.count < words.batchSize, let piece = takePiece(from: index - 1, of: &words, text) {
            if text[piece.lowerBound] != space {
                spacedText.append(space)
                if let border = words.border, piece.lowerBound < border { words.spacesBeforeBorder += 1 }
            }
            for index in piece { spacedText.append(text[index]) }
            level.ends.append(spacedText.count)
        }
        level.start = 0
        words.spacedText = spacedText
    }
}
