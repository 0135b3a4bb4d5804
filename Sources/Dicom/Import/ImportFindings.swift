import Imaging

/// What an import changed, chose or left out, and what may matter for the result.
struct Findings {
    /// How many volumes a report lists; files of all kinds may hold thousands of single slices.
    static let listedVolumes = 200

    let stacks: [Stack]
    let choice: VolumeChoice
    let owners: Owners
    let voxels: VoxelNotes
    let doubled: Int
    let leftOut: [LeftOutReason: Int]
    let uids: DicomReport.UIDs?
    /// Whether the caller chose an acquisition, and so a part of the series.
    let choosesAcquisition: Bool

    private var taken: Stack { stacks[choice.taken] }

    /// All of them, those about the choice first.
    var all: [DicomReport.Finding] {
        (choiceFindings + stackFindings + fileFindings + voxelFindings).filter { $0.count > 0 }
    }

    private var choiceFindings: [DicomReport.Finding] {
        let refused = choice.betterRefused
        return [
            severalOwners("patients", owners.patients.count), severalOwners("studies", owners.studyUIDs), chosen,
            .init(
                .warning, "better_volume_refused", count: refused,
                """
                \(counted(refused, "volume")) that \(refused == 1 ? "comes" : "come") first by the rule could not be taken.
                """),
            partTaken,
            .init(
                .info, "volumes_not_listed", count: max(0, stacks.count - Self.listedVolumes),
                "The files hold \(counted(stacks.count, "volume")); \(Self.listedVolumes) are listed."),
        ]
    }

    private func severalOwners(_ what: String, _ count: Int) -> DicomReport.Finding {
        .init(
            .warning, "several_\(what)", count: count > 1 ? count : 0,
            """
            The files are of \(count) \(what). Volume \(choice.taken + 1), of patient \(owners.patient(of: taken.first) ?? 0) \
            and study \(owners.study(of: taken.first) ?? 0), was taken; check that it is the wanted one, or choose by study.
            """)
    }

    /// What was chosen among what, and why.
    private var chosen: DicomReport.Finding {
        let reasons = Criterion.allCases.compactMap { criterion -> String? in
            let numbers = choice.others.filter { $0.criterion == criterion }.map { $0.index + 1 }.sorted()
            guard !numbers.isEmpty else { return nil }
            let listed = numbers.prefix(10).map(String.init) + (numbers.count > 10 ? ["..."] : [])
            return "\(criterion.text) (\(listed.joined(separator: ", ")))"
        }
        let isGuess = choice.others.contains { !$0.criterion.isReason }
        return .init(
            isGuess ? .warning : .info, "volume_chosen", count: choice.others.count,
            """
            Volume \(choice.taken + 1) was taken of \(choice.others.count + 1) that could be. Not taken: \
            \(reasons.joined(separator: "; ")). Another is chosen by study, series or acquisition where these differ, or by \
            its number as volume.
            """)
    }

    /// Slices of the same series beyond the ends of what was taken.
    private var partTaken: DicomReport.Finding {
        let (low, high) = (taken.first.place, taken.slices[taken.slices.count - 1].place)
        let spacing = taken.spacing ?? 0
        let others = stacks.indices.filter { index in
            let stack = stacks[index]
            return index != choice.taken && !choosesAcquisition && stack.first.origin == taken.first.origin
                && stack.kind <= taken.kind && abs(dot(stack.first.normal, taken.first.normal)) > 0.999
        }
        let distances = others.flatMap { stacks[$0].slices }.compactMap { slice in
            slice.position.map { dot($0, taken.first.normal) }.map { max(low - $0, $0 - high) }
        }
        // A phase between the slices of another one sticks out by less than their distance.
        let isFar = distances.contains { $0 > 1.01 * spacing }
        let beyond = isFar ? distances.count { $0 > 0.5 * spacing } : 0
        return .init(
            .warning, "part_of_series", count: beyond,
            """
            \(counted(beyond, "slice")) of the same series beyond the ends of the volume taken \(beyond == 1 ? "is" : "are") in \
            another volume and \(beyond == 1 ? "was" : "were") left out. Check that the whole liver is inside.
            """)
    }

