import Foundation
import Yams

/// The form in which tokens are kept:
///
/// ```yaml
/// tokens:
///   - name: "pacs-bridge"
///     sha256: "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
///     roles: [submit, read_own]
///     created: "2027-01-31T12:00:00Z"
///     expires: "2028-01-31T12:00:00Z"                         # optional
///     quota: {queued_jobs: 20, queued_bytes: 10737418240, stored_bytes: 107374182400, in_flight_bytes: 4294967296}
///                                                             # optional, as each of the four
/// ```
extension TokenBook {
    /// Reads tokens from YAML. Every fault is named with its line, and nothing unknown is passed over: a misspelt
    /// `expires` must not make a token that lasts for ever.
    public init(yaml: String) throws(TokenFileError) {
        let root: Node?
        do {
            root = try Yams.compose(yaml: yaml)
        } catch {
            throw .syntax("\(error)")
        }
        guard let root else { throw .content(line: 1, problem: "There is no list \"tokens\".") }
        let fields = try Fields(root, known: ["tokens"])
        guard let list = try fields.required("tokens").sequence else {
            throw .content(line: root.line, problem: "\"tokens\" is not a list.")
        }
        var entries: [TokenEntry] = []
        for node in list { entries.append(try TokenEntry(node)) }
        do {
            try self.init(entries: entries)
        } catch {
            throw .content(line: root.line, problem: "\(error)")
        }
    }

    /// The tokens as YAML, with a word to whoever opens the file.
    public var yaml: String {
        var lines = [
            "# The tokens that the server accepts; hepar token add, list and revoke keep this file.",
            "# A token's own text is nowhere: sha256 is the hash of it.",
            entries.isEmpty ? "tokens: []" : "tokens:",
        ]
        for entry in entries {
            lines += [
                "  - name: \"\(entry.name)\"",
                "    sha256: \"\(entry.hash.hexadecimal)\"",
                "    roles: [\(entry.roles.map(\.rawValue).sorted().joined(separator: ", "))]",
                "    created: \"\(entry.created.formatted(timeFormat))\"",
            ]
            if let expires = entry.expires { lines.append("    expires: \"\(expires.formatted(timeFormat))\"") }
            let limits = [
                entry.quota.queuedJobs.map { "queued_jobs: \($0)" },
                entry.quota.queuedBytes.map { "queued_bytes: \($0)" },
                entry.quota.storedBytes.map { "stored_bytes: \($0)" },
                entry.quota.inFlightBytes.map { "in_flight_bytes: \($0)" },
            ].compactMap { $0 }
            if !limits.isEmpty { lines.append("    quota: {\(limits.joined(separator: ", "))}") }
        }
        return lines.joined(separator: "\n") + "\n"
    }
}

private var timeFormat: Date.ISO8601FormatStyle { Date.ISO8601FormatStyle() }

extension TokenEntry {
    fileprivate init(_ node: Node) throws(TokenFileError) {
        let fields = try Fields(node, known: ["name", "sha256", "roles", "created", "expires", "quota"])
        name = try fields.required("name").text("name")
        let digits = try fields.required("sha256")
        guard let hash = TokenHash(hexadecimal: try digits.text("sha256")) else {
            throw .content(line: digits.line, problem: "\"sha256\" is not 64 lower-case hexadecimal digits.")
        }
        self.hash = hash
        let list = try fields.required("roles")
        guard let names = list.sequence else {
            throw .content(line: list.line, problem: "\"roles\" is not a list, as [submit, read_own].")
        }
        var roles: Set<Role> = []
        for name in names {
            guard let role = Role(rawValue: try name.text("roles")) else {
                let known = Role.allCases.map(\.rawValue).joined(separator: ", ")
                throw .content(line: name.line, problem: "A role is none of: \(known).")
            }
            roles.insert(role)
        }
        self.roles = roles
        created = try fields.required("created").time("created")
        expires = try fields["expires"]?.time("expires")
        quota = try fields["quota"].map { (node) throws(TokenFileError) in try Quota(node) } ?? Quota()
    }
}

extension Quota {
    fileprivate init(_ node: Node) throws(TokenFileError) {
        let fields = try Fields(node, known: ["queued_jobs", "queued_bytes", "stored_bytes", "in_flight_bytes"])
        self.init(
            queuedJobs: try fields["queued_jobs"]?.number("queued_jobs"),
            queuedBytes: try fields["queued_bytes"]?.number("queued_bytes"),
            storedBytes: try fields["stored_bytes"]?.number("stored_bytes"),
            inFlightBytes: try fields["in_flight_bytes"]?.number("in_flight_bytes"))
    }
}

/// A YAML mapping whose keys are all known.
private struct Fields {
    private var nodes: [String: Node] = [:]
    private let line: Int

    init(_ node: Node, known: [String]) throws(TokenFileError) {
        line = node.line
        let names = known.joined(separator: ", ")
        guard let mapping = node.mapping else {
            throw .content(line: line, problem: "Something else stands where these keys belong: \(names).")
        }
        for (key, value) in mapping {
            guard let name = key.scalar?.string, known.contains(name) else {
                throw .content(line: key.line, problem: "A key is none of: \(names).")
            }
            guard nodes.updateValue(value, forKey: name) == nil else {
                throw .content(line: key.line, problem: "\"\(name)\" comes twice.")
            }
        }
    }

    subscript(name: String) -> Node? { nodes[name] }

    func required(_ name: String) throws(TokenFileError) -> Node {
        guard let node = nodes[name] else { throw .content(line: line, problem: "\"\(name)\" is missing.") }
        return node
    }
}

extension Node {
    fileprivate var line: Int { mark?.line ?? 1 }

    /// The scalar as it is written: quoted or not, a name of digits is a name.
    fileprivate func text(_ name: String) throws(TokenFileError) -> String {
        guard let text = scalar?.string else { throw .content(line: line, problem: "\"\(name)\" is not a text.") }
        return text
    }

    fileprivate func number(_ name: String) throws(TokenFileError) -> Int {
        guard let number = Int(try text(name)) else {
            throw .content(line: line, problem: "\"\(name)\" is not a whole number.")
        }
        return number
    }

    fileprivate func time(_ name: String) throws(TokenFileError) -> Date {
        guard let time = try? timeFormat.parse(try text(name)) else {
            throw .content(line: line, problem: "\"\(name)\" is not a time, as 2028-01-31T12:00:00Z.")
        }
        return time
    }
}
