import Compute
import Foundation
import Imaging
import Phantom
import TestSupport
import Testing

/// `hepar segment` of what people have: folders, DICOM, files that are no scans.
@Suite(.serialized) struct SegmentFolderTests {
    private let files = FileManager.default

    private func segment(_ arguments: String...) throws -> HeparProcess.Outcome {
        try HeparProcess.run(HeparProcess.executable, ["segment"] + arguments)
    }

    /// A folder `in` with `a_ct.nii.gz`, its reference `a_seg.nii.gz`, a DICOM series in `series`, a text, and a scan that is none.
    private func withScans(_ body: (_ folder: URL, _ dicom: DicomPhantom) throws -> Void) throws {
        try withTemporaryFolder { folder in
            let scans = folder.appending(path: "in")
            try files.createDirectory(at: scans, withIntermediateDirectories: true)
            let phantom = try SmallPhantom(in: folder)
            try files.moveItem(at: phantom.ct, to: scans.appending(path: "a_ct.nii.gz"))
            try files.moveItem(at: phantom.reference, to: scans.appending(path: "a_seg.nii.gz"))
            try Data("not a scan".utf8).write(to: scans.appending(path: "broken.nii.gz"))
            try Data("notes".utf8).write(to: scans.appending(path: "notes.txt"))
            let dicom = try DicomPhantom(phantom.volume, in: scans.appending(path: "series"))
            try body(folder, dicom)
        }
    }

    private func rows(_ file: URL) throws -> [[String: String]] {
        let lines = try String(contentsOf: file, encoding: .utf8).split(separator: "\n").map {
            $0.split(separator: ",", omittingEmptySubsequences: false).map(String.init)
        }
        return lines.dropFirst().map { Dictionary(uniqueKeysWithValues: zip(lines[0], $0)) }
    }

    /// Everything is made, the file that is no scan stops nobody, and the exit code tells of it.
    @Test func scansOfEveryKindIntoAFolder() throws {
        try withScans { folder, dicom in
            let (scans, out) = (folder.appending(path: "in"), folder.appending(path: "out"))
            let ran = try segment(scans.path, "--output", out.path, "--preview", "--html", "--seg")
            #expect(ran.status == 2, "\(ran.error)")
            #expect(ran.error.contains("broken: ") && ran.error.contains("scan 3 of 3"), "\(ran.error)")
            #expect(ran.output.contains("a: Liver ") && ran.output.contains("series: Liver "), "\(ran.output)")
            let names = try files.contentsOfDirectory(atPath: out.path).sorted()
            #expect(
                names == [
                    "a_mask.nii.gz", "a_preview.png", "a_report.html", "a_report.json", "lesions.csv",
                    "series_mask.nii.gz", "series_preview.png", "series_report.html", "series_report.json",
                    "series_seg.dcm", "volumes.csv",
                ])
            let volumes = try rows(out.appending(path: "volumes.csv"))
            #expect(volumes.map { $0["name"] } == ["a", "broken", "series"])
            #expect(volumes.map { $0["state"] } == ["done", "failed", "done"])
            #expect((volumes[0]["liver_ml"].flatMap(Double.init) ?? 0) > 300)
            #expect(volumes[0]["liver_mean_hu"].flatMap(Double.init) != nil && volumes[1]["error"]?.isEmpty == false)

            // The same voxels by both ways, and DICOM's numbers beside the file's.
            let lesions = try rows(out.appending(path: "lesions.csv"))
            let (a, series) = (lesions.filter { $0["name"] == "a" }, lesions.filter { $0["name"] == "series" })
            #expect(!a.isEmpty && a.map { $0["volume_ml"] } == series.map { $0["volume_ml"] })
            #expect(a.allSatisfy { $0["diameter_instance_number"] == "" })
            for lesion in series {
                let slice = try #require(lesion["diameter_slice"].flatMap(Int.init))
                #expect(lesion["diameter_instance_number"] == "\(dicom.instanceNumbers[slice])")
            }
            let page = try String(contentsOf: out.appending(path: "series_report.html"), encoding: .utf8)
            let number = try #require(series.first?["diameter_instance_number"])
            #expect(page.contains("(image \(number))") && page.contains("Scan series"))
            #expect(
                try Data(contentsOf: out.appending(path: "series_seg.dcm")).dropFirst(128).starts(
                    with: Data("DICM".utf8)))
            #expect(try Data(contentsOf: out.appending(path: "a_preview.png")).starts(with: [0x89, 0x50, 0x4E, 0x47]))

