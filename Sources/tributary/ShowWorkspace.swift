import ArgumentParser

/// `tributary workspace`: where a model's workspace is, for scripts.
struct ShowWorkspace: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "workspace", abstract: "Print the folder of a model's workspace.", shouldDisplay: false)

    @OptionGroup var location: WorkspaceOptions

    func run() throws {
        let (folder, _) = try Workspace.place(of: ModelSource(path: location.model), folder: location.workspace)
        print(folder.path)
    }
}
