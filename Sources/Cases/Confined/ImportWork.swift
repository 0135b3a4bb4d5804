import Compute
import Dicom
import Foundation
import Imaging
import Sandbox
import Segmentation

/// Makes one volume of DICOM files and judges it as an upload is judged, in one child.
package struct ImportWork: ConfinedWork {
    package static let name = "import-dicom"

    /// What came of it.
    package struct Output: Codable, Sendable {
        /// The volumes that were found, and which was taken.
        package let report: DicomReport
        /// What became of each file, if that was asked for.
        package let instances: [SentInstance]?
        /// The verdict on the volume, and on the reference with it.
        package let judged: JudgeWork.Output
    }

    /// DICOM files, of which one may be a zip of many.
    package let files: [URL]
    package let reference: URL?
    /// A folder that is there, for what a zip holds and for ``output``; the caller removes it.
    package let work: URL
    package let options: DicomOptions
    /// Whether what became of each file is told.
    package let tellsInstances: Bool
    /// What a volume may have.
    package let limits: VolumeLimits
    /// What the child may use. A scan of 2000 slices stays well within it.
    package var childLimits = ChildLimits()

    package init(
        files: [URL], reference: URL? = nil, work: URL, options: DicomOptions, tellsInstances: Bool = false,
        limits: VolumeLimits
    ) {
        self.files = files
        self.reference = reference
        self.work = work
        self.options = options
        self.tellsInstances = tellsInstances
        self.limits = limits
    }

    /// The volume, NIfTI.
    package var output: URL { work.appending(path: "image.nii.gz") }

    package var confinement: Confinement {
        Confinement(
            limits: childLimits, readable: (files + [reference].compactMap { $0 }).map(\.path),
            writable: [work.path])
    }

    /// Names and places of 20,000 slices.
    package static let answerLimits = (text: 4096, bytes: 16 << 20)

    package func couldGive(_ output: Output) -> Bool {
        output.report.isPossible(voxels: accepted.limits.voxels, uids: options.includeUIDs)
            && isPossible(output.instances) && judgement.couldGive(output.judged)
    }

    /// What a child may say of the files.
    func isPossible(_ instances: [SentInstance]?) -> Bool {
        (instances != nil) == tellsInstances && (instances?.count ?? 0) <= DicomLimits().files
            && instances?.allSatisfy(\.isPossible) ?? true
    }

    package func perform(progress: (SliceProgress) -> Void) throws -> Output {
        var sent: [SentInstance] = []
        let report: DicomReport
        do throws(DicomError) {
            report = try importDicom(
                files, work: work, output: output, options: accepted, team: ThreadTeam(threads: 1), told: { sent = $0 })
        } catch {
            throw WorkFailure.dicom(error, tellsInstances ? sent : nil)
        }
        return Output(
            report: report, instances: tellsInstances ? sent : nil, judged: try judgement.perform(progress: progress))
    }

    /// The options, with as many voxels as fit into the child's memory too.
    private var accepted: DicomOptions {
        var accepted = options
        accepted.limits.voxels = min(accepted.limits.voxels, limits.voxels, childLimits.voxels)
        return accepted
    }

    private var judgement: JudgeWork {
        var limits = limits
        // It was compressed here, and what came has limits of its own.
        limits.inflationRatio = .max
        return JudgeWork(image: output, reference: reference, limits: limits)
    }
}

extension Workshop {
    /// Imports DICOM files in a child.
    ///
    /// - Parameter told: told what became of each file, also where the import is refused.
    /// - Throws: ``DicomError`` for what is wrong with the files; `VolumeError` for what is wrong with their volume;
    ///   ``WorkerLost``.
    package func importDicom(
        _ work: ImportWork, told: ([SentInstance]) -> Void = { _ in }
    ) throws -> ImportWork.Output {
        do {
            let output = try run(work)
            guard isOrdinaryFile(work.output) else {
                throw WorkerLost(end: .lied, silenceSeconds: work.childLimits.silenceSeconds)
            }
            told(output.instances ?? [])
            return output
        } catch WorkFailure.dicom(let error, let instances) {
            guard work.isPossible(instances) else {
                throw WorkerLost(end: .lied, silenceSeconds: work.childLimits.silenceSeconds)
            }
            told(instances ?? [])
            throw error
        } catch let lost as WorkerLost where lost.end == .signalled(Int(SIGXFSZ)) {
            // Only a zip's entry can be that large: the volume is far smaller.
            throw DicomError.zipTooLarge(limitMiB: work.childLimits.fileMiB)
        }
    }
}

extension WorkerLost {
    /// The same, as an import's error: its code says that DICOM files were read.
    package var ofDicom: DicomError {
        switch end {
        case .notStarted: .importFailed(reason: .notStarted)
        case .timedOut: .timeout(seconds: silenceSeconds)
        case .signalled(Int(SIGXCPU)): .timeout(seconds: ChildLimits().cpuSeconds)
        case .signalled(let signal): .unreadable(signal: signal)
        case .tooTalkative, .lied, .exited: .unbelievable
        }
    }
}

extension DicomReport {
    /// What the import changed, in the form of all findings.
    package var asFindings: [Imaging.Finding] {
        findings.map { Imaging.Finding(code: $0.code, severity: $0.severity, message: $0.message) }
    }
}

/// Whether there is an ordinary file, and no link to one: what a child was to make.
package func isOrdinaryFile(_ url: URL) -> Bool {
    var facts = stat()
    return lstat(url.path, &facts) == 0 && facts.st_mode & S_IFMT == S_IFREG
}
