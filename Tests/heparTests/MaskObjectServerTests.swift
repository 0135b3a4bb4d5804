import Foundation
import TestSupport
import Testing

/// The mask as a DICOM segmentation, by curl against the real process.
@Suite(.serialized) struct MaskObjectServerTests {
    private static let accept = ["-H", "Accept: application/dicom"]

    @Test(.enabled(if: SharedData.file("data/dicom") != nil, "no real DICOM series in HEPAR_SHARED"))
    func aJobOfDicomFilesHasItsMaskAsDicom() throws {
        try withTemporaryFolder { folder in
            let zip = try #require(SharedData.file("data/dicom/hcc015_portal.zip"))
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let id = try Self.finished(server, "/v1/jobs?uids=true", zip)
            let path = "/v1/jobs/\(id)/mask"

            let object = try server.curl(path, Self.accept)
            #expect(object.status == 200)
            #expect(object.headers.contains("Content-Type: application/dicom"))
            #expect(object.headers.contains("Vary: Accept"))
            #expect(object.body.dropFirst(128).starts(with: Data("DICM".utf8)))
            let job = try server.curl("/v1/jobs/\(id)").json()
            let summary = try #require(job["dicom"] as? [String: Any])
            #expect(
                summary["has_uids"] as? Bool == true && summary["taken"] as? Int == 1 && summary["files"] as? Int == 61)
            #expect((job["links"] as? [String: Any])?["dicom"] as? String == "/v1/jobs/\(id)/dicom")
            let uids = try #require(try server.curl("/v1/jobs/\(id)/dicom").json()["uids"] as? [String: Any])
            for name in ["study", "series", "frame_of_reference", "sop_class"] {
                let uid = try #require(uids[name] as? String)
                #expect(object.body.range(of: Data(uid.utf8)) != nil, "the object does not name the \(name)")
            }
            #expect(try server.curl(path, Self.accept).body == object.body)
            #expect(try server.curl(path, Self.accept + ["-r", "128-131"]).text == "DICM")
            let tag = try #require(object.headers.firstMatch(of: /ETag: (\S+)/)).1
            #expect(try server.curl(path, Self.accept + ["-H", "If-None-Match: \(tag)"]).status == 304)

            let volume = try server.curl(path, ["-H", "Accept: application/dicom;q=0, */*"])
            #expect(volume.status == 200 && volume.headers.contains("Content-Type: application/gzip"))
            #expect(volume.headers.contains("Vary: Accept"))
            #expect(try server.curl("\(path)?label=liver", Self.accept).status == 400)

            // Who was shown the UIDs is in the audit table; neither a poll nor a list shows them.
            let study = try #require(uids["study"] as? String)
            #expect(!(try server.curl("/v1/jobs").text.contains(study)))
            #expect(!(try server.curl("/v1/jobs/\(id)").text.contains(study)))
            let entries = try #require(
                try server.curl("/v1/audit?limit=1000").json()["entries"] as? [[String: Any]])
            let reads = entries.filter { $0["action"] as? String == "uids.read" }
            #expect(reads.count == 1 && reads[0]["job"] as? String == id)
        }
    }

    /// Without `uids=true`, and with it where the files have no UIDs.
    @Test(
        .enabled(if: SharedData.file("data/dicom") != nil, "no real DICOM series in HEPAR_SHARED"),
        arguments: [("hcc015_portal.zip", "/v1/jobs"), ("ts_jpeg2000.zip", "/v1/jobs?uids=true")])
    func aJobWithoutUIDsHasNone(series: String, address: String) throws {
        try withTemporaryFolder { folder in
            let zip = try #require(SharedData.file("data/dicom/\(series)"))
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let id = try Self.finished(server, address, zip)
            let refused = try server.curl("/v1/jobs/\(id)/mask", Self.accept)
            #expect(refused.status == 406)
            #expect(try refused.json()["code"] as? String == "no_dicom_source")
        }
    }

    @Test func aJobOfANiftiFileHasNone() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let id = try Self.finished(server, "/v1/jobs", files.ct)
            let refused = try server.curl("/v1/jobs/\(id)/mask", Self.accept)
            #expect(refused.status == 406)
            #expect((try refused.json()["detail"] as? String)?.contains("uids=true") == true)
            #expect(try server.curl("/v1/jobs/\(id)/mask").status == 200)
        }
    }

    /// A job of one file that has ended well.
    private static func finished(_ server: ServerProcess, _ path: String, _ file: URL) throws -> String {
        let accepted = try server.curl(path, "-F", "image=@\(file.path)")
        #expect(accepted.status == 202)
        let id = try #require(try accepted.json()["id"] as? String)
        #expect(try server.waitForEnd(of: id, seconds: 600)["state"] as? String == "succeeded")
        return id
    }
}
