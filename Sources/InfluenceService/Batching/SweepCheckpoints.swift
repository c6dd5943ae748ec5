import Attribution
import Foundation
import Logging

/// The folder with the checkpoints of unfinished sweeps, each named after its sweep.
struct SweepCheckpoints: Sendable {
    let folder: URL
    /// How often new scores are written.
    let interval: Duration
    let logger: Logger

    func open(_ sweep: String) -> CheckpointFile {
        do {
            try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        } catch {
            logger.error("the folder for checkpoints cannot be created", metadata: ["error": "\(error)"])
        }
        let logger = logger
        let file = CheckpointFile(url: url(of: sweep), interval: interval) { event in
            switch event {
            case .foreign(let sequences):
                logger.notice(
                    "the checkpoint belongs to other queries, another model or other factors: the sweep starts from scratch",
                    metadata: ["batch_id": "\(sweep)", "sequences": "\(sequences)"])
            case .cannotWrite(let reason):
                logger.error(
                    "the checkpoint cannot be written: the sweep continues without one",
                    metadata: ["batch_id": "\(sweep)", "reason": "\(reason)"])
            }
        }
        if file.foundCount == 0, bytes(of: sweep) > 0 {
            logger.warning(
                "the checkpoint cannot be read: the sweep starts from scratch",
                metadata: ["batch_id": "\(sweep)"])
        }
        if file.foundCount > 0 {
            logger.notice(
                "sweep resumed from its checkpoint",
                metadata: ["batch_id": "\(sweep)", "sequences": "\(file.foundCount)"])
        }
        return file
    }

    /// The length of a sweep's checkpoint; 0 if there is none or it cannot be read, in which case its growth does not count in the sweep's
    /// favour.
    func bytes(of sweep: String) -> Int {
        let attributes = try? FileManager.default.attributesOfItem(atPath: url(of: sweep).path)
        return (attributes?[.size] as? NSNumber)?.intValue ?? 0
    }

    /// Removes the checkpoints of all other sweeps.
    func keepOnly(_ sweeps: Set<String>) {
        guard FileManager.default.fileExists(atPath: folder.path) else { return }
        do {
            let files = try FileManager.default.contentsOfDirectory(at: folder, includingPropertiesForKeys: nil)
            for file in files where !sweeps.contains(file.deletingPathExtension().lastPathComponent) {
                try FileManager.default.removeItem(at: file)
            }
        } catch {
            logger.warning("checkpoints of ended sweeps could not be removed", metadata: ["error": "\(error)"])
        }
    }

    private func url(of sweep: String) -> URL { folder.appending(path: "\(sweep).scores") }
}
