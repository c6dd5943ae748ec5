/// Why a checkpoint folder cannot be used.
public enum CheckpointError: Error, Equatable, CustomStringConvertible {
    case missingFile(String, folder: String)
    case malformedConfiguration(field: String, expected: String, found: String)
    case unsupportedArchitecture(found: String, supported: [String])
    case unsupportedOption(field: String, found: String, supported: String)
    case unsupportedPart(String, field: String, found: String)
    case missingTensor(String, folder: String)
    case vocabularyMismatch(tokenizer: Int, model: Int)

    public var description: String {
        switch self {
        case .missingFile(let file, let folder):
            "\(folder): there is no \(file). A checkpoint folder has config.json, tokenizer.json and model.safetensors "
                + "(or its shards with model.safetensors.index.json)."
        case .malformedConfiguration(let field, let expected, let found):
            "config.json: \(field): expected \(expected), found \(found)."
        case .unsupportedArchitecture(let found, let supported):
            "config.json: model_type is \"\(found)\"; supported are \(supported.joined(separator: ", "))."
        case .unsupportedOption(let field, let found, let supported):
            "config.json: \(field) is \(found); supported is \(supported)."
        case .unsupportedPart(let part, let field, let found):
            "config.json: \(field) is \(found): the model needs \(part), which is not supported."
        case .missingTensor(let name, let folder):
            "\(folder): there is no tensor \"\(name)\", which a model of this description has. The files are not of one model, or one "
                + "of them is incomplete: download them again."
        case .vocabularyMismatch(let tokenizer, let model):
            "tokenizer.json has ids up to \(tokenizer - 1), but the model's vocabulary ends at \(model - 1): they are not of "
                + "one model."
        }
    }
}
