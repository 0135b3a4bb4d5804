import Foundation
import TestSupport
import Testing

/// No command writes over what it reads, by whatever name it is called.
@Suite struct OverwritingTests {
    /// Names of `scan.nii.gz` in its folder: its own, with `..`, a link, a link to the folder, a hard link.
    static let names = [
        "scan.nii.gz", "inner/../scan.nii.gz", "link.nii.gz", "folder/scan.nii.gz", "hard.nii.gz", "./scan.nii.gz",
    ]

    /// A folder in which every one of ``names`` is the same file, and its content.
    private func withNames(_ body: (URL, Data) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let files = FileManager.default
            let scan = folder.appending(path: "scan.nii.gz")
            let content = Data("not a scan, and not to be lost".utf8)
            try content.write(to: scan)
            // Named as inputs too: what is not there is told before anything else.
            try content.write(to: folder.appending(path: "other.nii.gz"))
            try files.createDirectory(at: folder.appending(path: "inner"), withIntermediateDirectories: true)
            try files.createSymbolicLink(
                atPath: folder.appending(path: "link.nii.gz").path, withDestinationPath: "scan.nii.gz")
            try files.createSymbolicLink(atPath: folder.appending(path: "folder").path, withDestinationPath: ".")
            try files.linkItem(at: scan, to: folder.appending(path: "hard.nii.gz"))
            try body(folder, content)
            #expect(try Data(contentsOf: scan) == content)
        }
    }

    private func refuse(_ arguments: [String], naming words: String...) throws {
        let outcome = try HeparProcess.run(HeparProcess.executable, arguments)
        #expect(outcome.status == 2, "\(arguments)")
        #expect(outcome.error.contains("the same file as"), "\(arguments): \(outcome.error)")
        for word in words { #expect(outcome.error.contains(word), "\(arguments): \(outcome.error)") }
    }

    @Test(arguments: names)
    func inputsAreKept(name: String) throws {
        try withNames { folder, _ in
            let scan = folder.appending(path: "scan.nii.gz").path
            // Put together as text, so that ".." stays.
            let same = "\(folder.path)/\(name)"
            let other = folder.appending(path: "other.nii.gz").path
            try refuse(["segment", scan, "--output", same], naming: "--output", "the CT")
            try refuse(["segment", same, "--output", other, "--report", scan], naming: "--report", "the CT")
            try refuse(["segment", scan, "--output", other, "--probabilities", same], naming: "--probabilities")
            try refuse(
                ["segment", other, "--output", same, "--reference", scan], naming: "--output", "the reference")
            try refuse(["preview", scan, other, "--output", same], naming: "the CT")
            try refuse(["preview", other, scan, "--output", same], naming: "the mask")
            try refuse(["preview", other, other, "--reference", scan, "--output", same], naming: "the reference")
            try refuse(["import-dicom", other, scan, "--output", same], naming: "an input")
            try refuse(["model", "run", scan, other, same], naming: "the model")
            try refuse(["model", "run", other, scan, same], naming: "the input")
            try refuse(
                [
                    "train", "--stage", "liver", "--data", folder.path, "--output", "\(folder.path)/out", "--sheet",
                    same,
                ],
                naming: "--sheet", "--data")
        }
    }

    @Test func outputsDoNotReplaceOneAnother() throws {
        try withNames { folder, _ in
            let scan = folder.appending(path: "scan.nii.gz").path
            let (new, same) = ("\(folder.path)/new.nii.gz", "\(folder.path)/folder/new.nii.gz")
            try refuse(
                ["segment", scan, "--output", new, "--probabilities", same], naming: "--probabilities", "--output")
            try refuse(["segment", scan, "--output", new, "--report", same], naming: "--report", "--output")
            try refuse(["phantom", "--seed", "1", "--output", new, "--reference", same], naming: "--reference")
            #expect(!FileManager.default.fileExists(atPath: new))
        }
    }

    @Test func modelsAreKept() throws {
        try withTemporaryFolder { folder in
            let (model, scan) = (folder.appending(path: "liver.safetensors"), folder.appending(path: "scan.nii").path)
            try Data("a model".utf8).write(to: model)
            try Data("a scan".utf8).write(to: URL(filePath: scan))
            try refuse(
                ["segment", scan, "--output", scan + ".gz", "--model", folder.path, "--report", model.path],
                naming: "--report", "liver.safetensors")
            try refuse(
                [
                    "train", "--stage", "liver", "--data", folder.path, "--output", folder.path, "--init", model.path,
                ], naming: "--init")
            #expect(try Data(contentsOf: model) == Data("a model".utf8))
        }
    }

    /// Different files of the same name, and what is no file, are let through to the next check.
    @Test func othersAreNotRefused() throws {
        try withNames { folder, _ in
            let scan = folder.appending(path: "scan.nii.gz").path
            let inner = folder.appending(path: "inner/scan.nii.gz").path
            for output in [["--output", inner], ["--output", inner, "--report", "/dev/null"]] {
                let outcome = try HeparProcess.run(HeparProcess.executable, ["segment", scan] + output)
                #expect(outcome.status == 2)
                #expect(!outcome.error.contains("the same file as"), "\(outcome.error)")
            }
        }
    }
}
