import Files
import Foundation
import GRDB

/// The training sequences of a model, in one SQLite file of its workspace.
///
/// A store belongs to one tokenization. Each document is stored once, however often it was imported, and is split into sequences
/// that never change afterwards; `CorpusImport` adds more.
///
/// Reads see the last committed state, and can run on any number of threads at the same time as each other and as a writer. Writes
/// are serialised. Other processes can read at the same time (the database is in WAL mode); if several write, they take turns. All
/// functions block: call them from a thread that is allowed to.
public final class CorpusStore: Sendable {
    /// The name of the corpus file in a workspace folder.
    public static let fileName = "corpus.sqlite"

    public let tokenization: CorpusTokenization
    /// The path of the corpus file.
    public let file: String

    let database: DatabasePool

    /// Opens the corpus of a workspace folder. Creates the folder and the corpus if they do not exist.
    ///
    /// - Throws: ``CorpusError/wrongTokenizer(file:recorded:given:)``,
    ///   ``CorpusError/wrongSequenceLength(file:recorded:given:)`` or ``CorpusError/wrongPrefix(file:recorded:given:)`` if the corpus was
    ///   made for another tokenization; ``CorpusError/sequenceLengthTooSmall(sequenceLength:prefixLength:)`` if the tokenization is
    ///   impossible; other ``CorpusError``s if the file cannot be used.
    public init(folder: URL, tokenization: CorpusTokenization) throws {
        let identity = tokenization.identity
        guard identity.pieceLength >= 1 else {
            throw CorpusError.sequenceLengthTooSmall(
                sequenceLength: identity.sequenceLength, prefixLength: identity.prefix.count)
        }
        let file = folder.appendingPathComponent(Self.fileName).path
        do {
            try FileSystem.makeFolder(at: folder.path)
        } catch {
            throw CorpusError.storage(file: folder.path, reason: "the folder cannot be created: \(error)")
        }
        self.tokenization = tokenization
        self.file = file
        do {
            database = try DatabasePool(path: file, configuration: Self.configuration)
            // GRDB opens in WAL mode with synchronous = NORMAL, which syncs only at checkpoints: a power failure could lose a commit
            // (sqlite.org/pragma.html#pragma_synchronous). An acknowledged commit must not be lost.
            try database.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
            try database.write { db in try Self.requireCorpus(db, file: file) }
            try CorpusSchema.migrator.migrate(database)
            try database.write { db in
                if let recorded = try CorpusTokenizationIdentity.fetch(db) {
                    try Self.requireEqual(recorded: recorded, given: identity, file: file)
                } else {
                    try identity.insert(db)
                }
            }
        } catch {
            throw CorpusError.mapped(error, file: file)
        }
    }

    /// The tokenization and the size of the corpus of a workspace folder, without opening it for use. A read-only folder is enough.
    ///
    /// - Throws: ``CorpusError/missing(file:)`` if the folder has no corpus; other ``CorpusError``s if it cannot be read.
    public static func inspect(
        folder: URL
    ) throws -> (tokenization: CorpusTokenizationIdentity, statistics: CorpusStatistics) {
        let paths = [folder.path, folder.appendingPathComponent(fileName).path]
        return try inspect(folder: folder, isWritable: paths.allSatisfy(FileManager.default.isWritableFile))
    }

    static func inspect(
        folder: URL, isWritable: Bool
    ) throws -> (tokenization: CorpusTokenizationIdentity, statistics: CorpusStatistics) {
        let file = folder.appendingPathComponent(fileName).path
        guard FileManager.default.fileExists(atPath: file) else { throw CorpusError.missing(file: file) }
        do {
            return try openForInspection(file, isWritable: isWritable).read { db in
                try requireCorpus(db, file: file)
                guard
                    try db.tableExists("corpus"),
                    let tokenization = try CorpusTokenizationIdentity.fetch(db)
                else { throw CorpusError.missing(file: file) }
                return (tokenization, try CorpusState.fetch(db).statistics)
            }
        } catch {
            throw CorpusError.mapped(error, file: file)
        }
    }

