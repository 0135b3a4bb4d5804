internal import Foundation
internal import GRDB
public import Jobs

/// Pages of jobs.
extension SQLiteJobStore {
    /// A page of jobs, newest first, by the index on names, states, owners, priorities or findings.
    public func jobs(_ filter: JobFilter) throws(JobStoreError) -> [Job] {
        // A page for each state: an index has the jobs of one state by their age, not those of several.
        let pages = Self.oneByOne(filter).map(Self.page)
        let found = try read { db in try pages.flatMap { try JobRow.fetch(db, $0.sql, $0.values).map(\.job) } }
        guard pages.count > 1 else { return found }
        return Array(found.sorted { $0.id > $1.id }.prefix(max(0, filter.limit)))
    }

    private static func oneByOne(_ filter: JobFilter) -> [JobFilter] {
        guard filter.states.count > 1 else { return [filter] }
        return filter.states.map { state in
            var one = filter
            one.states = [state]
            return one
        }
    }

    /// What selects a page of jobs of one state, or of all.
    static func page(_ filter: JobFilter) -> (sql: String, values: StatementArguments) {
        var conditions: [String] = []
        var arguments: [(any DatabaseValueConvertible)?] = []
        func add(_ condition: String, _ value: (any DatabaseValueConvertible)?) {
            guard let value else { return }
            conditions.append(condition)
            arguments.append(value)
        }
        add("owner = ?", filter.owner)
        add("state = ?", filter.states.first?.rawValue)
        add("priority = ?", filter.priority?.rawValue)
        add("id < ?", filter.before?.description)
        // Names hold the time: no column of times, and no index on it, is needed.
        add("id >= ?", filter.createdFrom.map { JobID.bound(at: $0).description })
        add("id < ?", filter.createdBefore.map { JobID.bound(at: $0).description })
        if let needsReview = filter.needsReview {
            conditions.append(needsReview ? hasDoubts : "NOT \(hasDoubts)")
        }
        arguments.append(max(0, filter.limit))
        let clause = conditions.isEmpty ? "" : "WHERE " + conditions.joined(separator: " AND ")
        return ("SELECT * FROM job \(clause) ORDER BY id DESC LIMIT ?", StatementArguments(arguments))
    }
}

/// Whether a job has a finding that says that its result may be wrong. The same text, byte by byte, is that of an index: it
/// must not be changed.
let hasDoubts = """
    (instr(coalesce(result, options), CAST('"severity":"warning"' AS BLOB)) > 0 \
    OR instr(coalesce(result, options), CAST('"severity":"error"' AS BLOB)) > 0)
    """
