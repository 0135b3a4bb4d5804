import Foundation
import Imaging
import TestSupport
import Testing

/// The command line with the mistakes that everyone makes once: each message names the file and what to do.
@Suite struct MistakeTests {
    private let files = FileManager.default

    /// A case that cannot be scored is told by its file, and stops no other; a CT that lies there is such a one.
    @Test func evaluateScoresTheOthersAndNamesTheFile() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let (masks, references) = (folder.appending(path: "masks"), folder.appending(path: "references"))
            for place in [masks, references] { try files.createDirectory(at: place, withIntermediateDirectories: true) }
            for name in ["a", "b"] {
                try files.copyItem(at: phantom.reference, to: masks.appending(path: "\(name)_mask.nii.gz"))
            }
            try files.copyItem(at: phantom.ct, to: references.appending(path: "a.nii.gz"))
            try files.copyItem(at: phantom.reference, to: references.appending(path: "b_seg.nii.gz"))
            let ran = try HeparProcess.run("evaluate", masks.path, references.path, "--csv")
            #expect(ran.status == 2)
            #expect(ran.error.contains("references/a.nii.gz: The mask holds the value"), "\(ran.error)")
            #expect(ran.output.split(separator: "\n").dropFirst().map { $0.prefix(11) } == ["b,1.000000,"])

            try files.removeItem(at: references.appending(path: "b_seg.nii.gz"))
            let none = try HeparProcess.run("evaluate", masks.path, references.path, "--csv")
            #expect(none.status == 2 && none.output.isEmpty, "\(none.output)")

            let swapped = try HeparProcess.run("evaluate", phantom.ct.path, phantom.reference.path)
            #expect(swapped.status == 2)
            #expect(swapped.error.contains("\(phantom.ct.lastPathComponent): The mask holds"), "\(swapped.error)")
        }
    }

    /// A folder of DICOM is an input, with folders in it and what is not DICOM; one without DICOM is refused.
    @Test func importTakesAFolder() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let study = folder.appending(path: "study")
            _ = try DicomPhantom(phantom.volume, in: study.appending(path: "series"))
            try Data("notes".utf8).write(to: study.appending(path: "notes.txt"))
            let output = folder.appending(path: "out.nii.gz").path
            let ran = try HeparProcess.run("import-dicom", study.path, "--output", output)
            #expect(ran.status == 0, "\(ran.error)")
            #expect(ran.output.contains("112 x 96 x 24") && ran.output.contains(": taken"), "\(ran.output)")
            #expect(!ran.output.contains("left out"), "\(ran.output)")
            #expect(files.fileExists(atPath: output))

            let empty = folder.appending(path: "empty")
            try files.createDirectory(at: empty, withIntermediateDirectories: true)
            let none = try HeparProcess.run("import-dicom", empty.path, "--output", output)
            #expect(none.status == 2 && none.error.contains("empty holds no DICOM file"), "\(none.error)")
            let lost = try HeparProcess.run("import-dicom", "/nowhere/a.zip", "--output", output)
            #expect(lost.status == 2, "\(lost.error)")
            #expect(lost.error.contains("There is no file or folder /nowhere/a.zip."), "\(lost.error)")
            let dicom = folder.appending(path: "o.dcm").path
            let name = try HeparProcess.run("import-dicom", study.path, "--output", dicom)
            #expect(name.status == 2 && !name.error.contains("Usage"), "\(name.error)")
        }
    }

    @Test func segmentNamesWhatIsNotThere() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder)
            let mask = folder.appending(path: "mask.nii.gz").path
            func refused(_ arguments: String..., by sentence: String) throws {
                let ran = try HeparProcess.run(HeparProcess.executable, ["segment"] + arguments)
                #expect(ran.status == 2 && ran.error.contains(sentence), "\(ran.error)")
                #expect(!files.fileExists(atPath: mask))
            }
            try refused("/nowhere/ct.nii", "--output", mask, by: "There is no file or folder /nowhere/ct.nii.")
            try refused(
                phantom.ct.path, "--output", mask, "--reference", "/nowhere/r.nii",
                by: "There is no file or folder /nowhere/r.nii.")
            try refused(phantom.ct.path, "--output", mask, "--seg", by: "none of these is DICOM")
        }
    }
}
