import Files
import HTTPTypes

/// Compresses responses with gzip if the client accepts it and the response is large enough.
///
/// Text, JSON and the like are compressed from ``minimumBytes`` on. Streams are compressed chunk by chunk, and each chunk is sent
/// at once. Server-sent events are not compressed: they are short, and some proxies hold back compressed events.
///
/// A strong entity tag identifies one sequence of bytes (RFC 9110 section 8.8.3.3), so the tag of a compressed response gets
/// ``EntityTag``'s suffix for the coding.
public struct Compression: Middleware {
    /// The shortest body that is compressed. Compressing a shorter one would not save a packet.
    public var minimumBytes: Int
    /// From 1, the fastest, to 9, the smallest.
    public var level: Int

    public init(minimumBytes: Int = 1024, level: Int = 5) {
        self.minimumBytes = minimumBytes
        self.level = min(max(level, 1), 9)
    }

    public func wrapping(_ handler: @escaping Responder) -> Responder {
        { request in
            var response = await handler(request)
            guard mayCompress(response) else { return response }
            response.headers.addVary(.acceptEncoding)
            guard response.status != .notModified, AcceptEncoding(request.headers).prefersGzip else { return response }
            await compress(&response)
            return response
        }
    }

    /// Whether some client would receive the response compressed.
    private func mayCompress(_ response: Response) -> Bool {
        // The cheapest test comes first; it decides for most responses.
        if case .bytes(let bytes) = response.body, bytes.count < minimumBytes, response.status != .notModified {
            return false
        }
        // A 304 has the fields that the 200 would have (RFC 9110 section 15.4.5).
        if response.status == .notModified { return response.headers.contains(.eTag) }
        guard response.status.code >= 200, ![.noContent, .partialContent].contains(response.status),
            !response.headers.contains(.contentEncoding),
            !response.headers.tokens(of: .cacheControl).contains("no-transform"),
            let type = response.headers[.contentType]
        else { return false }
        return Self.isCompressible(type)
    }

    static func isCompressible(_ contentType: String) -> Bool {
        let type = Array(contentType.utf8.prefix { $0 != UInt8(ascii: ";") })[...].trimmingWhitespace.lowercasedASCII
        if type == "text/event-stream" { return false }
        return type.hasPrefix("text/") || type.hasSuffix("+json") || type.hasSuffix("+xml")
            || [
                "application/json", "application/x-ndjson", "application/ndjson", "application/xml",
                "application/javascript", "application/yaml",
            ].contains(type)
    }

    private func compress(_ response: inout Response) async {
        switch response.body {
        case .bytes(let bytes):
            guard let compressed = await compressed(bytes) else { return }
            response.body = .bytes(compressed)
        case .stream(let chunks): response.body = .stream(GzipSequence(chunks: chunks, level: Int32(level)))
        }
        response.headers[.contentEncoding] = "gzip"
        if let tag = response.headers[.eTag].flatMap(EntityTag.init(field:)) {
            response.headers[.eTag] = tag.gzipped.description
        }
    }

    /// The number of bytes that are compressed before other tasks run, which takes a few milliseconds.
    private static let chunkBytes = 256 << 10

    private func compressed(_ bytes: [UInt8]) async -> [UInt8]? {
        guard var gzip = GzipWriter(level: Int32(level)) else { return nil }
        var output: [UInt8] = []
        var remaining = bytes[...]
        while remaining.count > Self.chunkBytes {
            output += gzip.write(Array(remaining.prefix(Self.chunkBytes)), flush: .none)
            remaining = remaining.dropFirst(Self.chunkBytes)
            await Task.yield()
        }
        return output + gzip.write(Array(remaining), flush: .end)
    }
}

/// A stream's chunks, compressed as one gzip member. Each chunk can be decompressed when it arrives.
struct GzipSequence: AsyncSequence, Sendable {
    typealias Element = [UInt8]
    typealias Failure = any Error

    let chunks: any AsyncSequence<[UInt8], any Error> & Sendable
    let level: Int32

    func makeAsyncIterator() -> Iterator {
        Iterator(chunks: chunks.makeAsyncIterator(), compressor: Compressor(level: level))
    }

    struct Iterator: AsyncIteratorProtocol {
        var chunks: any AsyncIteratorProtocol<[UInt8], any Error>
        let compressor: Compressor?

        mutating func next() async throws -> [UInt8]? {
            guard let compressor else { throw GzipError.noMemory }
            while let chunk = try await chunks.next(isolation: nil) {
                // An empty chunk has nothing to flush.
                if !chunk.isEmpty { return compressor.write(chunk) }
            }
            return compressor.end()
        }
    }

    /// A compressor that an iterator and its copies share.
    final class Compressor {
        private var gzip: GzipWriter
        private var hasEnded = false

        init?(level: Int32) {
            guard let gzip = GzipWriter(level: level) else { return nil }
            self.gzip = gzip
        }

        func write(_ chunk: [UInt8]) -> [UInt8] { gzip.write(chunk, flush: .chunk) }

        func end() -> [UInt8]? {
            guard !hasEnded else { return nil }
            hasEnded = true
            return gzip.write([], flush: .end)
        }
    }
}

extension HTTPFields {
    mutating func addVary(_ name: HTTPField.Name) {
        let named = tokens(of: .vary)
        guard !named.contains("*"), !named.contains(name.canonicalName) else { return }
        self[.vary] = [self[.vary], name.rawName].compactMap { $0 }.joined(separator: ", ")
    }
}

/// The content codings that a client accepts, from its Accept-Encoding field (RFC 9110 section 12.5.3).
struct AcceptEncoding: Sendable, Equatable {
    /// The weight of each named coding, in thousandths.
    private var weights: [String: Int] = [:]

    init(_ fields: HTTPFields) {
        for element in fields.tokens(of: .acceptEncoding) {
            let parts = element.utf8.split(separator: UInt8(ascii: ";"), omittingEmptySubsequences: false).map {
                Array($0)[...].trimmingWhitespace.lowercasedASCII
            }
            guard let coding = parts.first, !coding.isEmpty else { continue }
            var weight: Int? = 1000
            if let parameter = parts.dropFirst().first { weight = Self.weight(parameter) }
            // An element with a malformed weight is ignored.
            if let weight { weights[coding == "x-gzip" ? "gzip" : coding] = weight }
        }
    }

    /// Whether gzip is acceptable, and its weight is at least that of the unencoded content.
    var prefersGzip: Bool {
        guard let gzip = weights["gzip"] ?? weights["*"], gzip > 0 else { return false }
        return gzip >= weights["identity"] ?? 0
    }

    /// Reads `q=0.5` as 500. Weights are from 0 to 1 and have at most three decimals (RFC 9110 section 12.4.2).
    private static func weight(_ parameter: String) -> Int? {
        guard parameter.hasPrefix("q=") else { return nil }
        let text = parameter.dropFirst(2)
        guard let value = Double(text), text.utf8.allSatisfy({ $0.isDigit || $0 == UInt8(ascii: ".") }),
            text.utf8.count <= 5, (0...1).contains(value)
        else { return nil }
        return Int((value * 1000).rounded())
    }
}