            try whatIsDoneIsLeft(scans, out)
        }
    }

    /// A mask is left where it is whole and of the same scan, model and options; half a mask is made again, a person's is kept.
    private func whatIsDoneIsLeft(_ scans: URL, _ out: URL) throws {
        let (a, series) = (out.appending(path: "a_mask.nii.gz"), out.appending(path: "series_mask.nii.gz"))
        let whole = try Data(contentsOf: a)
        func number(_ file: URL) throws -> UInt64? {
            try files.attributesOfItem(atPath: file.path)[.systemFileNumber] as? UInt64
        }
        let before = try number(series)
        try files.removeItem(at: out.appending(path: "series_preview.png"))
        try whole.prefix(whole.count / 2).write(to: a)
        let again = try segment(scans.path, "--output", out.path, "--preview")
        #expect(again.status == 2 && again.output.contains("series: done before"), "\(again.output)")
        #expect(try number(series) == before && !again.output.contains("a: done before"))
        #expect(try Data(contentsOf: a) == whole)
        #expect(files.fileExists(atPath: out.appending(path: "series_preview.png").path))

        // Other options make other masks.
        let full = try segment(scans.path, "--output", out.path, "--full")
        #expect(!full.output.contains("done before"), "\(full.output)")

        // A mask by hand is nobody's to replace; nor is one that no report tells of.
        let hand = try Data(contentsOf: scans.appending(path: "a_seg.nii.gz"))
        try hand.write(to: a)
        try files.removeItem(at: out.appending(path: "series_report.json"))
        let lone = try Data(contentsOf: series)
        let refused = try segment(scans.path, "--output", out.path)
        #expect(refused.status == 2 && refused.error.contains("a: a_mask.nii.gz is there"), "\(refused.error)")
        #expect(refused.error.contains("series: series_mask.nii.gz is there"), "\(refused.error)")
        #expect(try Data(contentsOf: a) == hand && Data(contentsOf: series) == lone)
    }

    /// Names are not ours: none breaks out of its cell or is computed by a spreadsheet, and a pipe is passed over.
    @Test func hostileNamesStayInTheirCells() throws {
        try withTemporaryFolder { folder in
            let (scans, out) = (folder.appending(path: "in"), folder.appending(path: "out"))
            try files.createDirectory(at: scans, withIntermediateDirectories: true)
            // Behind a comma, and behind a quote, a combining mark.
            for name in ["=1+1", "@sum", "-5", "a,\u{301}b", "q\"\u{301},x", "two\nlines", "cr\rlf"] {
                try Data("no scan".utf8).write(to: scans.appending(path: name + ".nii.gz"))
            }
            #expect(mkfifo(scans.appending(path: "pipe").path, 0o600) == 0)
            let ran = try segment(scans.path, "--output", out.path)
            #expect(ran.status == 2, "\(ran.error)")
            let table = try Data(contentsOf: out.appending(path: "volumes.csv"))
            for cell in [
                "\n'=1+1,failed,", "\n'@sum,failed,", "\n-5,failed,", "\n\"a,\u{301}b\",failed,",
                "\n\"q\"\"\u{301},x\",failed,", "\n\"two\nlines\",failed,", "\n\"cr\rlf\",failed,",
            ] {
                #expect(table.range(of: Data(cell.utf8)) != nil, "\(cell)")
            }
        }
    }

    /// One DICOM series, given by its folder or by its files, to one mask; what else is wanted is beside it.
    @Test func oneSeriesToOneMask() throws {
        try withScans { folder, _ in
            let series = folder.appending(path: "in/series")
            let mask = folder.appending(path: "liver.nii.gz")
            let ran = try segment(series.path, "--output", mask.path, "--html", "--seg")
            #expect(ran.status == 0 && ran.output.contains("Liver without lesions and rim: mean "), "\(ran.error)")
            for name in ["liver.nii.gz", "liver_report.html", "liver_seg.dcm"] {
                #expect(files.fileExists(atPath: folder.appending(path: name).path), "\(name)")
            }
            let many = try segment(folder.appending(path: "in").path, "--output", mask.path)
            #expect(many.status == 2 && many.error.contains("there are 3 scans"), "\(many.error)")
            let report = try segment(
                series.path, "--output", folder.appending(path: "out").path, "--report", "r.json")
            #expect(report.status == 2 && report.error.contains("--report is for one scan"), "\(report.error)")
        }
    }

    /// Names stay apart, the output folder is no input, and no output is an input.
    @Test func namesAndPlaces() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder, shape: Shape(64, 64, 16))
            for patient in ["p1", "p2"] {
                let place = folder.appending(path: "all/\(patient)")
                try files.createDirectory(at: place, withIntermediateDirectories: true)
                try files.copyItem(at: phantom.ct, to: place.appending(path: "ct.nii.gz"))
            }
            let all = folder.appending(path: "all")
            for _ in 0..<2 {
                let ran = try segment(all.path, "--output", all.appending(path: "masks").path)
                #expect(ran.status == 0, "\(ran.error)")
            }
            let names = try files.contentsOfDirectory(atPath: all.appending(path: "masks").path).sorted()
            #expect(
                names == [
                    "lesions.csv", "p1-ct_mask.nii.gz", "p1-ct_report.json", "p2-ct_mask.nii.gz", "p2-ct_report.json",
                    "volumes.csv",
                ])

            // The mask's place is the scan, by a hard link.
            let (scan, place) = (folder.appending(path: "x.nii.gz"), folder.appending(path: "place"))
            try files.copyItem(at: phantom.ct, to: scan)
            try files.createDirectory(at: place, withIntermediateDirectories: true)
            try files.linkItem(at: scan, to: place.appending(path: "x_mask.nii.gz"))
            let before = try Data(contentsOf: scan)
            let ran = try segment(scan.path, "--output", place.path)
            #expect(ran.status == 2 && ran.error.contains("the same file as the CT"), "\(ran.error)")
            #expect(try Data(contentsOf: scan) == before)
            let other = try segment(scan.path, "--output", folder.appending(path: "mask.mgz").path)
            #expect(other.status == 2 && other.error.contains("must end in .nii.gz"), "\(other.error)")
            let empty = folder.appending(path: "empty")
            try files.createDirectory(at: empty, withIntermediateDirectories: true)
            let none = try segment(empty.path, "--output", folder.appending(path: "out").path)
            #expect(none.status == 2 && none.error.contains("holds no .nii"), "\(none.error)")
        }
    }

    /// Folders are scored case by case; what has no partner is told; names may end in _ct, _seg and _mask.
    @Test func foldersAreScoredCaseByCase() throws {
        try withTemporaryFolder { folder in
            let phantom = try SmallPhantom(in: folder, shape: Shape(64, 64, 16))
            let (masks, truths) = (folder.appending(path: "masks"), folder.appending(path: "truths"))
            for place in [masks, truths] { try files.createDirectory(at: place, withIntermediateDirectories: true) }
            let team = ThreadTeam(threads: 1)
            let map = try readLabels(at: phantom.reference, limits: VolumeLimits(), team: team)
            var smaller = map.volume
            for index in 0..<smaller.voxels.count / 2 { smaller.voxels[index] = 0 }
            try writeLabels(smaller, like: map.header, to: masks.appending(path: "two_mask.nii.gz"), team: team)
            try files.copyItem(at: phantom.reference, to: masks.appending(path: "one_mask.nii.gz"))
            try files.copyItem(at: phantom.reference, to: masks.appending(path: "alone_mask.nii.gz"))
            for name in ["one", "two", "other"] {
                try files.copyItem(at: phantom.ct, to: truths.appending(path: "\(name)_ct.nii.gz"))
                try files.copyItem(at: phantom.reference, to: truths.appending(path: "\(name)_seg.nii.gz"))
            }
            func evaluate(_ option: String...) throws -> HeparProcess.Outcome {
                try HeparProcess.run(HeparProcess.executable, ["evaluate", masks.path, truths.path] + option)
            }
            let text = try evaluate()
            #expect(text.status == 0, "\(text.error)")
            #expect(
                text.error.contains("warning: alone_mask.nii.gz") && text.error.contains("warning: other_seg.nii.gz"))
            #expect(
                text.output.contains("one  1.0000") && text.output.contains("deviation")
                    && text.output.contains("2 cases"))

            let table = folder.appending(path: "table.csv")
            try Data(try evaluate("--csv").output.utf8).write(to: table)
            let rows = try rows(table)
            #expect(rows.map { $0["name"] } == ["one", "two"])
            let dice = rows.compactMap { $0["liver_dice"].flatMap(Double.init) }
            #expect(dice.count == 2 && dice[0] == 1 && dice[1] < 0.9)

            let json = try #require(
                try JSONSerialization.jsonObject(with: Data(try evaluate("--json").output.utf8)) as? [String: Any])
            let mean = try #require((json["liver"] as? [String: Any])?["dice"] as? [String: Any])
            let (middle, deviation) = (mean["mean"] as? Double ?? 0, mean["deviation"] as? Double ?? 0)
            #expect(abs(middle - (1 + dice[1]) / 2) < 1e-6 && abs(deviation - (1 - dice[1]) / 2.0.squareRoot()) < 1e-5)
            #expect((json["each"] as? [[String: Any]])?.map { $0["name"] as? String } == ["one", "two"])
            #expect(try evaluate("--json", "--csv").status == 2)
        }
    }
}
