import Foundation

/// What else is made of a case, beside its mask and report.
struct CaseExtras {
    var preview = false, html = false, seg = false
}

/// A scan and where its results go.
struct CaseFiles {
    let scan: FoundScan
    let mask: URL
    var report: URL?
    var reference: URL?
    var probabilities: URL?
    /// What the names of all else begin with.
    private let base: URL

    /// One scan, with a mask of the user's name.
    init(scan: FoundScan, mask: URL, report: URL?, reference: URL?, probabilities: URL?) {
        (self.scan, self.mask, self.report) = (scan, mask, report)
        (self.reference, self.probabilities) = (reference, probabilities)
        base = mask.deletingLastPathComponent().appending(path: caseName(mask))
    }

    /// A scan of many, whose files in `folder` begin with its name.
    init(scan: FoundScan, in folder: URL) {
        self.scan = scan
        base = folder.appending(path: scan.name)
        mask = folder.appending(path: "\(scan.name)_mask.nii.gz")
        report = folder.appending(path: "\(scan.name)_report.json")
    }

    private func named(_ ending: String) -> URL {
        base.deletingLastPathComponent().appending(path: base.lastPathComponent + ending)
    }

    var preview: URL { named("_preview.png") }
    var page: URL { named("_report.html") }
    var object: URL { named("_seg.dcm") }

    /// Where a mask is written before it takes its place.
    var begun: URL { mask.deletingLastPathComponent().appending(path: ".hepar-\(mask.lastPathComponent)") }

    /// All that will be written.
    func outputs(_ extras: CaseExtras) -> [NamedFile] {
        [("--output", mask), ("--report", report), ("--probabilities", probabilities)]
            .compactMap { name, url in url.map { NamedFile(name, $0) } }
            + [
                (extras.preview, "--preview", preview), (extras.html, "--html", page), (extras.seg, "--seg", object),
            ].filter(\.0).map { NamedFile($1, $2) }
    }
}
