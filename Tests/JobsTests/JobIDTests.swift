import Foundation
import Testing

@testable import Jobs

@Suite struct JobIDTests {
    @Test func layout() throws {
        let id = JobID(at: Date(timeIntervalSince1970: 5_000_000_000))
        let parts = id.description.split(separator: "-")
        #expect(parts.map(\.count) == [8, 4, 4, 4, 12])
        // The clock of the other tests is behind this one: the time is at least the one asked for.
        #expect(try #require(Int(parts[0] + parts[1], radix: 16)) >= 5_000_000_000_000)
        #expect(parts[2].first == "7")
        #expect("89ab".contains(try #require(parts[3].first)))
        #expect(UUID(uuidString: id.description) != nil)
        #expect(JobID(id.description) == id)
    }

    @Test func increasesWithinAMillisecondAndWhenTheClockIsSetBack() {
        let start = Date()
        var ids = (0..<10_000).map { _ in JobID(at: start) }
        ids += (0..<100).map { JobID(at: start - Double($0)) }
        #expect(zip(ids, ids.dropFirst()).allSatisfy { $0 < $1 })
        #expect(Set(ids).count == ids.count)
    }

    @Test(arguments: [
        "", "x", "0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e", "0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e70",
        "0190A2B4-6F00-7C3E-9D41-2F8B6A0C51E7", "0190a2b4-6f00-4c3e-9d41-2f8b6a0c51e7",
        "0190a2b4-6f00-7c3e-cd41-2f8b6a0c51e7", "0190a2b46f007c3e9d412f8b6a0c51e70000",
        "../../../../etc/passwd/../../../../x", "0190a2b4-6f00-7c3e-9d41-2f8b6a0c51eé",
    ])
    func refuses(text: String) {
        #expect(JobID(text) == nil)
    }

    @Test func isOneStringInJSON() throws {
        let id = try #require(JobID("0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e7"))
        let json = try JSONEncoder().encode([id])
        #expect(String(decoding: json, as: UTF8.self) == #"["0190a2b4-6f00-7c3e-9d41-2f8b6a0c51e7"]"#)
        #expect(try JSONDecoder().decode([JobID].self, from: json) == [id])
        #expect(throws: DecodingError.self) { try JSONDecoder().decode([JobID].self, from: Data(#"["x"]"#.utf8)) }
    }
}
