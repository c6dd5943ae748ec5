import Files

/// Says that a page's bytes do not follow its encoding.
struct EncodingMistake: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }

    static let ended = EncodingMistake("it ends too early")
}

/// Reads numbers of a fixed width in the hybrid of runs and packed bits
/// (github.com/apache/parquet-format, Encodings.md, "Run Length Encoding / Bit-Packing Hybrid").
struct HybridReader {
    private let bytes: [UInt8]
    private var position: Int
    private let end: Int
    private let width: Int
    private let mask: UInt64
    private var runValue = 0
    private var runRemaining = 0
    private var packedRemaining = 0
    private var buffer: UInt64 = 0
    private var bufferedBits = 0

    /// - Parameter range: Within the bytes.
    init(_ bytes: [UInt8], _ range: Range<Int>, width: Int) throws(EncodingMistake) {
        guard (0...32).contains(width) else { throw EncodingMistake("numbers of \(width) bits") }
        self.bytes = bytes
        position = range.lowerBound
        end = range.upperBound
        self.width = width
        mask = (1 << UInt64(width)) - 1
    }

    mutating func next() throws(EncodingMistake) -> Int {
        while true {
            if runRemaining > 0 {
                runRemaining -= 1
                return runValue
            }
            if packedRemaining > 0 {
                packedRemaining -= 1
                return try packed()
            }
            try beginRun()
        }
    }

    private mutating func packed() throws(EncodingMistake) -> Int {
        while bufferedBits < width {
            guard position < end else { throw .ended }
            buffer |= UInt64(bytes[position]) << UInt64(bufferedBits)
            position += 1
            bufferedBits += 8
        }
        let value = buffer & mask
        buffer >>= UInt64(width)
        bufferedBits -= width
        return Int(value)
    }

    private mutating func beginRun() throws(EncodingMistake) {
        var header: UInt64 = 0
        var shift: UInt64 = 0
        while true {
            guard position < end else { throw .ended }
            guard shift < 35 else { throw EncodingMistake("a run is too long") }
            let byte = bytes[position]
            position += 1
            header |= UInt64(byte & 0x7f) << shift
            shift += 7
            if byte < 0x80 { break }
        }
        let count = Int(header >> 1)
        if header & 1 == 1 {
            packedRemaining = count * 8
            buffer = 0
            bufferedBits = 0
        } else {
            var value = 0
            for index in 0..<((width + 7) / 8) {
                guard position < end else { throw .ended }
                value |= Int(bytes[position]) << (8 * index)
                position += 1
            }
            runValue = value
            runRemaining = count
        }
    }
}

/// Reads integers as differences (Encodings.md, "Delta Encoding").
struct DeltaReader {
    private let bytes: [UInt8]
    private(set) var position: Int
    private let end: Int
    let count: Int
    private var remaining: Int
    private let blockSize: Int
    private let miniblockCount: Int
    private var value: Int64 = 0
    private var isFirst = true
    private var minimum: Int64 = 0
    private var widths: [Int] = []
    private var miniblock = 0
    /// Values of the miniblock that have not been read.
    private var inMiniblock = 0
    private var buffer: UInt64 = 0
    private var bufferedBits = 0

    /// - Parameter limit: The most values to expect.
    init(_ bytes: [UInt8], _ range: Range<Int>, limit: Int) throws(EncodingMistake) {
        var position = range.lowerBound
        let end = range.upperBound
        let blockSize = try Self.varint(bytes, &position, end)
        let miniblocks = try Self.varint(bytes, &position, end)
        let total = try Self.varint(bytes, &position, end)
        guard (1...(1 << 20)).contains(blockSize), (1...blockSize).contains(miniblocks), blockSize % miniblocks == 0,
            blockSize / miniblocks % 8 == 0, total <= UInt64(limit)
        else { throw EncodingMistake("blocks of \(blockSize) differences in \(miniblocks) parts, \(total) values") }
        value = Self.signed(try Self.varint(bytes, &position, end))
        self.bytes = bytes
        self.position = position
        self.end = end
        self.blockSize = Int(blockSize)
        miniblockCount = Int(miniblocks)
        count = Int(total)
        remaining = count
    }

    mutating func next() throws(EncodingMistake) -> Int64 {
        guard remaining > 0 else { throw .ended }
        remaining -= 1
        if isFirst {
            isFirst = false
            return value
        }
        if inMiniblock == 0 { try beginMiniblock() }
        inMiniblock -= 1
        value = value &+ minimum &+ Int64(bitPattern: try packed(widths[miniblock - 1]))
        return value
    }

