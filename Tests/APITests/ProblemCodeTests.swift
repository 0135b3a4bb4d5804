import Foundation
import TestSupport
import Testing

/// docs/problems.md lists the codes that programs see: all that the sources can answer, and no other.
@Suite struct ProblemCodeTests {
    private static func text(_ path: String) throws -> String {
        try String(contentsOf: SharedData.repository.appending(path: path), encoding: .utf8)
    }

    /// The codes of the first column of every table.
    private func listed() throws -> [(code: String, statuses: String)] {
        try Self.text("docs/problems.md").split(separator: "\n").filter { $0.hasPrefix("| `") }.flatMap { row in
            let columns = row.split(separator: "|")
            return columns[0].matches(of: /`([a-z0-9_]+)`/).map { (String($0.1), columns[1...].joined()) }
        }
    }

    /// Codes that are written in the sources: those of a ``Problem`` or refusal, with their status, and those of the
    /// enumerations of errors.
    private func written() throws -> (statuses: [String: Set<String>], others: Set<String>) {
        var statuses: [String: Set<String>] = [:]
        var others: Set<String> = []
        let folder = SharedData.repository.appending(path: "Sources")
        let files = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)!.compactMap {
            ($0 as? URL).flatMap { $0.pathExtension == "swift" ? $0 : nil }
        }
        for file in files {
            let text = try String(contentsOf: file, encoding: .utf8)
            let literals =
                text.matches(of: /Problem\(\s*([0-9]{3}),\s*"([a-z0-9_]+)"/).map { ($0.1, $0.2) }
                + text.matches(of: /status: ([0-9]{3}),\s*detail: .{0,300}?code: "([a-z0-9_]+)"/.dotMatchesNewlines())
                .map { ($0.1, $0.2) }
            for (status, code) in literals { statuses[String(code), default: []].insert(String(status)) }
            let failures = text.matches(of: /(?:JobFailure|RetryableFailure|AttemptFailure)\(\s*code: "([a-z0-9_]+)"/)
            others.formUnion(failures.map { String($0.1) })
            let answered = ["AccessRefusal", "DicomError", "VolumeError", "WebhookTargets"]
            guard answered.contains(file.deletingPathExtension().lastPathComponent),
                let block = text.firstMatch(of: /var code: String \{(.*?)\n    \}/.dotMatchesNewlines())
            else { continue }
            others.formUnion(block.1.matches(of: /: "([a-z0-9_]+)"/).map { String($0.1) })
        }
        return (statuses, others)
    }

    @Test func theListIsWhole() throws {
        let listed = try listed()
        let (statuses, others) = try written()
        // Made of the name of a field.
        let missing: Set = ["image_missing", "reference_missing", "prediction_missing"]
        #expect(Set(listed.map(\.code)) == Set(statuses.keys).union(others).union(missing))
        #expect(statuses.count > 40 && others.count > 80)
    }

    @Test func aCodeHasOneStatusAndTheListTellsIt() throws {
        let listed = try listed()
        for (code, found) in try written().statuses {
            #expect(found.count == 1, "\(code) has the statuses \(found.sorted())")
            let rows = listed.filter { $0.code == code && $0.statuses.contains(/\b[0-9]{3}\b/) }
            for row in rows { #expect(found.allSatisfy { row.statuses.contains($0) }, "\(code): \(found)") }
        }
    }
}
