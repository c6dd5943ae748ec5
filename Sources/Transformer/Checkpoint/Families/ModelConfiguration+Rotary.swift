extension ModelConfiguration {
    /// The fields from which a family reads its rotary positions.
    struct RotaryFields {
        /// Fields of the base, besides `rope_theta` in `rope_parameters`.
        var bases = ["rope_theta"]
        var defaultBase = 10_000.0
        /// Fields of the share of a head that is rotated, besides `partial_rotary_factor` in `rope_parameters`; empty if all of it is.
        var shares: [String] = []
        var defaultShare = 1.0
    }

    /// The number in a field of some object.
    private struct Reading {
        let field: String
        let value: Double
    }

    /// Rotary positions, in the spelling of transformers 5 (`rope_parameters`) or of transformers 4. If both are present, they must agree.
    ///
    /// - Parameters:
    ///   - layerType: The kind of layers, if each kind has its own parameters.
    ///   - scales: Whether `rope_scaling` applies.
    func rotary(
        headWidth: Int, _ fields: RotaryFields = RotaryFields(), layerType: String? = nil, scales: Bool = true
    ) throws -> RotaryEmbedding {
        let objects = try rotaryObjects(layerType: layerType, scales: scales)
        let bases =
            try objects.compactMap { try $0.reading("rope_theta") } + fields.bases.compactMap { try reading($0) }
        let base = try agreed(bases) ?? fields.defaultBase
        guard base > 0 else { throw malformed("rope_theta", expected: "a positive number", found: "\(base)") }
        let width = try rotaryWidth(headWidth: headWidth, fields, objects)
        let context = try reading("original_max_position_embeddings")
        let found = try objects.map { object in
            RotaryEmbedding(
                base: base, width: width,
                scaling: try object.rotaryScaling(
                    contextLength: try dimension("max_position_embeddings", default: 2_048), originalContext: context))
        }
        if let first = found.first, let last = found.last, first.frequencies != last.frequencies {
            throw CheckpointError.contradiction(
                field: objects[0].name, found: try objects[0].shownScaling(), other: objects[1].name,
                otherFound: try objects[1].shownScaling())
        }
        return found.first ?? RotaryEmbedding(base: base, width: width)
    }

    /// `rope_parameters` (or its object for one kind of layers) and `rope_scaling`, if they are present.
    private func rotaryObjects(layerType: String?, scales: Bool) throws -> [ModelConfiguration] {
        var objects: [ModelConfiguration] = []
        if let parameters = try object("rope_parameters") {
            guard let layerType else { return try [parameters] + scalings(scales) }
            try parameters.refuseFields(besides: ["full_attention", "sliding_attention"])
            if let own = try parameters.object(layerType) { objects.append(own) }
        }
        return try objects + scalings(scales)
    }

    private func scalings(_ scales: Bool) throws -> [ModelConfiguration] {
        guard scales, let scaling = try object("rope_scaling") else { return [] }
        return [scaling]
    }

    private func reading(_ name: String) throws -> Reading? {
        try number(name).map { Reading(field: qualified(name), value: $0) }
    }

    /// The common value of all readings; nil if there are none.
    private func agreed(_ readings: [Reading]) throws -> Double? {
        guard let first = readings.first else { return nil }
        if let other = readings.first(where: { $0.value != first.value }) {
            throw CheckpointError.contradiction(
                field: first.field, found: "\(first.value)", other: other.field, otherFound: "\(other.value)")
        }
        return first.value
    }

    private func rotaryWidth(
        headWidth: Int, _ fields: RotaryFields, _ objects: [ModelConfiguration]
    ) throws -> Int {
        let inObjects = try objects.compactMap { try $0.reading("partial_rotary_factor") }
        if fields.shares.isEmpty {
            guard let other = inObjects.first(where: { $0.value != 1 }) else {
                return try evenWidth(of: headWidth, share: 1, field: nil)
            }
            throw CheckpointError.unsupportedOption(field: other.field, found: "\(other.value)", supported: "1")
        }
        let share = try agreed(inObjects + fields.shares.compactMap { try reading($0) }) ?? fields.defaultShare
        return try evenWidth(of: headWidth, share: share, field: fields.shares.first)
    }

    private func evenWidth(of headWidth: Int, share: Double, field: String?) throws -> Int {
        let field = field ?? "partial_rotary_factor"
        guard share > 0, share <= 1 else {
            throw malformed(field, expected: "a number above 0 and up to 1", found: "\(share)")
        }
        let width = Int(Double(headWidth) * share)
        guard width % 2 == 0, width > 0 else {
            throw malformed(
                share == 1 ? "head_dim" : field,
                expected: share == 1
                    ? "an even number, as rotary positions rotate pairs"
                    : "a share of the head width (\(headWidth)) that is an even number",
                found: share == 1 ? "\(width)" : "\(share)")
        }
        return width
    }

    /// Reads `rope_parameters` or `rope_scaling`.
    ///
    /// - Parameters:
    ///   - contextLength: The original context if no field gives it.
    ///   - originalContext: The original context from outside of the object.
    private func rotaryScaling(contextLength: Int, originalContext: Reading?) throws -> RotaryEmbedding.Scaling {
        for field in ["rope_type", "type"] { try require(field, oneOf: ["default", "linear", "llama3"]) }
        if let type = try string("type"), let kind = try string("rope_type"), type != kind {
            throw CheckpointError.contradiction(
                field: qualified("rope_type"), found: "\"\(kind)\"", other: qualified("type"), otherFound: "\"\(type)\""
            )
        }
        let kind = try rotaryKind()
        try refuseFields(
            besides: ["rope_type", "type", "rope_theta", "partial_rotary_factor", "original_max_position_embeddings"]
                + (kind == "default" ? [] : ["factor"])
                + (kind == "llama3" ? ["low_freq_factor", "high_freq_factor"] : []))
        switch kind {
        case "linear": return .linear(factor: try required("factor"))
        case "llama3":
            let low = try required("low_freq_factor")
            let high = try required("high_freq_factor")
            guard high > low else {
                throw malformed("high_freq_factor", expected: "more than low_freq_factor (\(low))", found: "\(high)")
            }
            let factor = try required("factor")
            let original = try dimension("original_max_position_embeddings", default: contextLength)
            let readings = [try reading("original_max_position_embeddings"), originalContext].compactMap { $0 }
            return .llama3(
                factor: factor, lowFrequencyFactor: low, highFrequencyFactor: high,
                originalContext: try agreed(readings).flatMap { Int(exactly: $0) } ?? original)
        default: return .none
        }
    }

    private func rotaryKind() throws -> String { try string("rope_type") ?? string("type") ?? "default" }

    private func shownScaling() throws -> String {
        try number("factor").map { "\(try rotaryKind()) with the factor \($0)" } ?? rotaryKind()
    }

    private func required(_ name: String) throws -> Double {
        guard let value = try positive(name) else { throw malformed(name, expected: "a positive number") }
        return Double(value)
    }
}
