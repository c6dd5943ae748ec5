import HTTP
import HTTPTypes

// The pages for people, beside the calls for programs.
extension API {
    /// The root, where browsers get the dashboard and all others the list of calls.
    ///
    /// - Parameter list: What others get.
    func rootOperation(_ list: @escaping @Sendable () throws -> Response) -> Operation {
        let html = (mediaType: "text/html", schema: Schema.string("The page."))
        var answer = Operation.Answer.json("The calls, or the dashboard, as Accept asks.", .callList)
        if dashboard != nil { answer.content.forms.append(html) }
        return Operation(
            .get, "/", id: "listCalls", tag: .service, scope: nil, "List the calls; show the dashboard to browsers",
            answers: [answer]
        ) { request in
            let types = ["application/json", "text/html"]
            guard let dashboard,
                ContentNegotiation.choose(request.headers[.accept], from: types) == "text/html"
            else {
                var response = try list()
                response.headers[.vary] = "Accept"
                return response
            }
            return dashboard.pageResponse(to: request)
        }
    }

    var dashboardOperations: [Operation] {
        guard let dashboard else { return [] }
        let forms = Set(dashboard.parts.values.map(\.mediaType)).sorted().map {
            (mediaType: $0, schema: Schema.string("The file."))
        }
        return [
            Operation(
                .get, "/dashboard/{version}/{name}", id: "getDashboardPart", tag: .service, scope: nil,
                "Get a part of the dashboard",
                parameters: [
                    .path("version", "Names the contents; the page has it.", .string("Hexadecimal digits.")),
                    .path("name", "The part's file name.", .string("A name.", example: "app.js")),
                ],
                answers: [.init(status: .ok, content: .init(description: "The part.", forms: forms))],
                problems: [.unknownRoute]
            ) { request in
                guard let response = dashboard.partResponse(to: request) else {
                    throw Problem.unknownRoute(path: request.path)
                }
                return response
            }
        ]
    }
}

extension Dashboard {
    /// What the pages may do: fetch from this server, and run nothing but the dashboard's own modules.
    static let contentSecurityPolicy = [
        "default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "img-src 'self' data:",
        "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
    ].joined(separator: "; ")

    /// The page. It is asked for anew each time, and answered with 304 while it is the same.
    func pageResponse(to request: Request) -> Response {
        let headers: HTTPFields = [
            .cacheControl: "no-cache", .vary: "Accept", .contentSecurityPolicy: Self.contentSecurityPolicy,
            .xContentTypeOptions: "nosniff",
        ]
        return response(page, to: request, headers)
    }

    /// A part, for good: its address names its contents. Nil where there is none of the name, or of the version.
    func partResponse(to request: Request) -> Response? {
        guard request.parameters["version"] == version, let part = request.parameters["name"].flatMap({ parts[$0] })
        else { return nil }
        return response(
            part, to: request,
            [
                .cacheControl: "public, max-age=31536000, immutable", .xContentTypeOptions: "nosniff",
                // An image that is opened by itself is a document of its own.
                .contentSecurityPolicy: Self.contentSecurityPolicy,
            ])
    }

    private func response(_ part: Part, to request: Request, _ headers: HTTPFields) -> Response {
        let tag = EntityTag(version)
        if let response = request.notModified(tag, headers: headers) { return response }
        var headers = headers
        headers[.eTag] = tag.description
        return Response(contentType: part.contentType, body: part.bytes, headers: headers)
    }
}
