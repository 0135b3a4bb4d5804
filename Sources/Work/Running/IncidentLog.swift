import Cases
import Digests
import Foundation

/// Records of files that brought down the child process which read them, for the operator: `quarantine/*.json`.
///
/// A record tells the file by its size and SHA-256; the file itself, a patient's, is not kept. The newest
/// ``most`` records are.
package struct IncidentLog: Sendable {
    /// What is known of such files. Its JSON is described in docs/operations.md.
    package struct Record: Codable, Equatable, Sendable {
        package struct File: Codable, Equatable, Sendable {
            package let bytes: Int
            package let sha256: String
        }

        package let time: Date
        package let heparVersion: String
        /// The request that brought the files, and the job that they are of.
        package let request, job: String?
        /// The name of the sender's token.
        package let caller: String?
        /// What the child was to do.
        package let work: String
        /// How it ended: `signal_11`, `timeout`.
        package let end: String
        package let files: [File]

        enum CodingKeys: String, CodingKey {
            case time, request, job, caller, work, end, files
            case heparVersion = "hepar_version"
        }
    }

    package static let most = 1000

    package let folder: URL

    package init(folder: URL) {
        self.folder = folder
    }

    /// Keeps a record of `files`; as well as can be, for the answer to the client comes first.
    ///
    /// - Returns: whether it is the first within a day of the same bytes, of this caller, in this work.
    @discardableResult package func add(
        _ files: [URL], work: String, end: String, request: String? = nil, job: String? = nil, caller: String? = nil
    ) -> Bool {
        let described = files.prefix(100).compactMap { file -> Record.File? in
            guard let bytes = try? file.resourceValues(forKeys: [.fileSizeKey]).fileSize,
                let sha256 = try? ContentHash.ofFile(at: file)
            else { return nil }
            return Record.File(bytes: bytes, sha256: sha256)
        }
        let now = Date()
        let record = Record(
            time: now, heparVersion: Hepar.version, request: request, job: job, caller: caller, work: work, end: end,
            files: described)
        let privately: [FileAttributeKey: Any] = [.posixPermissions: 0o700]
        try? FileManager.default.createDirectory(
            at: folder, withIntermediateDirectories: false, attributes: privately)
        // Names in the order of time, so that the oldest are first.
        let name = "\(Int(now.timeIntervalSince1970 * 1000))-\(UUID().uuidString).json"
        try? JSONEncoder.hepar.encode(record).write(to: folder.appending(path: name), options: .atomic)
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path).sorted()) ?? []
        for old in names.dropLast(Self.most) { try? FileManager.default.removeItem(at: folder.appending(path: old)) }
        let decoder = JSONDecoder()
        decoder.dateDecodingStrategy = .iso8601
        return !names.suffix(Self.most).contains { other in
            guard other != name, let data = try? Data(contentsOf: folder.appending(path: other)),
                let earlier = try? decoder.decode(Record.self, from: data)
            else { return false }
            return earlier.files == described && earlier.caller == caller && earlier.work == work
                && now.timeIntervalSince(earlier.time) < 86_400
        }
    }
}
