import LinearAlgebra

/// Where a decoder's parameters come from, under the names that Hugging Face transformers gives them.
///
/// What a file calls its tensors, and how it stores their values, is its own affair: a source answers in one spelling, so that
/// a family is described once for all formats.
public protocol TensorSource: Sendable {
    /// What holds the tensors, as messages name it: a folder or a file.
    var place: String { get }

    /// The names of all tensors that there are, sorted.
    var names: [String] { get }

    func contains(_ name: String) -> Bool

    /// What the files themselves call a tensor.
    func storedName(of name: String) -> String

    /// A tensor's dimensions, the slowest first, or `nil` if there is none of this name.
    func shape(of name: String) -> [Int]?

    /// A tensor of shape [rows, columns], or of shape [columns] for one row, as Float32, finite throughout.
    ///
    /// - Throws: The error of the format, naming the tensor and its file.
    func matrix(named name: String, rows: Int, columns: Int) throws -> Matrix
}

extension TensorSource {
    public func storedName(of name: String) -> String { name }
}
