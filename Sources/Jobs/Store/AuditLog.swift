public import Foundation

/// Something that someone did, or tried to do.
public struct AuditEntry: Codable, Sendable, Equatable {
    /// Its place in the log: 1 for the first, then one more each, without a gap. 0 until it is appended.
    public var sequence: Int
    /// When it was done; the first time, where it stands for several.
    public var time: Date
    /// Who did it: the name of a token, never the token.
    public var actor: String
    /// What was done, as a stable word: `job.delete`.
    public var action: String
    /// The job that it was done to; nil if it concerned none, or several.
    public var job: JobID?
    /// How it ended, as a stable word: `ok`, `forbidden`.
    public var outcome: String
    /// The request's name in the service's log; nil for what no request brought, or several.
    public var request: String?
    /// For how many of the kind it stands: 1 but for what came too often to be written one by one.
    public var count: Int

    /// An entry to append.
    public init(
        time: Date = Date(), actor: String, action: String, job: JobID? = nil, outcome: String, request: String? = nil,
        count: Int = 1
    ) {
        sequence = 0
        self.time = time
        self.actor = actor
        self.action = action
        self.job = job
        self.outcome = outcome
        self.request = request
        self.count = count
    }

    /// The entry as one JSON object, keys sorted, without a line end.
    public func jsonLine() throws -> Data {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        encoder.dateEncodingStrategy = .iso8601
        return try encoder.encode(self)
    }
}

/// Who did what: entries are appended and read, never changed, and removed only from the beginning once they were
/// exported. Entries hold nothing of a patient.
public protocol AuditLog: Sendable {
    /// Adds entries with one sync of the disk, durable once the call has returned; all of them or none.
    ///
    /// - Returns: the entries with their numbers.
    @discardableResult
    func append(_ entries: [AuditEntry]) throws(JobStoreError) -> [AuditEntry]

    /// Entries in the order they were appended, from the first after `sequence`; 0 for the beginning.
    func entries(after sequence: Int, limit: Int) throws(JobStoreError) -> [AuditEntry]

    /// Removes all entries up to this one, which were exported. Their numbers are not given again.
    func removeExported(through sequence: Int) throws(JobStoreError)
}

extension AuditLog {
    /// The first thousand entries after a number; see ``entries(after:limit:)``.
    public func entries(after sequence: Int = 0) throws(JobStoreError) -> [AuditEntry] {
        try entries(after: sequence, limit: 1_000)
    }

    /// Moves entries from the beginning, up to the first that is not older than `time`, into a file of JSON lines.
    ///
    /// The file is `audit-<number of its first entry>.jsonl`, for its owner alone, and is whole and on the disk before any
    /// entry is removed. After a crash between the two the same entries, and what is old by then, replace it: so no entry
    /// is in two files, and none in neither. A file of that name from another database stays; a number is added then.
    ///
    /// - Returns: the file and how many entries are in it; nil if none is so old.
    /// - Throws: ``JobStoreError``, or an error of the file system; nothing is removed then.
    public func export(olderThan time: Date, to folder: URL) throws -> (file: URL, entries: Int)? {
        guard let first = try entries(after: 0, limit: 1).first, first.time < time else { return nil }
        let name = try freeName(for: first, in: folder)
        let begun = folder.appending(path: ".\(name)")
        defer { try? FileManager.default.removeItem(at: begun) }
        guard FileManager.default.createFile(atPath: begun.path, contents: nil, attributes: [.posixPermissions: 0o600])
        else { throw CocoaError(.fileWriteUnknown) }
        let handle = try FileHandle(forWritingTo: begun)
        defer { try? handle.close() }
        var (last, count) = (first.sequence - 1, 0)
        while true {
            let page = try entries(after: last)
            let old = page.prefix { $0.time < time }
            try handle.write(contentsOf: Data(old.map { try $0.jsonLine() + Data("\n".utf8) }.joined()))
            count += old.count
            last = old.last?.sequence ?? last
            if old.isEmpty || old.count < page.count { break }
        }
        try handle.synchronize()
        let file = folder.appending(path: name)
        guard rename(begun.path, file.path) == 0 else { throw CocoaError(.fileWriteUnknown) }
        let place = open(folder.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard place >= 0 else { throw CocoaError(.fileWriteUnknown) }
        defer { close(place) }
        guard fsync(place) == 0 else { throw CocoaError(.fileWriteUnknown) }
        try removeExported(through: last)
        return (file, count)
    }
}

/// A name that no file has, or one with the same entry at its beginning.
private func freeName(for first: AuditEntry, in folder: URL) throws -> String {
    let line = try first.jsonLine()
    let stem = "audit-\(String(format: "%012d", first.sequence))"
    for number in 1... {
        let name = number == 1 ? "\(stem).jsonl" : "\(stem)-\(number).jsonl"
        guard let handle = try? FileHandle(forReadingFrom: folder.appending(path: name)) else { return name }
        defer { try? handle.close() }
        if try handle.read(upToCount: line.count) == line { return name }
    }
    preconditionFailure("the numbers have no end")
}
