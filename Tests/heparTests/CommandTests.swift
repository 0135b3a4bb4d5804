import Compute
import Foundation
import Imaging
import Inference
import TestSupport
import Testing

/// The command line as a user meets it.
@Suite struct CommandTests {
    @Test func phantomSegmentEvaluatePreview() throws {
        try withTemporaryFolder { folder in
            let ct = folder.appending(path: "ct.nii.gz").path
            let reference = folder.appending(path: "reference.nii.gz").path
            let mask = folder.appending(path: "mask.nii.gz").path
            let report = folder.appending(path: "report.json")
            let picture = folder.appending(path: "preview.png")
            let made = try HeparProcess.run(
                "phantom", "--seed", "5", "--output", ct, "--reference", reference, "--shape", "112,96,24", "--spacing",
                "2,2,4", "--axes", "SRA", "--lesions", "3")
            #expect(made.status == 0, "\(made.error)")
            let segmented = try HeparProcess.run(
                "segment", ct, "--output", mask, "--report", report.path, "--reference", reference)
            #expect(segmented.status == 0, "\(segmented.error)")
            #expect(segmented.output.contains("Liver"))
            #expect(segmented.error.contains("1/2 finding the liver: 50 %"), "\(segmented.error)")
            let json = try #require(
                try JSONSerialization.jsonObject(with: Data(contentsOf: report)) as? [String: Any])
            let scores = try #require(json["scores"] as? [String: Any])

            let evaluated = try HeparProcess.run("evaluate", mask, reference, "--json")
            #expect(evaluated.status == 0, "\(evaluated.error)")
            let again = try #require(
                try JSONSerialization.jsonObject(with: Data(evaluated.output.utf8)) as? [String: Any])
            #expect(NSDictionary(dictionary: scores) == NSDictionary(dictionary: again))

            let perfect = try HeparProcess.run("evaluate", reference, reference, "--json")
            let best = try JSONSerialization.jsonObject(with: Data(perfect.output.utf8)) as? [String: Any]
            #expect((best?["liver"] as? [String: Any])?["dice"] as? Double == 1)

            let folders = [folder.appending(path: "masks"), folder.appending(path: "references")]
            for (place, file) in zip(folders, [mask, reference]) {
                try FileManager.default.createDirectory(at: place, withIntermediateDirectories: true)
                try FileManager.default.copyItem(atPath: file, toPath: place.appending(path: "a.nii.gz").path)
            }
            let set = try HeparProcess.run("evaluate", folders[0].path, folders[1].path, "--json")
            let means = try JSONSerialization.jsonObject(with: Data(set.output.utf8)) as? [String: Any]
            let mean = ((means?["liver"] as? [String: Any])?["dice"] as? [String: Any])?["mean"] as? Double
            #expect(mean == (scores["liver"] as? [String: Any])?["dice"] as? Double)
            try FileManager.default.removeItem(at: folders[0].appending(path: "a.nii.gz"))
            #expect(try HeparProcess.run("evaluate", folders[0].path, folders[1].path).status == 2)

