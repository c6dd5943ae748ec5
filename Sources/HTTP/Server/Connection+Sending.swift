import Logging

extension Connection {
    /// What the client may send on (RFC 9110 section 15.2.1).
    static let continueResponse = Array("HTTP/1.1 100 Continue\r\n\r\n".utf8)
    /// Bytes of a stream that are buffered before its next piece waits for the client.
    private static let streamBufferLimit = 64 << 10

    /// Has the handler answer a request, and sends what it answers. Runs off the event loop.
    nonisolated func answer(_ request: Request) async {
        let response = await environment.handler(request)
        guard let pieces = await send(response) else { return }
        do {
            for try await piece in pieces { try await write(piece) }
            await endStream()
        } catch {
            await abandonStream(error)
        }
    }

    /// Sends a response, or its head where the body is a stream.
    ///
    /// - Returns: The stream that is still to be written.
    @discardableResult
    func send(_ response: Response) -> (any AsyncSequence<[UInt8], any Error> & Sendable)? {
        guard case .handling(var exchange) = phase else { return nil }
        let encoder = ResponseEncoder(
            response, to: exchange.context,
            keepsAlive: exchange.keepsAlive && !response.closesConnection && !mustClose)
        exchange.keepsAlive = encoder.keepsAlive
        exchange.status = response.status
        exchange.routePattern = response.routePattern
        exchange.annotations = response.annotations
        exchange.framing = encoder.framing
        output.append(encoder.head(date: loop.date()))
        var pieces: (any AsyncSequence<[UInt8], any Error> & Sendable)?
        if encoder.sendsBody {
            switch response.body {
            case .bytes(let bytes): output.append(bytes)
            case .stream(let stream): pieces = stream
            }
        }
        exchange.isComplete = pieces == nil
        phase = .responding(exchange)
        deadline = nil
        flush()
        updateInterest()
        return pieces
    }

    /// Writes one piece of a stream, waiting while the client is behind.
    ///
    /// - Throws: `CancellationError` where the connection has closed.
    private func write(_ piece: [UInt8]) async throws {
        guard case .responding(let exchange) = phase else { throw CancellationError() }
        for segment in ResponseEncoder.frame(piece, as: exchange.framing) { output.append(segment) }
        flush()
        updateInterest()
        guard output.count > Self.streamBufferLimit else { return }
        try await withCheckedThrowingContinuation { waitingForRoom = $0 }
    }

    private func endStream() {
        guard case .responding(var exchange) = phase else { return }
        output.append(ResponseEncoder.end(of: exchange.framing))
        exchange.isComplete = true
        phase = .responding(exchange)
        flush()
        updateInterest()
    }

    /// Ends a response whose stream has failed. The status is long sent; a missing last chunk is how the client learns that
    /// the body is incomplete (RFC 9112 section 8).
    private func abandonStream(_ error: any Error) {
        guard case .responding(let exchange) = phase else { return }
        environment.logger.error(
            "a response stream failed",
            metadata: ["error": "\(error)", "request_id": "\(exchange.context.identifier)"])
        close()
    }

    /// Finds out whether a client that has finished sending still waits for its response.
    ///
    /// A client that has only finished sending skips the interim response (RFC 9110 section 15.2). The kernel of one that has closed
    /// its socket answers with a reset, which cancels the handler. The status is 100, since some clients skip no other.
    func probe(_ exchange: Exchange) {
        // RFC 9110 section 15.2: a client of HTTP/1.0 knows no interim responses.
        guard exchange.context.version == .http11 else { return }
        output.append(Self.continueResponse)
        flush()
    }

    /// Writes what is buffered as far as the client takes it.
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
        exchange.bytesSent += total
        phase = .responding(exchange)
        if output.isEmpty {
            deadline = nil
        } else if total > 0 || deadline == nil {
            // The time starts again with whatever the client takes.
            deadline = .now + environment.timeouts.write
        }
        if output.count <= Self.streamBufferLimit {
            waitingForRoom?.resume()
            waitingForRoom = nil
        }
        if exchange.isComplete, output.isEmpty { finish(exchange) }
    }
}

/// Bytes on their way to a client that the kernel has not taken yet.
struct OutputBuffer: Sendable {
    private(set) var segments: [[UInt8]] = []
    /// How much of the first segment is written.
    private(set) var offset = 0
    /// The bytes still to write.
    private(set) var count = 0

    /// Segments up to this size together are copied into one: a copy is cheaper than an entry in the kernel's vector.
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

    /// Drops what the kernel has taken from the front.
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

    mutating func removeAll() {
        self = OutputBuffer()
    }
}
