/// Cuts text into the words that byte-pair merging never joins.
///
/// Each stage cuts the chunks of the stage before. A byte-level stage is always the last; vocabularies of characters have none.
struct PreTokenizer: Sendable, Equatable {
    enum Stage: Sendable, Equatable {
        /// Cuts at the matches of a pattern (Split, behaviour Isolated).
        case split(SplitPattern)
        /// Cuts at a string.
        case literal(LiteralSplit)
        /// Separates digits, one by one or in runs (Digits).
        case digits(individually: Bool)
        /// Adds a space before a chunk that starts without one, and cuts by GPT-2's pattern, each if set (ByteLevel).
        case byteLevel(addsPrefixSpace: Bool, splits: Bool)
    }

    /// Replaces the spaces of a text before it is cut, if set.
    let metaspace: Metaspace?
    let stages: [Stage]
    /// The stages and the Metaspace's own cut as single steps, at least one.
    private let cuts: [Cut]

    /// The number of words in a batch; a batch can have a few more.
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

    /// GPT-2's pre-tokenizer, which only cuts by its pattern.
    static let gpt2 = PreTokenizer(stages: [.byteLevel(addsPrefixSpace: false, splits: true)])

    /// Starts on `text`, to which ``metaspace`` has been applied.
    ///
    /// - Parameter border: An index in the text; spaces that are inserted before it are counted.
    func start(_ words: inout Words, on text: Span<UInt8>, border: Int? = nil, batchSize: Int = batchSize) {
        words.start(on: text, border: border, cuts: cuts.count, batchSize: batchSize)
    }

    /// Finds the next words of the text that `words` was started on.
    ///
    /// - Returns: Whether there were any.
    func next(_ words: inout Words, of text: Span<UInt8>) -> Bool {
        fill(cuts.count - 1, of: &words, from: text)
    }
}

extension PreTokenizer {
    /// A batch of a text's words, and the state to find the next batch.
    ///
    /// A text is cut one batch of words at a time, so that memory does not grow with the text.
    struct Words: Sendable {
        /// The end of each word in the text, or in ``spacedText`` if that is set.
        var ends: [Int] { levels.last?.ends ?? [] }
        /// The start of the first word.
        var start: Int { levels.last?.start ?? 0 }
        /// The words' text with the spaces that a stage inserted; nil if no stage does.
        fileprivate(set) var spacedText: [UInt8]?
        /// The number of spaces inserted before the border.
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

        /// Frees ``spacedText``, the only part that can be large.
        mutating func clearSpacedText() { spacedText = nil }
    }

    /// The chunks that one step has cut, which the next step takes one by one.
    fileprivate struct Level: Sendable {
        /// The part of the current chunk that is not cut yet.
        var input = 0..<0
        var ends: [Int] = []
        /// The number of chunks taken, and the start of the next one.
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
        /// Adds a space before each chunk that starts without one.
        case spaces
    }

    /// Cuts a batch of chunks in one step.
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
                // Each batch has its own spaced text.
                if followsSpaces, !level.ends.isEmpty, words.levels[index - 1].isTaken { break }
                guard let chunk = takeChunk(from: index - 1, of: &words, text) else { break }
                if level.ends.isEmpty { level.start = chunk.lowerBound }
                level.input = chunk
            }
            if followsSpaces, let spaced = words.spacedText {
                append(index, to: &level, from: spaced.span, limit: words.batchSize)
            } else {
                append(index, to: &level, from: text, limit: words.batchSize)
            }
        }
        return !level.ends.isEmpty
    }

    /// The next chunk of a step, or the whole text if there is no such step.
    private func takeChunk(from index: Int, of words: inout Words, _ text: Span<UInt8>) -> Range<Int>? {
        guard index >= 0 else {
            defer { words.whole = nil }
            return words.whole
        }
        if words.levels[index].isTaken, !fill(index, of: &words, from: text) { return nil }
        let level = words.levels[index]
        let chunk = level.start..<level.ends[level.taken]
        words.levels[index].taken += 1
        words.levels[index].start = chunk.upperBound
        return chunk
    }

    /// Cuts some of the current chunk. The remainder is later cut like a chunk of its own.
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
        of text: Span<UInt8>, in chunk: Range<Int>, individually: Bool, to ends: inout [Int], limit: Int
    ) -> Int {
        let classes = CharacterClasses.shared
        var previousIsDigit: Bool?
        var position = chunk.lowerBound
        while position < chunk.upperBound {
            let (flags, length) = classes.at(position, in: text)
            let isDigit = flags & CharacterClasses.digit != 0
            if let previousIsDigit, isDigit != previousIsDigit || (isDigit && individually) {
                ends.append(position)
                if ends.count >= limit { return position }
            }
            previousIsDigit = isDigit
            position += length
        }
        ends.append(chunk.upperBound)
        return chunk.upperBound
    }

    private func addSpaces(at index: Int, to level: inout Level, of words: inout Words, from text: Span<UInt8>) {
        let space = UInt8(ascii: " ")
        var spacedText = words.spacedText ?? []
        words.spacedText = nil
        spacedText.removeAll(keepingCapacity: true)
        while level.ends.count < words.batchSize, let chunk = takeChunk(from: index - 1, of: &words, text) {
            if text[chunk.lowerBound] != space {
                spacedText.append(space)
                if let border = words.border, chunk.lowerBound < border { words.spacesBeforeBorder += 1 }
            }
            for index in chunk { spacedText.append(text[index]) }
            level.ends.append(spacedText.count)
        }
        level.start = 0
        words.spacedText = spacedText
    }
}
