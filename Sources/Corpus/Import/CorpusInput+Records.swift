extension CorpusInput {
    /// Reads the input's documents one after the other, without a corpus to put them in.
    ///
    /// - Throws: ``CorpusImportError`` at the first that cannot be used, or what the body threw.
    public func forEachRecord(_ body: (CorpusRecord) throws -> Void) throws {
        var reader = try RecordReader(self)
        while let raw = try reader.next() { try body(CorpusRecord(raw)) }
    }
}