    private static func openForInspection(_ file: String, isWritable: Bool) throws -> DatabaseQueue {
        var configuration = configuration
        configuration.readonly = !isWritable
        // SQLite reads a database in WAL mode through a log and the log's index, which must exist or be created
        // (sqlite.org/wal.html#read_only_databases). Without a log, everything is in the database itself, and nobody is changing it: a
        // writer would have created the log.
        guard !isWritable, !FileManager.default.fileExists(atPath: file + "-wal") else {
            return try DatabaseQueue(path: file, configuration: configuration)
        }
        var location = URLComponents()
        (location.scheme, location.path) = ("file", file)
        location.queryItems = [URLQueryItem(name: "immutable", value: "1")]
        return try DatabaseQueue(path: location.string ?? file, configuration: configuration)
    }

    /// The size of the corpus, in constant time.
    public func statistics() throws -> CorpusStatistics {
        try read { db in try CorpusState.fetch(db).statistics }
    }

    /// A digest that identifies the contents of the corpus, as 64 hexadecimal digits, in constant time.
    ///
    /// The digest covers the texts and the tokenization, not the order of import, names, sources or metadata: two corpora with equal
    /// digests have the same sequences, perhaps numbered differently.
    public func digest() throws -> String {
        let state = try read { db in try CorpusState.fetch(db) }
        let identity = tokenization.identity
        let description = [
            "tributary corpus 1", identity.tokenizerDigest, String(identity.sequenceLength),
            identity.prefix.map(String.init).joined(separator: ","), String(state.statistics.documents),
            state.contentSum.bytes.hexadecimal,
        ].joined(separator: "\n")
        return ContentDigest.bytes(of: description).hexadecimal
    }

    /// The index of the corpus's tokens.
    public var termIndex: TermIndex { TermIndex(database: database, file: file) }

    /// Closes the file once all running reads and writes have ended. The store cannot be used afterwards.
    public func close() throws {
        do { try database.close() } catch { throw CorpusError.mapped(error, file: file) }
    }

    /// Runs `body` on one consistent state of the corpus.
    func read<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try database.read(body) } catch { throw CorpusError.mapped(error, file: file) }
    }

    /// Runs `body` in a transaction: everything it writes is kept, or nothing if it throws.
    func write<Value>(_ body: (Database) throws -> Value) throws -> Value {
        do { return try database.write(body) } catch { throw CorpusError.mapped(error, file: file) }
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "corpus"
        configuration.busyMode = .timeout(30)
        configuration.prepareDatabase { db in
            // Appending to the term index touches pages all over the index: they should stay in memory for a transaction.
            try db.execute(sql: "PRAGMA cache_size = -65536")
            try db.execute(sql: "PRAGMA journal_size_limit = 67108864")
        }
        return configuration
    }

    private static func requireCorpus(_ db: Database, file: String) throws {
        let applicationID = try Int.fetchOne(db, sql: "PRAGMA application_id")
        let isEmpty = try Int.fetchOne(db, sql: "SELECT COUNT(*) FROM sqlite_schema") == 0
        guard isEmpty || applicationID == CorpusSchema.applicationID else { throw CorpusError.notACorpus(file: file) }
        guard try !CorpusSchema.migrator.hasBeenSuperseded(db) else { throw CorpusError.newerFormat(file: file) }
    }

    private static func requireEqual(
        recorded: CorpusTokenizationIdentity, given: CorpusTokenizationIdentity, file: String
    ) throws {
        guard recorded.tokenizerDigest == given.tokenizerDigest else {
            throw CorpusError.wrongTokenizer(
                file: file, recorded: recorded.tokenizerDigest, given: given.tokenizerDigest)
        }
        guard recorded.sequenceLength == given.sequenceLength else {
            throw CorpusError.wrongSequenceLength(
                file: file, recorded: recorded.sequenceLength, given: given.sequenceLength)
        }
        guard recorded.prefix == given.prefix else {
            throw CorpusError.wrongPrefix(file: file, recorded: recorded.prefix, given: given.prefix)
        }
    }
}