    /// Reads to the end of the last miniblock, whose padding belongs to the encoding.
    mutating func finish() throws(EncodingMistake) {
        while remaining > 0 { _ = try next() }
        guard inMiniblock > 0 else { return }
        let bits = inMiniblock * widths[miniblock - 1] - bufferedBits
        // Some writers cut the padding off the last miniblock.
        position = min(position + max(bits, 0) / 8, end)
        inMiniblock = 0
    }

    private mutating func beginMiniblock() throws(EncodingMistake) {
        if miniblock == 0 || miniblock == miniblockCount {
            minimum = Self.signed(try Self.varint(bytes, &position, end))
            guard miniblockCount <= end - position else { throw .ended }
            widths = bytes[position..<(position + miniblockCount)].map(Int.init)
            position += miniblockCount
            miniblock = 0
        }
        guard widths[miniblock] <= 64 else { throw EncodingMistake("differences of \(widths[miniblock]) bits") }
        miniblock += 1
        inMiniblock = blockSize / miniblockCount
        buffer = 0
        bufferedBits = 0
    }

    private mutating func packed(_ width: Int) throws(EncodingMistake) -> UInt64 {
        var value: UInt64 = 0
        var filled = 0
        while filled < width {
            if bufferedBits == 0 {
                guard position < end else { throw .ended }
                buffer = UInt64(bytes[position])
                position += 1
                bufferedBits = 8
            }
            let taken = min(width - filled, bufferedBits)
            value |= (buffer & ((1 << UInt64(taken)) - 1)) << UInt64(filled)
            buffer >>= UInt64(taken)
            bufferedBits -= taken
            filled += taken
        }
        return value
    }

    private static func varint(_ bytes: [UInt8], _ position: inout Int, _ end: Int) throws(EncodingMistake) -> UInt64 {
        var value: UInt64 = 0
        for shift in stride(from: UInt64(0), to: 70, by: 7) {
            guard position < end else { throw .ended }
            let byte = bytes[position]
            position += 1
            value |= UInt64(byte & 0x7f) << shift
            if byte < 0x80 { return value }
        }
        throw EncodingMistake("a number has more than 10 bytes")
    }

    private static func signed(_ value: UInt64) -> Int64 {
        Int64(bitPattern: value >> 1) ^ -Int64(bitPattern: value & 1)
    }
}

/// Reads byte strings whose lengths stand in front of all of them, as differences (Encodings.md, "Delta-length byte array").
struct DeltaLengthReader {
    private let bytes: [UInt8]
    private var lengths: DeltaReader
    private var position: Int
    private let end: Int

    init(_ bytes: [UInt8], _ range: Range<Int>, limit: Int) throws(EncodingMistake) {
        self.bytes = bytes
        lengths = try DeltaReader(bytes, range, limit: limit)
        var toEnd = lengths
        try toEnd.finish()
        position = toEnd.position
        end = range.upperBound
    }

    mutating func next() throws(EncodingMistake) -> ArraySlice<UInt8> {
        let length = try lengths.next()
        guard length >= 0, length <= Int64(end - position) else { throw .ended }
        defer { position += Int(length) }
        return bytes[position..<(position + Int(length))]
    }
}

/// Reads byte strings that each share a beginning with the one before (Encodings.md, "Delta Strings").
struct DeltaStringReader {
    private var prefixes: DeltaReader
    private var suffixes: DeltaLengthReader
    private var previous: [UInt8] = []

    init(_ bytes: [UInt8], _ range: Range<Int>, limit: Int) throws(EncodingMistake) {
        prefixes = try DeltaReader(bytes, range, limit: limit)
        var toEnd = prefixes
        try toEnd.finish()
        suffixes = try DeltaLengthReader(bytes, toEnd.position..<range.upperBound, limit: limit)
    }

    mutating func next() throws(EncodingMistake) -> ArraySlice<UInt8> {
        let prefix = try prefixes.next()
        guard prefix >= 0, prefix <= Int64(previous.count) else {
            throw EncodingMistake("a beginning is longer than its string")
        }
        previous.removeSubrange(Int(prefix)...)
        previous.append(contentsOf: try suffixes.next())
        return previous[...]
    }
}
