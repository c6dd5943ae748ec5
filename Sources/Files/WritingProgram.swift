/// The program that writes the files, as it names itself in them.
public enum WritingProgram {
    public static let name = "tributary"
    /// The version of all that the program is: its command line, its service and its files.
    public static let version = "1.0.0"
    /// Name and version, as files record them.
    public static let signature = "\(name) \(version)"
}