    private var stackFindings: [DicomReport.Finding] {
        let notes = taken.notes
        let isAmbiguous = uids.map { uids in
            !uids.areUnambiguous || [uids.study, uids.series, uids.frameOfReference, uids.sopClass].contains(nil)
        }
        return [
            .init(
                .warning, "acquisitions_overlap", count: notes.overlapping,
                """
                Acquisitions of the volume overlap: \(counted(notes.overlapping, "slice")) at \
                \(notes.overlapping == 1 ? "a position that was" : "positions that were") there already \
                \(notes.overlapping == 1 ? "was" : "were") left out.
                """),
            .init(
                .warning, "acquisitions_mixed", count: notes.strays,
                """
                \(counted(notes.strays, "slice")) of the volume \(notes.strays == 1 ? "is" : "are") of another acquisition or image \
                type than those above and below. Check that the contrast is the same.
                """),
            .init(
                .warning, "series_joined", count: notes.series > 1 ? notes.series : 0,
                "The volume was put together from \(notes.series) series of one or two slices each."),
            .init(
                .info, "frames_of_reference_differ", count: notes.framesOfReference > 1 ? notes.framesOfReference : 0,
                "The slices name \(notes.framesOfReference) frames of reference; they were taken as one."),
            .init(
                .info, "no_dicom_mask", count: isAmbiguous == true ? 1 : 0,
                """
                The slices' UIDs are missing, not those of one series and frame of reference, or not different in each \
                slice, so that no DICOM mask can refer to them.
                """),
        ]
    }

    private var fileFindings: [DicomReport.Finding] {
        let damaged = leftOut[.damaged, default: 0] + leftOut[.emptyFile, default: 0]
        let archives = leftOut[.archive, default: 0]
        return [
            .init(
                .warning, "damaged_files", count: damaged,
                """
                \(counted(damaged, "file")) \(damaged == 1 ? "is" : "are") empty or damaged and \
                \(damaged == 1 ? "was" : "were") left out.
                """),
            .init(
                .info, "archives_left_out", count: archives,
                """
                \(counted(archives, "archive")) within the zip \(archives == 1 ? "was" : "were") left out. If \
                \(archives == 1 ? "it holds" : "they hold") slices, send those unpacked.
                """),
            .init(
                .warning, "doubled_slices", count: doubled,
                "\(counted(doubled, "slice")) \(doubled == 1 ? "was" : "were") there twice; the copies were left out."),
        ]
    }

    private var voxelFindings: [DicomReport.Finding] {
        let lossy = taken.slices.count { $0.syntax.isLossy }
        return [
            .init(
                .warning, "padding_replaced", count: voxels.padded,
                "\(counted(voxels.padded, "voxel")) of padding or below -1024 HU were set to -1024 HU."),
            .init(
                .warning, "padding_kept", count: voxels.doubtfulPadding,
                """
                The padding value of \(counted(voxels.doubtfulPadding, "slice")) is one that tissue may have; it was not \
                replaced.
                """),
            .init(
                .warning, "hu_clamped", count: voxels.clamped,
                "\(counted(voxels.clamped, "voxel")) above 32767 HU were set to it."),
            .init(
                .warning, "hu_rounded", count: voxels.rounded,
                "Hounsfield units of \(counted(voxels.rounded, "slice")) were rounded to whole numbers."),
            .init(
                .warning, "lossy_compression", count: lossy,
                "\(counted(lossy, "slice")) \(lossy == 1 ? "was" : "were") compressed with loss before they were sent."),
        ]
    }
}

extension Criterion {
    /// Why a volume comes later than the one taken.
    fileprivate var text: String {
        switch self {
        case .kind: "computed from other images or a projection"
        case .kernel: "of a sharp kernel"
        case .plane: "not axial"
        case .phase: "not named portal-venous"
        case .slices: "fewer slices"
        case .spacing: "thicker slices"
        case .order: "alike, but later by series and acquisition number"
        }
    }
}

/// `1 slice`, `2 slices`.
func counted(_ count: Int, _ noun: String) -> String { "\(count) \(noun)\(count == 1 ? "" : "s")" }
