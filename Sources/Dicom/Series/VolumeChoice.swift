/// The patients and studies of the files, counted from 1.
struct Owners {
    private struct Study: Hashable { let patient, study: String }

    private(set) var patients: [String: Int] = [:]
    private var numbers: [Study: Int] = [:]

    /// How many studies there are, two patients' ones counted apart.
    var studies: Int { numbers.count }
    /// How many StudyInstanceUIDs there are.
    var studyUIDs: Int { Set(numbers.keys.map(\.study)).count }

    /// Counts in the order of the slices that come first.
    init(of slices: [SliceHeader]) {
        var firsts: [Origin: SliceHeader] = [:]
        for slice in slices where firsts[slice.origin].map({ precedes(slice, $0) }) ?? true {
            firsts[slice.origin] = slice
        }
        for slice in firsts.values.sorted(by: precedes) {
            let study = Study(patient: slice.origin.patient, study: slice.origin.study)
            patients[study.patient] = patients[study.patient] ?? patients.count + 1
            numbers[study] = numbers[study] ?? numbers.count + 1
        }
    }

    func patient(of slice: SliceHeader) -> Int? { patients[slice.origin.patient] }

    func study(of slice: SliceHeader) -> Int? {
        numbers[Study(patient: slice.origin.patient, study: slice.origin.study)]
    }
}

/// Which volume is taken, and what was passed over for it.
struct VolumeChoice {
    /// The index of the volume that is taken.
    var taken: Int
    /// How many volumes would have come first but cannot be taken.
    var betterRefused: Int
    /// What could have been taken instead, with the first criterion by which it comes later.
    var others: [(index: Int, criterion: Criterion)]
}

/// What decides between volumes, in this order.
enum Criterion: Int, CaseIterable {
    case kind, kernel, plane, phase, slices, spacing, order

    /// Whether it says that the volume taken suits better; the later ones only decide.
    var isReason: Bool { rawValue <= Criterion.phase.rawValue }
}

/// The slices but for those of the wanted study and series that are of another than the wanted acquisition.
///
/// - Throws: ``DicomError/studyNotFound(found:)``, ``DicomError/seriesNotFound(found:)``,
///   ``DicomError/acquisitionNotFound(found:)``.
func chosen(
    _ slices: [SliceHeader], _ owners: Owners, _ options: DicomOptions
) throws(DicomError) -> [SliceHeader] {
    if options.study != nil, !slices.contains(where: { isOfStudy($0, owners, options) }) {
        throw .studyNotFound(found: owners.studies)
    }
    let candidates = slices.filter { isWanted($0, owners, options) }
    guard !candidates.isEmpty else {
        throw .seriesNotFound(found: numbers(slices.filter { isOfStudy($0, owners, options) }.map(\.seriesNumber)))
    }
    guard let acquisition = options.acquisition else { return slices }
    guard candidates.contains(where: { $0.acquisitionNumber == acquisition }) else {
        throw .acquisitionNotFound(found: numbers(candidates.map(\.acquisitionNumber)))
    }
    return slices.filter { $0.acquisitionNumber == acquisition || !isWanted($0, owners, options) }
}

private func isOfStudy(_ slice: SliceHeader, _ owners: Owners, _ options: DicomOptions) -> Bool {
    guard let study = options.study else { return true }
    return slice.study == study || owners.study(of: slice).map(String.init) == study
}

private func isWanted(_ slice: SliceHeader, _ owners: Owners, _ options: DicomOptions) -> Bool {
    guard let series = options.series else { return isOfStudy(slice, owners, options) }
    return isOfStudy(slice, owners, options)
        && (slice.series == series || slice.seriesNumber.map(String.init) == series)
}

/// Takes the first sound volume by the rule of ``importDicom(_:work:output:options:team:told:)``.
///
/// - Throws: where no volume is sound, the error of the one that comes first; ``DicomError/volumeNotFound(found:)``.
func choose(from stacks: [Stack], _ owners: Owners, options: DicomOptions) throws(DicomError) -> VolumeChoice {
    let candidates = stacks.indices.filter { index in
        let stack = stacks[index]
        let isAcquired = options.acquisition.map { stack.acquisitionNumbers == [$0] } ?? true
        let isNumbered = options.volume.map { $0 == index + 1 } ?? true
        return isAcquired && isNumbered && stack.slices.contains { isWanted($0, owners, options) }
    }
    if options.volume != nil, candidates.isEmpty { throw .volumeNotFound(found: stacks.count) }
    // Stacks are in the order of series and acquisition number, which decides between equals.
    let ranks = candidates.map { (index: $0, rank: rank(stacks[$0])) }.sorted { a, b in
        a.rank == b.rank ? a.index < b.index : a.rank.lexicographicallyPrecedes(b.rank)
    }
    guard let place = ranks.firstIndex(where: { stacks[$0.index].refusal == nil }) else {
        throw ranks.first.flatMap { stacks[$0.index].refusal } ?? .noCT(files: 0, leftOut: [])
    }
    // A few slices are no volume that anyone would miss.
    let missed = ranks[..<place].count { stacks[$0.index].positions >= options.limits.slices }
    let taken = ranks[place]
    let others = ranks[(place + 1)...].filter { stacks[$0.index].refusal == nil }.map { other in
        let first = zip(other.rank, taken.rank).enumerated().first { $0.element.0 != $0.element.1 }
        return (index: other.index, criterion: first.flatMap { Criterion(rawValue: $0.offset) } ?? .order)
    }
    return VolumeChoice(taken: taken.index, betterRefused: missed, others: others)
}

/// A number for each ``Criterion`` but the last; smaller comes first.
private func rank(_ stack: Stack) -> [Double] {
    [
        Double(stack.kind.rank), stack.kernel == .sharp ? 1 : 0, stack.plane == .axial ? 0 : 1,
        stack.phase == .portalVenous ? 0 : 1, -Double(stack.positions), stack.spacing ?? .infinity,
    ]
}

/// At most 20 different numbers, so that a sentence stays one.
private func numbers(_ found: [Int?]) -> [Int] { Array(Set(found.compactMap { $0 }).sorted().prefix(20)) }
