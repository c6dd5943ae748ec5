/// The schemas that the document names.
enum SchemaName: String, Sendable, CaseIterable {
    case influenceRequest = "InfluenceRequest"
    case query = "Query"
    case candidateSelection = "CandidateSelection"
    case queryResults = "QueryResults"
    case queryResult = "QueryResult"
    case resultList = "ResultList"
    case failedQuery = "FailedQuery"
    case scoreDistribution = "ScoreDistribution"
    case powerLaw = "PowerLaw"
    case sourceInfluence = "SourceInfluence"
    case prefilterBias = "PrefilterBias"
    case breakdown = "Breakdown"
    case completionSpan = "CompletionSpan"
    case understoodQuery = "UnderstoodQuery"
    case continuation = "Continuation"
    case timings = "Timings"
    case method = "Method"
    case layerScores = "LayerScores"
    case tokenScores = "TokenScores"
    case outputTokenScores = "OutputTokenScores"
    case scoresRequest = "ScoresRequest"
    case scores = "Scores"
    case queryToken = "QueryToken"
    case influentialSequence = "InfluentialSequence"
    case job = "Job"
    case jobTimings = "JobTimings"
    case jobList = "JobList"
    case event = "Event"
    case sequence = "Sequence"
    case sequenceList = "SequenceList"
    case searchResult = "SearchResult"
    case sequenceRecord = "SequenceRecord"
    case ingestion = "Ingestion"
    case corpusStatistics = "CorpusStatistics"
    case completionRequest = "CompletionRequest"
    case completion = "Completion"
    case model = "Model"
    case health = "Health"
    case callList = "CallList"
    case problem = "Problem"
    case embeddedProblem = "EmbeddedProblem"
    case problemKind = "ProblemKind"
    case problemKindList = "ProblemKindList"

    /// With the defaults and limits of the default configuration.
    var schema: Schema { schema(under: Configuration()) }

    func schema(under configuration: Configuration) -> Schema {
        switch self {
        case .influenceRequest: .influenceRequest(under: configuration)
        case .query: .query(under: configuration)
        case .candidateSelection: .candidateSelection(under: configuration)
        case .queryResults: .queryResults
        case .queryResult: .queryResult
        case .resultList: .resultList
        case .failedQuery: .failedQuery
        case .scoreDistribution: .scoreDistribution
        case .powerLaw: .powerLaw
        case .sourceInfluence: .sourceInfluence
        case .prefilterBias: .prefilterBias
        case .breakdown: .breakdown
        case .completionSpan: .completionSpan
        case .understoodQuery: .understoodQuery
        case .continuation: .continuation
        case .timings: .timings
        case .method: .method
        case .layerScores: .layerScores
        case .tokenScores: .tokenScores
        case .outputTokenScores: .outputTokenScores
        case .scoresRequest: .scoresRequest(under: configuration)
        case .scores: .scores
        case .queryToken: .queryToken
        case .influentialSequence: .influentialSequence
        case .job: .job
        case .jobTimings: .jobTimings
        case .jobList: .jobList
        case .event: .event
        case .sequence: .sequence
        case .sequenceList: .sequenceList
        case .searchResult: .searchResult
        case .sequenceRecord: .sequenceRecord
        case .ingestion: .ingestion
        case .corpusStatistics: .corpusStatistics
        case .completionRequest: .completionRequest
        case .completion: .completion
        case .model: .model
        case .health: .health
        case .callList: .callList
        case .problem: .problem
        case .embeddedProblem: .embeddedProblem
        case .problemKind: .problemKind
        case .problemKindList: .problemKindList
        }
    }
}
