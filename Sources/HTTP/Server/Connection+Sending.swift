import Logging

extension Connection {
    /// The interim response that asks for the body (RFC 9110 section 15.2.1).
    static let continueResponse = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
    /// The most buffered bytes at which a stream's next chunk does not wait for the client.
    private static let streamBufferLimit = 64 << 10

    /// Runs the handler and sends its response. Runs off the event loop.
    nonisolated func answer(_ request: Request) async {
        let response = await environment.handler(request)
        guard let chunks = await send(response) else { return }
        do {
            for try await chunk in chunks { try await write(chunk) }
            await endStream()
        } catch {
            await abandonStream(error)
        }
    }

    /// Sends a response, or only its head if the body is a stream. The stream is returned, and must still be written.
    @discardableResult
    func send(_ response: Response) -> (any AsyncSequence<[UInt8], any Error> & Sendable)? {
        guard case .handling(var exchange) = phase else { return nil }
        let encoder = ResponseEncoder(
            response, to: exchange.context,
            keepsAlive: exchange.keepsAlive && !response.closesConnection && !isDraining)
        exchange.keepsAlive = encoder.keepsAlive
        exchange.report.status = response.status
        exchange.report.routePattern = response.routePattern
        exchange.report.annotations = response.annotations
        exchange.framing = encoder.framing
        output.append(encoder.head(date: environment.dates.current))
        var chunks: (any AsyncSequence<[UInt8], any Error> & Sendable)?
        if encoder.sendsBody {
            switch response.body {
            case .bytes(let bytes): output.append(bytes)
            case .stream(let stream): chunks = stream
            }
        }
        exchange.isComplete = chunks == nil
        phase = .responding(exchange)
        deadline = nil
        flush()
        updateInterest()
        return chunks
    }

    /// Waits while too many bytes are buffered. Throws `CancellationError` if the connection has closed.
    private func write(_ chunk: [UInt8]) async throws {
        guard case .responding(let exchange) = phase else { throw CancellationError() }
        for segment in ResponseEncoder.frame(chunk, as: exchange.framing) { output.append(segment) }
        flush()
        updateInterest()
        guard output.count > Self.streamBufferLimit else { return }
        try await withCheckedThrowingContinuation { waitingStream = $0 }
    }

    private func endStream() {
        guard case .responding(var exchange) = phase else { return }
        output.append(ResponseEncoder.end(of: exchange.framing))
        exchange.isComplete = true
        phase = .responding(exchange)
        flush()
        updateInterest()
    }

    /// Ends a response whose stream has failed. The status has been sent already; from the missing last chunk the client learns
    /// that the body is incomplete (RFC 9112 section 8).
    private func abandonStream(_ error: any Error) {
        guard case .responding(let exchange) = phase else { return }
        environment.logger.error(
            "a response stream failed",
            metadata: ["error": "\(error)", "request_id": "\(exchange.context.identifier)"])
        close()
    }

    /// Finds out whether a client that has finished sending still waits for its response.
    ///
    /// A client that has only finished sending skips the interim response (RFC 9110 section 15.2). If the client has closed its
    /// socket, its kernel answers with a reset, which cancels the handler. The status is 100, because some clients skip no other
    /// interim response.
    func probe(_ exchange: Exchange) {
        // RFC 9110 section 15.2: HTTP/1.0 has no interim responses.
        guard exchange.context.version == .http11 else { return }
        output.append(Self.continueResponse)
        flush()
    }

    func flush() {
        var total = 0
        while !output.isEmpty {
            switch transport?.write(output.segments, skipping: output.offset) {
            case .wrote(let written):
                output.drop(written)
                total += written
                continue
            case .failed, nil:
                return close()
            case .wouldBlock:
                break
            }
            break
        }
        guard case .responding(var exchange) = phase else { return }
        exchange.report.bytesSent += total
        phase = .responding(exchange)
        if output.isEmpty {
            deadline = nil
        } else if total > 0 || deadline == nil {
            // The time starts again whenever the client receives bytes.
            deadline = .now + environment.timeouts.write
        }
        if output.count <= Self.streamBufferLimit {
            waitingStream?.resume()
            waitingStream = nil
        }
        if exchange.isComplete, output.isEmpty { finish(exchange) }
    }
}

/// Bytes for a client that the kernel has not taken yet.
struct OutputBuffer: Sendable {
    private(set) var segments: [[UInt8]] = []
    /// How many bytes of the first segment are written.
    private(set) var offset = 0
    /// The number of bytes still to write.
    private(set) var count = 0

    /// Segments of together at most this size are copied into one: a copy is cheaper than an entry in the kernel's vector.
    private static let joinLimit = 4096

    var isEmpty: Bool { count == 0 }

    mutating func append(_ bytes: [UInt8]) {
        guard !bytes.isEmpty else { return }
        count += bytes.count
        if let last = segments.indices.last, segments[last].count + bytes.count <= Self.joinLimit {
            segments[last].append(contentsOf: bytes)
        } else {
            segments.append(bytes)
        }
    }

    mutating func drop(_ written: Int) {
        count -= written
        offset += written
        var finished = 0
        while finished < segments.count, offset >= segments[finished].count {
            offset -= segments[finished].count
            finished += 1
        }
        segments.removeFirst(finished)
    }
}
