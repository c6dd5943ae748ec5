import Foundation

/// Why an adapter cannot be used. Folders are paths as they were given; files are names in the adapter's folder.
public enum AdapterError: Error, Equatable, CustomStringConvertible, LocalizedError {
    /// The model's folder has an adapter's files, and they are not those of the adapter that was named.
    case besideModel(folder: String, file: String)
    case missingFile(String, folder: String)
    /// The weights are a pickle, which can run code when it is read.
    case pickle(folder: String)
    /// An adapter in the format of llama.cpp.
    case gguf(path: String)
    case unreadable(folder: String, reason: String)
    case malformed(field: String, folder: String, expected: String, found: String)
    /// A kind of adapter, or an option, whose computation is another.
    case unsupported(field: String, folder: String, found: String, reason: String)
    case pattern(String, field: String, folder: String, problem: String)

    /// The configuration does not name a base.
    case unnamedBase(folder: String)
    case missingBase(String, folder: String)
    case baseIsAdapter(String, folder: String)

    case unpaired(tensor: String, missing: String, folder: String)
    case repeated(tensors: [String], folder: String)
    case otherRank(tensor: String, folder: String, found: [Int], rank: Int)
    /// `expected` is the shape that the base asks for, -1 for any rank.
    case wrongShape(tensor: String, folder: String, found: [Int], expected: [Int], base: String)
    case unknownTensors([String], folder: String, base: String, module: String)
    case biasWithoutBase(tensor: String, folder: String)
    case missingBiases(folder: String, bias: String)
    case tiedBase(tensors: [String], folder: String)
    case notFinite(module: String, folder: String)

    public var errorDescription: String? { description }

    public var description: String {
        switch self {
        case .besideModel(let folder, let file):
            "\(folder): \(file) shows that an adapter is beside this model, and it is not the one given. Give the model and its "
                + "adapter in folders of their own: --model BASE --adapter FOLDER."
        case .missingFile(let file, let folder):
            "\(folder): there is no \(file). The folder of a PEFT adapter has adapter_config.json and adapter_model.safetensors."
        case .pickle(let folder):
            "\(folder): adapter_model.bin is a pickle, which can run code when it is read, and is not read. Convert it where you trust "
                + "it: safetensors.torch.save_file(torch.load(\"adapter_model.bin\", weights_only=True), \"adapter_model.safetensors\")."
        case .gguf(let path):
            "\(path): adapters in GGUF files are not read. Give the folder of the PEFT adapter that it was made from, or merge it into its "
                + "model with llama.cpp's \"llama-export-lora\"."
        case .unreadable(let folder, let reason): "\(folder): adapter_config.json: \(reason)"
        case .malformed(let field, let folder, let expected, let found):
            "\(folder): adapter_config.json: \(field): expected \(expected), found \(found)."
        case .unsupported(let field, let folder, let found, let reason):
            "\(folder): adapter_config.json: \(field) is \(found): \(reason)"
        case .pattern(let pattern, let field, let folder, let problem):
            "\(folder): adapter_config.json: \(field): the pattern \(SafetensorsError.quoted(pattern)) \(problem). Write the "
                + "names of the modules instead."
        case .unnamedBase(let folder):
            "\(folder): this is an adapter, and its adapter_config.json does not name its base (base_model_name_or_path). Give both: "
                + "--model BASE --adapter \(folder)."
        case .missingBase(let base, let folder):
            "\(folder): this is an adapter of \(SafetensorsError.quoted(base)), and there is no such folder. Nothing is downloaded: "
                + "give the folder of that model, --model BASE --adapter \(folder)."
        case .baseIsAdapter(let base, let folder):
            "\(folder): the base that adapter_config.json names, \(SafetensorsError.quoted(base)), is an adapter itself. Merge that one "
                + "into its own base with PEFT's merge_and_unload() first."
        case .unpaired(let tensor, let missing, let folder):
            "\(folder): there is \(SafetensorsError.quoted(tensor)), and no \(SafetensorsError.quoted(missing)): the adapter is "
                + "incomplete. Save it again with PEFT's save_pretrained()."
        case .repeated(let tensors, let folder):
            "\(folder): \(Self.listed(tensors)) stand for one matrix: the file has several adapters. Save one of them."
        case .otherRank(let tensor, let folder, let found, let rank):
            "\(folder): the tensor \(SafetensorsError.quoted(tensor)) is \(found), and adapter_config.json says that its rank is "
                + "\(rank) (r, rank_pattern). The two files are not of one adapter."
        case .wrongShape(let tensor, let folder, let found, let expected, let base):
            "\(folder): the tensor \(SafetensorsError.quoted(tensor)) is \(found), and the base \(base) asks for "
                + "\(Self.shown(expected)). The adapter is of another model."
        case .unknownTensors(let tensors, let folder, let base, let module):
            "\(folder): no module of the base \(base) takes \(Self.listed(tensors)); its modules have names such as "
                + "\(SafetensorsError.quoted(module)). The adapter is of another model, or of a kind that is not supported."
        case .biasWithoutBase(let tensor, let folder):
            "\(folder): the tensor \(SafetensorsError.quoted(tensor)) is a bias (lora_bias), and the base has none in this module."
        case .missingBiases(let folder, let bias):
            "\(folder): adapter_config.json says that biases were trained (bias is \"\(bias)\"), and adapter_model.safetensors has "
                + "none. Save the adapter again with PEFT's save_pretrained()."
        case .tiedBase(let tensors, let folder):
            "\(folder): the base's output head is its token embedding, and the adapter replaces the two by different values "
                + "(\(Self.listed(tensors))) without keeping them apart (modules_to_save). Merge it with PEFT's merge_and_unload()."
        case .notFinite(let module, let folder):
            "\(folder): with this adapter, the weight of \(SafetensorsError.quoted(module)) is not finite. The adapter is damaged, "
                + "or its training diverged."
        }
    }

    private static func listed(_ names: [String]) -> String {
        let shown = names.prefix(3).map(SafetensorsError.quoted).joined(separator: ", ")
        return names.count > 3 ? "\(shown) and \(names.count - 3) more" : shown
    }

    private static func shown(_ shape: [Int]) -> String {
        "[\(shape.map { $0 < 0 ? "rank" : "\($0)" }.joined(separator: ", "))]"
    }
}