            #expect(try HeparProcess.run("preview", ct, mask, "--output", picture.path).status == 0)
            #expect(try Data(contentsOf: picture).starts(with: [0x89, 0x50, 0x4E, 0x47]))
        }
    }

    @Test func theSameSeedGivesTheSameBytes() throws {
        try withTemporaryFolder { folder in
            let files = ["a", "b"].map { folder.appending(path: "\($0).nii.gz").path }
            for file in files {
                let made = try HeparProcess.run(
                    "phantom", "--seed", "7", "--output", file, "--reference", file + ".reference.nii.gz", "--shape",
                    "40,40,10", "--spacing", "9,9,20")
                #expect(made.status == 0, "\(made.error)")
            }
            #expect(try Data(contentsOf: URL(filePath: files[0])) == Data(contentsOf: URL(filePath: files[1])))
        }
    }

    @Test func theUsersErrorsExitWithTwo() throws {
        try withTemporaryFolder { folder in
            let text = folder.appending(path: "text.nii")
            try Data("not a scan".utf8).write(to: text)
            let mask = folder.appending(path: "mask.nii.gz").path
            let notNIfTI = try HeparProcess.run("segment", text.path, "--output", mask)
            #expect(notNIfTI.status == 2)
            #expect(!FileManager.default.fileExists(atPath: mask))
            #expect(try HeparProcess.run("segment", "/nowhere.nii", "--output", mask).status == 2)
            #expect(try HeparProcess.run("segment", text.path, "--output", "/nowhere/mask.nii.gz").status == 2)
            #expect(try HeparProcess.run("segment").status == 2)
            #expect(try HeparProcess.run("frobnicate").status == 2)
            #expect(try HeparProcess.run("segment", text.path, "--output", mask, "--model", "/nowhere").status == 2)
            #expect(try HeparProcess.run("check-config", environment: ["HEPAR_HTTP_PORT": "-1"]).status == 2)
            #expect(try HeparProcess.run("--help").status == 0)
        }
    }

    @Test func checkConfigTellsEveryFaultAtOnce() throws {
        let good = try HeparProcess.run("check-config", "--config", "config/hepar.yaml")
        #expect(good.status == 0, "\(good.error)")
        #expect(good.output.contains("http.port: 8080"))
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "hepar.yaml")
            try Data("http:\n  prot: 1\njobs:\n  workers: many\n".utf8).write(to: file)
            let bad = try HeparProcess.run(
                "check-config", "--config", file.path, environment: ["HEPAR_HTTP_IDLE_TIMEOUT_SECONDS": "0"])
            #expect(bad.status == 2)
            for fault in ["http.prot", "jobs.workers", "http.idle_timeout_seconds"] {
                #expect(bad.error.contains(fault), "\(bad.error)")
            }
        }
    }

    /// On one core of those that this process may use.
    @Test func moreThreadsThanCoresAreAWarning() throws {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let core = try #require(status.firstMatch(of: /Cpus_allowed_list:\s+(\d+)/)).1
        try withTemporaryFolder { folder in
            let ct = try SmallPhantom(in: folder).reference.path
            let outcome = try HeparProcess.run(
                URL(filePath: "/usr/bin/taskset"),
                ["-c", "\(core)", HeparProcess.executable.path, "evaluate", ct, ct, "--threads", "200"])
            #expect(outcome.status == 0, "\(outcome.error)")
            #expect(outcome.error.contains("--threads is 200, and this process may use 1 core,"), "\(outcome.error)")
        }
    }

    @Test func modelInfoNamesItsFacts() throws {
        let info = try HeparProcess.run("model", "info", "Models/default/liver.safetensors")
        #expect(info.status == 0)
        for fact in ["stage       liver", "width       16", "classes     2", "-40.0 to 160.0 HU"] {
            #expect(info.output.contains(fact), "\(info.output)")
        }
    }

    /// Thresholds are set without touching the weights, and a folder tells of all its files.
    @Test func modelSetChangesThresholds() throws {
        try withTemporaryFolder { folder in
            for name in ["liver", "lesion", "lesion-2"] {
                let source = name == "liver" ? "liver" : "lesion"
                try FileManager.default.copyItem(
                    at: SharedData.repository.appending(path: "Models/default/\(source).safetensors"),
                    to: folder.appending(path: "\(name).safetensors"))
            }
            let file = folder.appending(path: "lesion-2.safetensors")
            let before = try ModelFile(reading: file)
            let set = try HeparProcess.run("model", "set", file.path, "--lesion-extent", "0.15")
            #expect(set.status == 0, "\(set.error)")
            let after = try ModelFile(reading: file)
            #expect(after.metadata.lesionExtent == 0.15 && after.tensors == before.tensors)
            let info = try HeparProcess.run("model", "info", folder.path)
            #expect(info.output.contains("liver of at least 0.15 lesion is lesion"), "\(info.output)")
            #expect(info.output.components(separatedBy: "stage       lesion").count == 3)
            let liver = folder.appending(path: "liver.safetensors").path
            for arguments in [[liver, "--lesion-extent", "0.2"], [file.path, "--lesion-extent", "2"], [file.path]] {
                #expect(try HeparProcess.run(HeparProcess.executable, ["model", "set"] + arguments).status != 0)
            }
        }
    }

    @Test func modelRunAnswersForATensor() throws {
        try withTemporaryFolder { folder in
            let input = folder.appending(path: "in.safetensors")
            let output = folder.appending(path: "out.safetensors")
            var random = SplitMix64(seed: 1)
            let values = random.floats(2 * 5 * 32 * 48, in: -1...1)
            try Safetensors(tensors: ["input": Tensor(shape: [2, 5, 32, 48], values: values)]).write(to: input)
            let model = "Models/default/lesion.safetensors"
            let ran = try HeparProcess.run("model", "run", model, input.path, output.path)
            #expect(ran.status == 0, "\(ran.error)")
            let logits = try #require(try Safetensors(reading: output).tensors["logits"])
            #expect(logits.shape == [2, 3, 32, 48])

            try Safetensors(tensors: ["input": Tensor(shape: [1, 5, 30, 48], values: Array(values.prefix(7200)))])
                .write(to: input)
            let odd = try HeparProcess.run("model", "run", model, input.path, output.path)
            #expect(odd.status == 2)
            #expect(odd.error.contains("multiples of 16"))
        }
    }
}
