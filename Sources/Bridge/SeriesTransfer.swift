import Dicom
import Digests
import Foundation
import Logging

/// One CT series on its way to Hepar and back.
struct SeriesTransfer {
    let orthanc: Orthanc
    let hepar: HeparServer
    /// Made for a series and removed after it: it holds a patient's scan.
    let work: URL

    /// What became of a series: kept in Orthanc as its metadata.
    struct Note: Codable {
        /// Names the instances that the series had.
        let instances: String
        /// `stored`, or why there is no result.
        let outcome: String
        let job: String?
        /// Orthanc's name of the series that was stored.
        let segmentation: String?
    }

    /// Numbers that Orthanc leaves to its users: the note of a CT series, and a segmentation series' reports.
    static let note = 4700
    static let reports = [("json", 4701), ("html", 4702)]

    /// Sends a series and stores the result, unless that was done for the same instances before.
    ///
    /// What cannot succeed is noted in Orthanc and not tried again.
    func run(_ series: Orthanc.Series, logger: Logger) throws(BridgeFault) {
        var digest = ContentHash()
        for instance in series.instances.sorted() { digest.add(Data("\(instance)\n".utf8)) }
        let instances = digest.hexadecimal()
        if let kept = try orthanc.metadata(Self.note, ofSeries: series.id),
            let note = try? JSONDecoder().decode(Note.self, from: kept), note.instances == instances
        {
            return
        }
        guard try isComplete(series) else { return }
        let note: Note
        do throws(BridgeFault) {
            let (job, segmentation) = try transfer(series, logger: logger)
            note = Note(instances: instances, outcome: "stored", job: job, segmentation: segmentation)
        } catch .refused(let code) {
            logger.error("series has no result", metadata: ["code": "\(code)"])
            note = Note(instances: instances, outcome: code, job: nil, segmentation: nil)
        } catch {
            throw error
        }
        let data = (try? JSONEncoder().encode(note)) ?? Data()
        try orthanc.setMetadata(Self.note, ofSeries: series.id, to: data)
    }

    /// Whether no more instances come. Orthanc calls a study stable a moment before its series; where instances do come,
    /// the study will be stable once more.
    private func isComplete(_ series: Orthanc.Series) throws(BridgeFault) -> Bool {
        var now = series
        while !now.isStable {
            try orthanc.server.pause(1)
            guard let found = try orthanc.series(series.id), found.instances.count == series.instances.count else {
                return false
            }
            now = found
        }
        return true
    }

    private func transfer(
        _ series: Orthanc.Series, logger: Logger
    ) throws(BridgeFault) -> (job: String, segmentation: String) {
        defer { try? FileManager.default.removeItem(at: work) }
        guard mkdir(work.path, 0o700) == 0 || errno == EEXIST else { throw .refused(code: "work_folder") }
        var files: [URL] = []
        // In the order of names: the same series is the same zip.
        for (index, instance) in series.instances.sorted().enumerated() {
            let file = work.appending(path: "\(index).dcm")
            try orthanc.instance(instance, to: file)
            files.append(file)
        }
        let zip = work.appending(path: "series.zip")
        guard packZip(files, to: zip), let hash = try? ContentHash.ofFile(at: zip) else {
            throw .refused(code: "work_folder")
        }
        // The name is part of it: two series of the same bytes, in two studies, are two jobs.
        var key = ContentHash()
        key.add(Data("\(series.id)\n\(hash)\n".utf8))
        var job = try hepar.submit(zip, key: "orthanc-\(key.hexadecimal())")
        logger.info("series sent", metadata: ["job": "\(job.id)", "instances": .stringConvertible(files.count)])
        job = try hepar.end(of: job)
        guard job.state == "succeeded" else { throw .refused(code: job.failure?.code ?? job.state) }

        let anonymous = work.appending(path: "anonymous.seg.dcm")
        let named = work.appending(path: "seg.dcm")
        try hepar.segmentation(of: job, to: anonymous)
        do {
            try takeOverPatient(into: anonymous, from: files[0], to: named)
        } catch {
            throw .refused(code: "segmentation_refused")
        }
        guard let object = try? Data(contentsOf: named) else { throw .refused(code: "work_folder") }
        let stored = try orthanc.store(object)
        guard stored.study == series.study else { throw .refused(code: "other_study") }
        for (format, number) in Self.reports {
            try orthanc.attach(try hepar.report(of: job, as: format), as: number, toSeries: stored.series)
        }
        logger.info("segmentation stored", metadata: ["job": "\(job.id)", "orthanc": "\(stored.status)"])
        return (job.id, stored.series)
    }
}
