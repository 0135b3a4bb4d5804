import Foundation
import HTTPClient

/// What the bridge asks of Orthanc's REST interface.
struct Orthanc {
    let server: RetryingClient

    /// A page of Orthanc's log of changes.
    struct Changes: Decodable {
        struct Change: Decodable {
            let number: Int
            let kind: String
            /// Orthanc's name of the study, series or instance that changed.
            let resource: String

            enum CodingKeys: String, CodingKey {
                case number = "Seq"
                case kind = "ChangeType"
                case resource = "ID"
            }
        }

        let changes: [Change]
        /// Whether there are no later ones.
        let isDone: Bool
        /// The number to ask on from.
        let last: Int

        enum CodingKeys: String, CodingKey {
            case changes = "Changes"
            case isDone = "Done"
            case last = "Last"
        }
    }

    /// A series as Orthanc tells of it.
    struct Series: Decodable {
        let id: String
        let study: String
        let instances: [String]
        /// Whether no instance came for a while.
        let isStable: Bool
        let tags: Tags

        struct Tags: Decodable {
            let modality: String?

            enum CodingKeys: String, CodingKey { case modality = "Modality" }
        }

        enum CodingKeys: String, CodingKey {
            case id = "ID"
            case study = "ParentStudy"
            case instances = "Instances"
            case isStable = "IsStable"
            case tags = "MainDicomTags"
        }
    }

    /// What was made of an instance that was sent.
    struct Stored: Decodable {
        let series: String
        let study: String
        /// `Success`, or `AlreadyStored`.
        let status: String

        enum CodingKeys: String, CodingKey {
            case series = "ParentSeries"
            case study = "ParentStudy"
            case status = "Status"
        }
    }

    /// Changes after number `since`.
    func changes(since: Int) throws(BridgeFault) -> Changes {
        try server.json(Changes.self, HTTPRequest(path: "/changes?since=\(since)&limit=100"))
    }

    /// The number of the latest change.
    func lastChange() throws(BridgeFault) -> Int {
        try server.json(Changes.self, HTTPRequest(path: "/changes?last")).last
    }

    /// The series of a study; none where it was deleted.
    func series(ofStudy study: String) throws(BridgeFault) -> [Series] {
        try server.find([Series].self, HTTPRequest(path: "/studies/\(study)/series")) ?? []
    }

    /// A series; nil where it was deleted.
    func series(_ id: String) throws(BridgeFault) -> Series? {
        try server.find(Series.self, HTTPRequest(path: "/series/\(id)"))
    }

    /// Whether no instance of a study came for a while; false where it was deleted.
    func isStable(study: String) throws(BridgeFault) -> Bool {
        struct Study: Decodable {
            let isStable: Bool
            enum CodingKeys: String, CodingKey { case isStable = "IsStable" }
        }
        return try server.find(Study.self, HTTPRequest(path: "/studies/\(study)"))?.isStable ?? false
    }

    /// Writes an instance's file.
    func instance(_ id: String, to file: URL) throws(BridgeFault) {
        _ = try server.ask(HTTPRequest(path: "/instances/\(id)/file", output: file))
    }

    /// Stores an instance.
    func store(_ instance: Data) throws(BridgeFault) -> Stored {
        let body = HTTPRequest.Body.bytes(instance, type: "application/dicom")
        return try server.json(Stored.self, HTTPRequest(method: "POST", path: "/instances", body: body))
    }

    /// A series' metadata of a number from 1024 on; nil where there is none.
    func metadata(_ number: Int, ofSeries series: String) throws(BridgeFault) -> Data? {
        try server.find(HTTPRequest(path: "/series/\(series)/metadata/\(number)"))?.body
    }

    /// Sets a series' metadata.
    func setMetadata(_ number: Int, ofSeries series: String, to value: Data) throws(BridgeFault) {
        let body = HTTPRequest.Body.bytes(value, type: "text/plain")
        _ = try server.ask(HTTPRequest(method: "PUT", path: "/series/\(series)/metadata/\(number)", body: body))
    }

    /// Keeps a file beside a series, under a number from 1024 on.
    func attach(_ file: Data, as number: Int, toSeries series: String) throws(BridgeFault) {
        let body = HTTPRequest.Body.bytes(file, type: "application/octet-stream")
        _ = try server.ask(HTTPRequest(method: "PUT", path: "/series/\(series)/attachments/\(number)", body: body))
    }
}
