/// Which volume is taken, and what was passed over for it.
struct VolumeChoice {
    /// The index of the volume that is taken.
    var taken: Int
    /// How many volumes would have come first but cannot be taken.
    var betterRefused: Int
}

/// Takes the first sound volume by the rule of ``importDicom(_:work:output:options:team:)``.
///
/// - Throws: ``DicomError/seriesNotFound(found:)``, ``DicomError/acquisitionNotFound(found:)``; where no volume is
///   sound, the error of the one that comes first.
func choose(from stacks: [Stack], options: DicomOptions) throws(DicomError) -> VolumeChoice {
    var candidates = Array(stacks.indices)
    if let series = options.series {
        candidates = candidates.filter {
            let first = stacks[$0].first
            return first.series == series || first.seriesNumber.map(String.init) == series
        }
        guard !candidates.isEmpty else { throw .seriesNotFound(found: numbers(stacks.map(\.first.seriesNumber))) }
    }
    if let acquisition = options.acquisition {
        let found = candidates.map { stacks[$0].acquisitionNumber }
        candidates = candidates.filter { stacks[$0].acquisitionNumber == acquisition }
        guard !candidates.isEmpty else { throw .acquisitionNotFound(found: numbers(found)) }
    }
    // Stacks are in the order of series and acquisition number, which decides between equals.
    let ranked = candidates.sorted { a, b in
        let (first, second) = (rank(stacks[a]), rank(stacks[b]))
        return first == second ? a < b : first.lexicographicallyPrecedes(second)
    }
    guard let place = ranked.firstIndex(where: { stacks[$0].refusal == nil }) else {
        throw ranked.first.flatMap { stacks[$0].refusal } ?? .noCT(files: 0, leftOut: [])
    }
    // A few slices are no volume that anyone would miss.
    let missed = ranked[..<place].count { positions(of: stacks[$0].slices).count >= options.limits.slices }
    return VolumeChoice(taken: ranked[place], betterRefused: missed)
}

/// Smaller comes first.
private func rank(_ stack: Stack) -> [Double] {
    [
        stack.isAxial ? 0 : 1, stack.phase == .portalVenous ? 0 : 1, -Double(positions(of: stack.slices).count),
        stack.spacing ?? .infinity,
    ]
}

/// At most 20 different numbers, so that a sentence stays one.
private func numbers(_ found: [Int?]) -> [Int] { Array(Set(found.compactMap { $0 }).sorted().prefix(20)) }

/// What the import changed or what may matter for the result.
func findings(
    _ stack: Stack, notes: VoxelNotes, doubled: Int, refused: Int, leftOut: [LeftOutReason: Int]
) -> [DicomReport.Finding] {
    let lossy = stack.slices.count { $0.syntax.isLossy }
    let damaged = leftOut[.damaged, default: 0] + leftOut[.emptyFile, default: 0]
    let all: [(code: String, count: Int, message: String)] = [
        ("better_volume_refused", refused, "\(refused) volumes that come first by the rule could not be taken."),
        ("damaged_files", damaged, "\(damaged) files are empty or damaged and were left out."),
        ("doubled_slices", doubled, "\(doubled) slices were there twice; the copies were left out."),
        ("padding_replaced", notes.padded, "\(notes.padded) voxels of padding or below -1024 HU were set to -1024 HU."),
        (
            "padding_kept", notes.doubtfulPadding,
            "The padding value of \(notes.doubtfulPadding) slices is one that tissue may have; it was not replaced."
        ),
        ("hu_clamped", notes.clamped, "\(notes.clamped) voxels above 32767 HU were set to it."),
        ("hu_rounded", notes.rounded, "Hounsfield units of \(notes.rounded) slices were rounded to whole numbers."),
        ("lossy_compression", lossy, "\(lossy) slices were compressed with loss before they were sent."),
    ]
    return all.filter { $0.count > 0 }.map { DicomReport.Finding(code: $0.code, message: $0.message, count: $0.count) }
}
