import Cases
import Compute
import Foundation
import Imaging
import TestSupport
import Testing

/// The README's journey and its dead ends, by curl against the real process.
@Suite(.serialized) struct ServerTests {
    private static func submit(_ server: ServerProcess, _ ct: URL, _ more: String...) throws -> ServerProcess.Answer {
        try server.curl("/v1/jobs", ["-F", "image=@\(ct.path)"] + more)
    }

    @Test func theJourneyOfTheReadme() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            #expect(try server.curl("/healthz").json()["status"] as? String == "ok")
            #expect(try server.curl("/readyz").status == 200)

            let accepted = try server.curl(
                "/v1/jobs", "-F", "image=@\(files.ct.path)", "-F", "reference=@\(files.reference.path)", "-F",
                #"options={"full":false}"#)
            #expect(accepted.status == 202)
            let id = try #require(try accepted.json()["id"] as? String)
            #expect(accepted.headers.contains("Location: /v1/jobs/\(id)"))

            let job = try server.waitForEnd(of: id)
            #expect(job["state"] as? String == "succeeded")
            #expect(job["progress"] as? Double == 1)
            #expect((job["timings_ms"] as? [String: Double])?["total"] ?? 0 > 0)
            let lesionModel = (job["model"] as? [String: Any])?["lesion"] as? [String: Any]
            #expect((lesionModel?["sha256"] as? String)?.count == 64)

            let mask = folder.appending(path: "mask.nii.gz")
            let answer = try server.curl("/v1/jobs/\(id)/mask")
            #expect(answer.status == 200)
            try answer.body.write(to: mask)
            let team = ThreadTeam(threads: 1)
            let labels = try readLabels(at: mask, limits: VolumeLimits(), team: team)
            let ct = try readCT(at: files.ct, limits: VolumeLimits(), team: team)
            #expect(labels.header.gridDifference(from: ct.header) == nil)

            let report = try server.curl("/v1/jobs/\(id)/report").json()
            let scores = try #require(report["scores"] as? [String: Any])
            let liver = try #require(scores["liver"] as? [String: Any])
            for key in ["dice", "voe", "rvd", "rvd_lits_program", "assd_mm", "rmsd_mm", "mssd_mm"] {
                #expect(liver.keys.contains(key), "scores.liver has no \(key)")
            }
            #expect(scores.keys.contains("detection") && scores.keys.contains("tumour_burden"))
            #expect(liver["dice"] as? Double ?? 0 > 0.4)
            let lesions = try #require(report["lesions"] as? [[String: Any]])
            #expect(lesions.first?["number"] as? Int == 1)

            let list = try server.curl("/v1/jobs?state=succeeded").json()
            #expect((list["jobs"] as? [[String: Any]])?.map { $0["id"] as? String } == [id])

            #expect(try server.curl("/v1/jobs/\(id)", "-X", "DELETE").status == 204)
            #expect(try server.curl("/v1/jobs/\(id)").status == 410)
            #expect(try server.curl("/v1/jobs/\(id)/mask").status == 410)
            server.end()
            #expect(server.process.terminationStatus == 0)
            // A patient's file names never reach the log.
            #expect(!server.logText.contains("ct.nii.gz"))
        }
    }

    @Test func theBareFileIsABodyToo() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let accepted = try server.curl(
                "/v1/jobs", "-H", "Content-Type: application/octet-stream", "--data-binary", "@\(files.ct.path)")
            #expect(accepted.status == 202)
            let id = try #require(try accepted.json()["id"] as? String)
            #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
        }
    }

    /// A client that does not know whether its request arrived sends it again: one job, one set of files.
    @Test func requestSentAgainUnderItsKeyIsOneJob() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let data = folder.appending(path: "data")
            let server = try ServerProcess(data: data)
            let key = "Idempotency-Key: 7f3a-1"
            let first = try Self.submit(server, files.ct, "-H", key)
            #expect(first.status == 202 && first.headers.contains("Idempotent-Replayed: false"))
            let id = try #require(try first.json()["id"] as? String)

            let again = try Self.submit(server, files.ct, "-H", key)
            #expect(again.status == 202 && again.headers.contains("Idempotent-Replayed: true"))
            #expect(try again.json()["id"] as? String == id)
            let other = try Self.submit(server, files.ct, "-H", key, "-F", #"options={"full":true}"#)
            #expect(other.status == 409)
            #expect(try other.json()["code"] as? String == "key_reused")
            let bad = try Self.submit(server, files.ct, "-H", "Idempotency-Key: a b")
            #expect(bad.status == 400)

            let jobs = try server.curl("/v1/jobs").json()["jobs"] as? [[String: Any]]
            #expect(jobs?.count == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: data.appending(path: "jobs").path) == [id])
            #expect(try server.waitForEnd(of: id)["state"] as? String == "succeeded")
            let late = try Self.submit(server, files.ct, "-H", key)
            #expect(try late.json()["state"] as? String == "succeeded")
        }
    }

    /// Each wait ends with a change: queued, running, succeeded; a stop of the server ends those that are left.
    @Test func waitingClientsAreToldOfEachChange() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            // One worker: the last job waits for the others. None begins before all are there, and each runs, though the
            // scan is the same.
            #expect(try server.curl("/v1/queue/pause", "-X", "POST").status == 200)
            let ids = try (0..<5).map { _ in
                try #require(
                    try Self.submit(server, files.ct, "-H", "Cache-Control: no-cache").json()["id"] as? String)
            }
            var states = [try server.curl("/v1/jobs/\(ids[4])?wait=0").json()["state"] as? String ?? "none"]
            #expect(try server.curl("/v1/queue/resume", "-X", "POST").status == 200)
            while let last = states.last, last != "succeeded", states.count < 4 {
                states.append(try server.curl("/v1/jobs/\(ids[4])?wait=50").json()["state"] as? String ?? "none")
            }
            #expect(states == ["queued", "running", "succeeded"])
            for bad in ["wait=-1", "wait=301", "wait=soon", "weight=1"] {
                #expect(try server.curl("/v1/jobs/\(ids[4])?\(bad)").status == 400, "\(bad)")
            }
        }
    }

    /// Masks in parts and by label, probabilities, a reference that comes later, scores without a job, provenance, and the
    /// same mask once more.
    @Test func resultsInEveryForm() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let accepted = try Self.submit(server, files.ct, "-F", #"options={"probabilities":true}"#)
            let id = try #require(try accepted.json()["id"] as? String)
            #expect(try server.curl("/v1/jobs/\(id)/reference", "-T", files.reference.path).status == 409)
            let job = try server.waitForEnd(of: id)
            let hash = try #require(job["mask_sha256"] as? String)
            let path = "/v1/jobs/\(id)"

            let mask = try server.curl("\(path)/mask")
            #expect(mask.headers.contains("ETag: \"\(hash)\""))
            #expect(try server.curl("\(path)/mask", "-H", "If-None-Match: \"\(hash)\"").status == 304)
            let part = try server.curl("\(path)/mask", "-H", "Range: bytes=10-29")
            #expect(part.status == 206 && part.body == mask.body[10..<30])
            let maskFile = folder.appending(path: "mask.nii.gz")
            let labels = try Self.labels(mask, as: maskFile)
            for (name, threshold) in [("liver", UInt8(1)), ("lesion", 2)] {
                for _ in 0..<2 {
                    let answer = try server.curl("\(path)/mask?label=\(name)")
                    let label = try Self.labels(answer, as: folder.appending(path: "\(name).nii.gz"))
                    #expect(label.voxels == labels.voxels.map { $0 >= threshold ? 1 : 0 }, "\(name)")
                }
            }
            #expect(try server.curl("\(path)/mask?label=spleen").status == 400)

            let file = folder.appending(path: "probabilities.nii.gz")
            try server.curl("\(path)/probabilities").body.write(to: file)
            let probabilities = try readCT(at: file, limits: VolumeLimits(), team: ThreadTeam(threads: 1)).volume
            #expect(
                zip(labels.voxels, probabilities.voxels).allSatisfy { (0...1).contains($1) && ($0 < 2 || $1 > 0.33) })

            let scores = try server.curl("\(path)/reference", "-X", "PUT", "--data-binary", "@\(files.reference.path)")
            #expect(scores.status == 200)
            let report = try server.curl("\(path)/report")
            func liverDice(_ scores: Any?) -> Double? {
                ((scores as? [String: Any])?["liver"] as? [String: Any])?["dice"] as? Double
            }
            let dice = try #require(liverDice(try scores.json()))
            #expect(liverDice(try report.json()["scores"]) == dice)
            let evaluated = try server.curl(
                "/v1/evaluations", "-F", "prediction=@\(maskFile.path)", "-F", "reference=@\(files.reference.path)")
            #expect(liverDice(try evaluated.json()) == dice)
            #expect(try server.curl("/v1/evaluations", "-F", "prediction=@\(maskFile.path)").status == 422)
            #expect(try server.curl("/v1/evaluations", "-d", "{}").status == 422)

            let provenance = try JSONDecoder().decode(Signed.self, from: report.body).provenance
            #expect(provenance.statement.maskSha256 == hash && provenance.isAuthentic)
            let key = try server.curl("/v1/signing-key").json()["public_key"] as? String
            #expect(key == provenance.publicKey)
            let repeated = try server.curl("\(path)/verify", "-X", "POST")
            #expect(repeated.status == 202)
            // The repetition has files of its own.
            #expect(try server.curl(path, "-X", "DELETE").status == 204)
            let second = try server.waitForEnd(of: try #require(try repeated.json()["id"] as? String))
            let verification = try #require(second["verification"] as? [String: Any])
            #expect(verification["identical"] as? Bool == true && verification["job"] as? String == id)
        }
    }

    private struct Signed: Decodable { let provenance: Provenance }

    /// Keeps an answer as a file and reads it.
    private static func labels(_ answer: ServerProcess.Answer, as file: URL) throws -> Volume<UInt8> {
        try answer.body.write(to: file)
        return try readLabels(at: file, limits: VolumeLimits(), team: ThreadTeam(threads: 1)).volume
    }

    /// Each bad upload: a 4xx with a code and a sentence, and the server serves on.
    @Test func badUploadsAreToldWhatToChange() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder)
            let server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: ["HEPAR_HTTP_UPLOAD_LIMIT_MIB": "4", "HEPAR_SCAN_INFLATED_LIMIT_MIB": "16"])
            let bad = try BadFiles(in: folder, good: files.ct)
            for (name, file, code) in bad.uploads {
                let answer = try Self.submit(server, file)
                #expect(answer.status == 422, "\(name): \(answer.text)")
                let problem = try answer.json()
                #expect(problem["code"] as? String == code, "\(name): \(answer.text)")
                #expect((problem["detail"] as? String)?.count ?? 0 > 20, "\(name)")
                #expect(answer.headers.contains("application/problem+json"), "\(name)")
            }
            // The contract of STOW-RS has no forms, and no bare files.
            for fields in [["-F", "image=@\(files.ct.path)"], ["--data-binary", "@\(files.ct.path)"]] {
                let answer = try server.curl("/v1/dicomweb/studies", fields)
                #expect(answer.status == 415, "\(answer.text)")
                #expect(try answer.json()["code"] as? String == "not_stow")
            }
            // In its form, what is no DICOM is no scan either, whatever it is.
            let related = folder.appending(path: "related")
            let head = "--XX\r\nContent-Type: application/dicom\r\n\r\n"
            try (Data(head.utf8) + Data(contentsOf: files.ct) + Data("\r\n--XX--\r\n".utf8)).write(to: related)
            let type = "Content-Type: multipart/related; type=\"application/dicom\"; boundary=XX"
            for path in ["", "/1.2.3"] {
                let answer = try server.curl(
                    "/v1/dicomweb/studies\(path)", "-H", type, "--data-binary", "@\(related.path)")
                #expect(answer.status == 409 && answer.headers.contains("application/dicom+json"), "\(answer.text)")
                #expect(answer.headers.contains("Warning: 299 hepar \"dicom_other_archive: "), "\(answer.headers)")
                let failures = try answer.json()["0008119A"] as? [String: Any]
                #expect((failures?["Value"] as? [Any])?.count == 1, "\(answer.text)")
            }
            #expect(
                try server.curl("/v1/dicomweb/studies/a", "-H", type, "--data-binary", "@\(related.path)").status == 400
            )
            #expect(!server.logText.contains("1.2.3"), "a study's UID leads to its patient")
            let otherGrid = try server.curl(
                "/v1/jobs", "-F", "image=@\(files.ct.path)", "-F", "reference=@\(bad.otherGrid.path)")
            #expect(otherGrid.status == 422)
            #expect(try otherGrid.json()["code"] as? String == "grid_mismatch")

            let large = folder.appending(path: "large.nii")
            try Data(count: 5 << 20).write(to: large)
            #expect(try Self.submit(server, large).status == 413)

            #expect(try server.curl("/v1/jobs/01890000-0000-7000-8000-000000000000").status == 404)
            #expect(try server.curl("/v1/jobs/nonsense").status == 404)
            #expect(try server.curl("/v2").status == 404)
            #expect(try server.curl("/v1/jobs", "-X", "PUT").status == 405)
            #expect(try server.curl("/v1/jobs", "-F", "scan=@\(files.ct.path)").status == 422)
            #expect(try server.curl("/v1/jobs", "-F", "image=@\(files.ct.path)", "-F", "options=[1]").status == 422)
            #expect(try server.curl("/v1/jobs?limit=0").status == 400)

            let accepted = try Self.submit(server, files.ct)
            #expect(accepted.status == 202, "the server serves on")
            // Nothing of a refused upload is left.
            let data = folder.appending(path: "data")
            let folders = try FileManager.default.contentsOfDirectory(atPath: data.appending(path: "jobs").path)
            #expect(folders.count == 1)
            #expect(try FileManager.default.contentsOfDirectory(atPath: data.appending(path: "incoming").path).isEmpty)
        }
    }

    @Test func aJobSurvivesKillMinusNine() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder, shape: Shape(192, 192, 40))
            let data = folder.appending(path: "data")
            var server = try ServerProcess(data: data)
            let id = try #require(try Self.submit(server, files.ct).json()["id"] as? String)
            try server.waitUntilRunning(id)
            server.end(SIGKILL)

            server = try ServerProcess(data: data)
            let job = try server.waitForEnd(of: id)
            #expect(job["state"] as? String == "succeeded")
            #expect(job["attempts"] as? Int == 2)
            #expect(try server.curl("/v1/jobs/\(id)/mask").status == 200)
        }
    }

    @Test func aRunningJobCanBeCancelled() throws {
        try withTemporaryFolder { folder in
            let files = try SmallPhantom(in: folder, shape: Shape(256, 256, 80))
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let first = try #require(try Self.submit(server, files.ct).json()["id"] as? String)
            let second = try #require(try Self.submit(server, files.ct).json()["id"] as? String)
            #expect(try server.curl("/v1/jobs/\(second)/mask").status == 409)
            #expect(try server.curl("/v1/jobs/\(second)", "-X", "DELETE").status == 204)
            try server.waitUntilRunning(first)
            #expect(try server.curl("/v1/jobs/\(first)", "-X", "DELETE").status == 202)
            #expect(try server.waitForEnd(of: first)["state"] as? String == "cancelled")
        }
    }
}
