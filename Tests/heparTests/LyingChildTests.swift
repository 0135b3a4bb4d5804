import Compute
import Foundation
import Imaging
import TestSupport
import Testing

/// Children that say what cannot be, as code would that a file brought into them: for every kind of work, by hand and by
/// chance. The server answers a problem document or fails the attempt, and lives.
@Suite(.serialized) struct LyingChildTests {
    /// What children are told to do, and what makes the server tell them.
    enum Kind: String, CaseIterable {
        case judge, score, segment, draw, part, object
        case dicom = "import-dicom"
    }

    /// A server whose children tell the truth until a lie is written for them.
    private final class Stage {
        let folder: URL
        let ct: URL, reference: URL
        /// What curl sends for the same scan as DICOM.
        let dicom: [String]
        let server: ServerProcess
        private var job = "", dicomJob = ""

        /// What this kind of work needs is done before, by children that tell the truth.
        init(in folder: URL, for kind: Kind) throws {
            self.folder = folder
            let phantom = try SmallPhantom(in: folder, shape: Shape(64, 64, 16))
            (ct, reference) = (phantom.ct, phantom.reference)
            let slices = folder.appending(path: "slices")
            dicom = try DicomPhantom(phantom.volume, in: slices).instanceNumbers.indices.flatMap {
                ["-F", "image=@\(slices.path)/IM\($0)"]
            }
            let liar = folder.appending(path: "liar")
            let script = """
                #!/bin/sh
                cd '\(folder.path)'
                kind=$2
                if [ -e "$kind.lie" ]; then cat "$kind.lie"; exit "$(cat "$kind.status")"; fi
                '\(HeparProcess.executable.path)' "$@" >"$kind.said.$$"
                status=$?
                mv "$kind.said.$$" "$kind.truth"
                cat "$kind.truth"
                exit $status

                """
            try Data(script.utf8).write(to: liar)
            chmod(liar.path, 0o755)
            let program = HeparProcess.executable.deletingLastPathComponent().appending(path: "LyingServer")
            server = try ServerProcess(
                data: folder.appending(path: "data"),
                settings: [
                    "LIAR": liar.path, "HEPAR_JOBS_ATTEMPTS": "1", "HEPAR_DATA_FREE_SPACE_MIB": "1",
                    "SWIFT_BACKTRACE": "enable=no",
                ], executable: program)
            if kind == .draw || kind == .part { job = try finishedJob(["-F", "image=@\(ct.path)"], "/v1/jobs") }
            if kind == .object { dicomJob = try finishedJob(dicom, "/v1/jobs?uids=true") }
            _ = try answer(kind)
        }

        private func finishedJob(_ image: [String], _ path: String) throws -> String {
            let accepted = try server.curl(path, image + ["-H", "Cache-Control: no-cache"])
            let id = try #require(try accepted.json()["id"] as? String, "\(accepted.text)")
            let job = try server.waitForEnd(of: id)
            try #require(job["state"] as? String == "succeeded", "\(job)")
            return id
        }

        func truth(of kind: Kind) throws -> Data {
            let said = try Data(contentsOf: folder.appending(path: "\(kind.rawValue).truth"))
            // Progress comes before an answer.
            return said.split(separator: UInt8(ascii: "\n")).last.map { Data($0) } ?? said
        }

        /// The work of a kind is done: what the client is told, with a job's end for its answer.
        func answer(_ kind: Kind) throws -> ServerProcess.Answer {
            // What was made is kept: it is to be made again.
            for made in ["mask-liver.nii.gz", "mask.dcm"] {
                for id in [job, dicomJob] {
                    unlink(folder.appending(path: "data/jobs/\(id)/\(made)").path)
                }
            }
            switch kind {
            case .judge: return try server.curl("/v1/scans", "-F", "image=@\(ct.path)")
            case .dicom: return try server.curl("/v1/scans?uids=true", dicom)
            case .score:
                return try server.curl(
                    "/v1/evaluations", "-F", "prediction=@\(reference.path)", "-F", "reference=@\(reference.path)")
            case .draw: return try server.curl("/v1/jobs/\(job)/report?format=html")
            case .part: return try server.curl("/v1/jobs/\(job)/mask?label=liver")
            case .object: return try server.curl("/v1/jobs/\(dicomJob)/mask", "-H", "Accept: application/dicom")
            case .segment:
                let accepted = try server.curl(
                    "/v1/jobs", "-F", "image=@\(ct.path)", "-F", "reference=@\(reference.path)")
                let id = try #require(try accepted.json()["id"] as? String, "\(accepted.text)")
                let end = try server.waitForEnd(of: id)
                _ = try server.curl("/v1/jobs/\(id)", "-X", "DELETE")
                let body = try JSONSerialization.data(withJSONObject: end)
                return ServerProcess.Answer(
                    status: end["state"] as? String == "succeeded" ? 200 : 422, headers: accepted.headers,
                    body: body)
            }
        }

