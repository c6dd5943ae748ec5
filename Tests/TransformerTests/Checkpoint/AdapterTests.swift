import Foundation
import Testing

@testable import Transformer

@Suite("A folder with an adapter")
struct AdapterTests {
    private static let configuration = """
        {"peft_type": "LORA", "r": 4, "base_model_name_or_path": "someone/base", "task_type": "CAUSAL_LM"}
        """

    private func refusal(_ folder: String) -> CheckpointError? {
        do {
            _ = try Checkpoint.loadDecoder(folder: folder)
            return nil
        } catch {
            return error as? CheckpointError
        }
    }

    @Test("is refused with its base's name and what to do, alone and beside a model")
    func configured() throws {
        let beside = try CheckpointScratch(copying: "gpt2").scratch
        let alone = try SafetensorsScratch()
        for scratch in [beside, alone] {
            try scratch.write(Self.configuration.utf8, as: "adapter_config.json")
            let error = try #require(refusal(scratch.folder))
            #expect(
                error
                    == .adapter(
                        folder: scratch.folder, file: "adapter_config.json", kind: "LORA", base: "someone/base"))
            #expect(error.description.contains("an adapter (LORA) of \"someone/base\""))
            #expect(error.description.contains("merge_and_unload()"))
            #expect(throws: error) { try Checkpoint(folder: scratch.folder) }
        }
    }

    @Test(
        "is refused by its weights, and whatever its configuration says", arguments: ["", "[1]", "{\"peft_type\": 3}"])
    func unconfigured(configuration: String) throws {
        let scratch = try CheckpointScratch(copying: "gpt2").scratch
        let weights = try scratch.write([1, 2, 3], as: "adapter_model.safetensors")
        #expect(
            refusal(scratch.folder)
                == .adapter(folder: scratch.folder, file: "adapter_model.safetensors", kind: nil, base: nil))
        try FileManager.default.removeItem(atPath: weights)
        #expect(refusal(scratch.folder) == nil)
        try scratch.write(configuration.utf8, as: "adapter_config.json")
        #expect(
            refusal(scratch.folder)
                == .adapter(folder: scratch.folder, file: "adapter_config.json", kind: nil, base: nil))
    }

    @Test("as a GGUF file is refused by its type")
    func gguf() {
        var builder = GGUFBuilder()
        builder.add("general.type", "adapter")
        builder.add("general.architecture", "llama")
        let error = ggufError { try GGUFCheckpoint(file: builder.file()) }
        #expect(error?.description.contains("the type \"adapter\"") == true)
        #expect(error?.description.contains("llama-export-lora") == true)
    }
}
