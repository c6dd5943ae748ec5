import Files
import Transformer

/// Saves the state of a fit while it is under way, and takes up the state of one that was interrupted.
///
/// A state is of use only if the fit is interrupted: one that cannot be saved, or taken up, costs nothing but itself.
struct FitStateKeeper {
    private let state: FitState?
    /// Bytes that the factors will take on the same disk.
    private let factorBytes: Int
    private var hasWarned: Set<FitWarning.Kind> = []
    /// Whether there is a state of this fit on the disk.
    private(set) var isKept = false

    /// - Parameter state: `nil` to keep none.
    init(_ state: FitState?, factorBytes: Int) {
        self.state = state
        self.factorBytes = factorBytes
    }

    /// The state of this very fit, if there is one that can be used.
    ///
    /// - Parameter warn: Receives one warning of each kind in a fit, here and elsewhere.
    mutating func load(warn: (FitWarning) -> Void) -> FitState.Saved? {
        guard let state else { return nil }
        AtomicFile.removeLeftovers(of: state.path)
        switch state.load() {
        case .nothing: return nil
        case .state(let saved):
            isKept = true
            return saved
        case .ofAnotherFit: tell(.stateOfAnotherFit(path: state.path), warn)
        case .damaged: tell(.stateDamaged(path: state.path), warn)
        case .unreadable(let reason): tell(.stateUnreadable(path: state.path, reason: reason), warn)
        }
        return nil
    }

    /// Saves a state in place of the one before.
    ///
    /// While the fit goes on, a state may not take the space that the factors will need: they are what the fit is for. When
    /// the fit is interrupted, it may.
    ///
    /// - Parameter isLast: Whether the fit ends here.
    /// - Returns: Why it could not be saved; nil if it was, or if none is kept.
    @discardableResult
    mutating func save(
        _ contents: (FitState) -> SafetensorsWriter, isLast: Bool, warn: (FitWarning) -> Void
    ) -> String? {
        guard let state else { return nil }
        let writer = contents(state)
        do {
            let bytes = writer.byteCount
            if !isLast, let free = FileSystem.shortage(of: bytes, at: state.path, leaving: factorBytes) {
                throw FitWarning.noSpaceForState(path: state.path, needed: bytes + factorBytes, free: free)
            }
            try writer.write(to: state.path, checksum: true)
            isKept = true
            return nil
        } catch let warning as FitWarning {
            tell(warning, warn)
            return "\(warning)"
        } catch {
            tell(.stateNotSaved(path: state.path, reason: "\(error)"), warn)
            return "\(error)"
        }
    }

    private mutating func tell(_ warning: FitWarning, _ warn: (FitWarning) -> Void) {
        if hasWarned.insert(warning.kind).inserted { warn(warning) }
    }
}

/// What a fit has to say of its state while it goes on.
public enum FitWarning: Error, Equatable, CustomStringConvertible {
    case stateNotSaved(path: String, reason: String)
    case noSpaceForState(path: String, needed: Int, free: Int)
    case stateDamaged(path: String)
    case stateUnreadable(path: String, reason: String)
    case stateOfAnotherFit(path: String)

    enum Kind { case notSaved, noSpace, notUsed }

    var kind: Kind {
        switch self {
        case .stateNotSaved: .notSaved
        case .noSpaceForState: .noSpace
        case .stateDamaged, .stateUnreadable, .stateOfAnotherFit: .notUsed
        }
    }

    public var description: String {
        switch self {
        case .stateNotSaved(_, let reason):
            "the state of the fit cannot be saved: \(reason) The fit goes on, and tries again later."
        case .noSpaceForState(let path, let needed, let free):
            """
            \(path): the state of the fit is not saved, to leave space for the factors: both take \(needed / 1_000_000 + 1) MB, \
            and \(free / 1_000_000) MB are free. The fit goes on, and tries again later.
            """
        case .stateDamaged(let path):
            "\(path): the state of an interrupted fit is damaged: its content is not what was written. The fit starts again."
        case .stateUnreadable(let path, let reason):
            "\(path): the state of an interrupted fit cannot be read: \(reason) The fit starts again."
        case .stateOfAnotherFit(let path):
            """
            \(path): this is the state of another fit, with other options, another model or corpus, or of another version. It is \
            replaced.
            """
        }
    }
}
