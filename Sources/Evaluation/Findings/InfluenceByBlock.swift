/// In which blocks the influence on queries of one kind lies.
public struct InfluenceByBlock: Sendable, Codable, Equatable {
    /// Such as "memorised".
    public var kind: String
    public var queries: Int
    /// Of the positive influence, one a block from the lowest; the mean over queries, the interval over queries drawn anew.
    public var shares: [Estimate]
    /// Where the middle of it lies, from 0 at the lowest block to 1 at the highest.
    public var meanDepth: Estimate?

    enum CodingKeys: String, CodingKey {
        case kind, queries, shares
        case meanDepth = "mean_depth"
    }

    /// - Parameter shares: Of each query, its kind and a share a block.
    static func byKind(_ shares: [(kind: String, shares: [Double])], seed: UInt64) -> [InfluenceByBlock] {
        var order: [String] = []
        for entry in shares where !order.contains(entry.kind) { order.append(entry.kind) }
        let bootstrap = Bootstrap(seed: seed)
        return order.map { kind in
            let own = shares.filter { $0.kind == kind }.map(\.shares)
            let blocks = own.first?.count ?? 0
            let depths = own.map { shares in
                shares.enumerated().reduce(0) { $0 + Double($1.offset) * $1.element } / Double(max(blocks - 1, 1))
            }
            return InfluenceByBlock(
                kind: kind, queries: own.count,
                shares: (0..<blocks).compactMap { block in bootstrap.mean(of: own.map { $0[block] }) },
                meanDepth: bootstrap.mean(of: depths))
        }
    }
}

/// The block that a layer belongs to.
enum BlockNumber {
    /// The first number in a layer's name, as in "model.layers.3.mlp.up_proj".
    static func of(_ name: String) -> Int? { name.split(separator: ".").lazy.compactMap { Int($0) }.first }
}