        /// What the client is told where the child of this kind says `lie` and ends with `status`.
        func told(_ kind: Kind, _ lie: Data, status: Int = 0) throws -> ServerProcess.Answer {
            let file = folder.appending(path: "\(kind.rawValue).lie")
            try Data("\(status)".utf8).write(to: folder.appending(path: "\(kind.rawValue).status"))
            try lie.write(to: file)
            defer { unlink(file.path) }
            return try answer(kind)
        }

        /// What a refusal says, and that the server lives.
        func check(_ answer: ServerProcess.Answer, isRefusal: Bool?, _ lie: String) throws {
            #expect(server.process.isRunning, "\(lie)")
            #expect(try server.curl("/healthz").status == 200, "\(lie)")
            guard isRefusal ?? (answer.status != 200) else { return }
            #expect(answer.status >= 400, "\(lie)")
            let document = try answer.json()
            let code = document["code"] ?? (document["failure"] as? [String: Any])?["code"]
            #expect(code as? String != nil, "\(lie): \(answer.status) \(answer.text.prefix(200))")
        }
    }

    /// No kind of work has such an answer.
    private static let never: [(lie: String, status: Int)] = [
        ("", 0), ("\n", 0), ("nonsense", 0), ("nonsense", 3), (#"{"output":{"_0":{}}}"#, 0), (#"{"output":{}}"#, 0),
        (#"{"failure":{"_0":{"noSuchSlice":{"number":0,"slices":-9223372036854775808}}}}"#, 3),
        (#"{"failure":{"_0":{"volume":{"_0":{"notFinite":{}},"field":"\#(String(repeating: "x", count: 100))"}}}}"#, 3),
        (#"{"failure":{"_0":{"volume":{"_0":{"notNIfTI":{"found":"\#(String(repeating: "x", count: 9000))"}}}}}}"#, 3),
        (#"{"progress":{"_0":{"stage":"liver","done":-9223372036854775808,"total":0}}}"#, 0),
        (#"{"progress":{"_0":{"stage":"rules","done":1,"total":1}}}"# + "\n" + #"{"output":{"_0":true}}"#, 9),
        (String(repeating: "[", count: 200_000), 0), (#"{"output":{"_0":"# + String(repeating: "9", count: 5_000), 0),
        (String(repeating: "\n", count: 3_000_000), 0), (#"{"output":{"_0":false}}"#, 0), ("\u{0}\u{1}\u{FFFD}", 0),
    ]

    /// Lies that begin as the truth: what is replaced by what.
    private static func changed(_ kind: Kind) -> [(Regex<Substring>, String)] {
        switch kind {
        case .judge:
            // 2^30 x 2^16 x 2^15 voxels, as only NIfTI-2 can say.
            let affine = Affine(x: SIMD3(1, 0, 0), y: SIMD3(0, 1, 0), z: SIMD3(0, 0, 1), origin: .zero)
            let huge = NIfTIHeader(
                shape: Shape(1 << 30, 1 << 16, 1 << 15), affine: affine, voxelType: .uint8, version: 2)
            return [
                (/"header":"[^"]*"/, #""header":"\#(Data(huge.bytes).base64EncodedString())""#),
                (/"header":"[^"]*"/, #""header":"""#), (/"tissueAtSides":[-0-9.e]+/, #""tissueAtSides":1e300"#),
                (/"tissueAtSides":[-0-9.e]+/, #""tissueAtSides":"inf""#), (/"zeros":[0-9]+/, #""zeros":-5"#),
                (/"zeros":[0-9]+/, #""zeros":9223372036854775807"#), (/"minimum":[-0-9.e]+/, #""minimum":1e308"#),
                (/"inflatedBytes":[0-9]+/, #""inflatedBytes":-9223372036854775808"#),
                (/"voxelsSha256":"[0-9a-f]+"/, #""voxelsSha256":"../../x""#),
            ]
        case .score:
            return [
                (/"reference_voxels":[0-9]+/, #""reference_voxels":9223372036854775807"#),
                (/"dice":[-0-9.e]+/, #""dice":1e300"#), (/"mssd_mm":[-0-9.e]+/, #""mssd_mm":"nan""#),
                (/"true_predictions":[0-9]+/, #""true_predictions":-1"#),
            ]
        case .segment:
            return [
                (/"hepar_version":"[^"]+"/, #""hepar_version":"9.9.9""#),
                (/"mask_sha256":"[0-9a-f]+"/, #""mask_sha256":"\#(String(repeating: "0", count: 64))""#),
                (/"input_sha256":"[0-9a-f]+"/, #""input_sha256":"\#(String(repeating: "0", count: 64))""#),
                (/"shape":\[[0-9, ]+\]/, #""shape":[1073741824,1073741824,1073741824]"#),
                (/"shape":\[[0-9, ]+\]/, #""shape":[]"#), (/"liver_volume_ml":[-0-9.e]+/, #""liver_volume_ml":-1"#),
                (/"dropped_count":[0-9]+/, #""dropped_count":9223372036854775807"#),
                (/"stage1_network":[-0-9.e]+/, #""surprise{}":1"#),
                (/"mean_hu":[-0-9.e]+/, #""mean_hu":"inf""#), (/"median_hu":[-0-9]+/, #""median_hu":3072"#),
                (/"deviation_hu":[-0-9.e]+/, #""deviation_hu":-1"#), (/"voxels":[0-9]+/, #""voxels":0"#),
                (/"density":\{[^}]*\}/, #""density":null"#),
                (/"needs_review":true/, #""needs_review":false"#), (/"full":false/, #""full":true"#),
            ]
        case .draw:
            return [
                (/"png":"[^"]{8}/, #""png":"AAAAAAAA"#), (/"number":[0-9]+/, #""number":-9223372036854775808"#),
                (/"fileNumber":[0-9]+/, #""fileNumber":9223372036854775807"#),
                (/"_0":\[/, #""_0":[],"x":["#),
            ]
        case .part, .object: return [(/true/, "1"), (/true/, "null"), (/true/, "[true]")]
        case .dicom:
            return [
                (/"rows":64/, #""rows":9223372036854775807"#), (/"slices":16/, #""slices":-1"#),
                (/"spacing_mm":\[2,2,4\]/, #""spacing_mm":[1e308,1e308]"#), (/"taken":true/, #""taken":false"#),
                (/"study":"1.2.3"/, #""study":"Doe^Jane""#), (/"files":16/, #""files":-1"#),
                (/"instance_numbers":\[/, #""instance_numbers":[9223372036854775807,"#),
                (/"locations_mm":\[/, #""locations_mm":[1e300,"#),
                (/"voxelsSha256":"[0-9a-f]+"/, #""voxelsSha256":"x""#),
            ]
        }
    }

    @Test(arguments: Kind.allCases)
    func whatIsSaidByHand(kind: Kind) throws {
        try withTemporaryFolder { folder in
            let stage = try Stage(in: folder, for: kind)
            for (lie, status) in Self.never {
                let told = try stage.told(kind, Data(lie.utf8), status: status)
                try stage.check(told, isRefusal: true, "\(kind) \(lie.prefix(80)) \(status)")
            }
            let truth = String(decoding: try stage.truth(of: kind), as: UTF8.self)
            for (found, replacement) in Self.changed(kind) {
                guard truth.contains(found) else {
                    Issue.record("the truth of \(kind) has nothing to replace by \(replacement)")
                    continue
                }
                let lie = truth.replacing(found, with: replacement, maxReplacements: 1)
                try stage.check(try stage.told(kind, Data(lie.utf8)), isRefusal: true, "\(kind) \(replacement)")
            }
            // The answer, and more of it.
            let twice = Data("\(truth)\n\(truth)\n".utf8)
            try stage.check(try stage.told(kind, twice), isRefusal: true, "\(kind) twice")
            // With the truth it goes on.
            #expect(try stage.answer(kind).status == 200)
        }
    }

    /// 200 MB without a line's end: a search from each piece's beginning took minutes of a thread.
    @Test(arguments: [Kind.judge, .draw, .dicom])
    func aLineWithoutEnd(kind: Kind) throws {
        try withTemporaryFolder { folder in
            let stage = try Stage(in: folder, for: kind)
            let told = try stage.told(kind, Data(repeating: UInt8(ascii: " "), count: 200 << 20))
            try stage.check(told, isRefusal: true, "\(kind) without end")
        }
    }

    /// Changes of the truth by chance, the same at each run. Some of them could be true: then they are believed.
    @Test(arguments: Kind.allCases)
    func whatIsSaidByChance(kind: Kind) throws {
        try withTemporaryFolder { folder in
            let stage = try Stage(in: folder, for: kind)
            let truth = Array(try stage.truth(of: kind))
            var chance = SplitMix64(seed: 20_270_401)
            for number in 0..<20 {
                let lie = Data(changedByChance(truth, &chance))
                try stage.check(try stage.told(kind, lie), isRefusal: nil, "\(kind) change \(number)")
            }
        }
    }
}

/// One or two numbers, texts or bytes replaced.
private func changedByChance(_ truth: [UInt8], _ chance: inout SplitMix64) -> [UInt8] {
    func below(_ limit: Int) -> Int { limit < 2 ? 0 : Int(chance.next() % UInt64(limit)) }
    let numbers = [
        "-1", "0", "1e300", "-1e300", "9223372036854775807", "-9223372036854775808", "1e19", "4294967296", "0.5",
        "1e-320",
        "\"nan\"", "null", "true", "[]", "{}", "\"\"",
    ]
    var said = truth
    for _ in 0...below(2) {
        let digits = said.indices.filter { (0x30...0x39).contains(said[$0]) }
        let place = below(said.count)
        switch below(4) {
        case 0, 1:
            guard !digits.isEmpty else { continue }
            var first = digits[below(digits.count)], end = first
            while first > 0, (0x30...0x39).contains(said[first - 1]) { first -= 1 }
            while end < said.count, (0x30...0x39).contains(said[end]) { end += 1 }
            said.replaceSubrange(first..<end, with: Array(numbers[below(numbers.count)].utf8))
        case 2: said[place] ^= 1 << UInt8(below(8))
        default: said.removeSubrange(place..<min(said.count, place + 1 + below(40)))
        }
    }
    return said
}
