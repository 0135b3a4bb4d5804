/// Something that the reader of a result should know.
public struct Finding: Codable, Equatable, Sendable {
    /// How much it matters.
    public enum Severity: String, Codable, Sendable {
        /// Worth knowing.
        case info
        /// The result may be wrong.
        case warning
        /// The result cannot be right.
        case error
    }

    /// A stable name for programs.
    public let code: String
    /// How much it matters.
    public let severity: Severity
    /// A sentence for people.
    public let message: String

    /// A finding.
    public init(code: String, severity: Severity, message: String) {
        self.code = code
        self.severity = severity
        self.message = message
    }
}

extension Sequence<Finding> {
    /// Whether a person should look at the result before it is used: one of them says that it may be wrong.
    public var needReview: Bool { contains { $0.severity != .info } }
}
