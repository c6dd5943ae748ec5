import Attribution
import Foundation
import Testing

@testable import HTTP
@testable import InfluenceService

@Suite("Every kind of problem", .timeLimit(.minutes(30)))
struct ProblemKindTests {
    /// The package's folder.
    private let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .deletingLastPathComponent()

    @Test("is explained under its type")
    func explained() async throws {
        try await TestServer.run { server in
            #expect(try await server.client.get("/problems").count("problems") == ProblemKind.all.count)
            for kind in ProblemKind.all {
                let reply = try await server.client.get(kind.type)
                #expect(reply.status == 200)
                #expect(try reply.string("type") == kind.type)
                #expect(try reply.string("title") == kind.title)
                #expect(try reply.integer("status") == kind.status.code)
                #expect(try reply.string("explanation")?.hasSuffix(".") == true)
            }
            try await server.client.get("/problems/nothing").expectProblem("unknown-problem", status: 404)
        }
    }

    @Test("has a name of its own, and is a problem")
    func names() {
        #expect(Set(ProblemKind.all.map(\.name)).count == ProblemKind.all.count)
        for kind in ProblemKind.all {
            #expect(kind.name.allSatisfy { $0.isLowercase || $0 == "-" })
            #expect((400..<600).contains(kind.status.code))
        }
    }

    @Test("that the sources make is listed, and none is made by the way")
    func sources() throws {
        var made: Set<String> = []
        for module in ["HTTP", "InfluenceService"] {
            let files = FileManager.default.enumerator(
                at: folder.appending(path: "Sources/\(module)"), includingPropertiesForKeys: nil)
            while let file = files?.nextObject() as? URL {
                guard file.pathExtension == "swift" else { continue }
                let text = try String(contentsOf: file, encoding: .utf8)
                #expect(!text.contains("type: \"/problems/"), "\(file.lastPathComponent)")
                for match in text.matches(of: /ProblemKind\(\s*"([a-z-]+)"/) { made.insert(String(match.1)) }
            }
        }
        #expect(made == Set(ProblemKind.all.map(\.name)))
    }

    @Test("is in the documentation, with its status")
    func documentation() throws {
        let article = folder.appending(path: "Sources/InfluenceService/InfluenceService.docc/HTTPAPI.md")
        let lines = try String(contentsOf: article, encoding: .utf8).split(separator: "\n")
        let rows = lines.filter { $0.hasPrefix("| `/problems/") }
        let described = rows.flatMap { row -> [String] in
            let cells = row.split(separator: "|").map { $0.trimmingCharacters(in: .whitespaces) }
            return cells[0].split(separator: ",").map { name in
                let name = name.trimmingCharacters(in: .whitespaces).trimmingCharacters(in: .init(charactersIn: "`"))
                return "\(name.replacing("/problems/", with: "")) \(cells[1])"
            }
        }
        #expect(described.sorted() == ProblemKind.all.map { "\($0.name) \($0.status.code)" }.sorted())
    }

    @Test("of requests that no route sees has the status of its rejection")
    func rejections() {
        let rejections: [RequestRejection] = [
            .malformed("m"), .targetTooLong(limit: 1), .headerTooLarge(limit: 1), .tooManyFields(limit: 1),
            .bodyTooLarge(limit: 1), .unknownExpectation("e"), .misdirected(scheme: "a", expected: "b"),
            .unknownTransferCoding("c"), .tunnel, .unsupportedVersion("v"), .timedOut(.header), .overloaded,
            .tooManyConnections(limit: 1),
        ]
        for rejection in rejections { #expect(Problem(rejection).status == rejection.status) }
    }
}
