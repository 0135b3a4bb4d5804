import Foundation

/// What was done to make a stack of slices that do not quite agree, and what they do not agree in.
struct StackNotes {
    /// How many series it was put together from.
    var series = 1
    /// How many slices were left out where its acquisitions overlap.
    var overlapping = 0
    /// How many slices are of another acquisition or image type than the others that they lie among.
    var strays = 0
    /// How many frames of reference the slices name.
    var framesOfReference = 1
}

/// Slices at places of one line, sorted along it: what may become a volume, or why it cannot.
struct Stack {
    /// In the order of their place along the normal.
    let slices: [SliceHeader]
    /// Distance between slices in mm; nil where the stack is refused before it was measured.
    var spacing: Double?
    /// Why the stack cannot become a volume.
    var refusal: DicomError?
    var notes = StackNotes()
    /// AcquisitionNumbers of its slices, in their order.
    let acquisitionNumbers: [Int]
    /// The phase that any slice names.
    let phase: ContrastPhase
    /// The kind and the kernel of the slices, the least wanted of several.
    let kind: ImageKind
    let kernel: KernelKind
    /// How many positions there are.
    let positions: Int

    /// The first slice, which speaks for what all have in common.
    var first: SliceHeader { slices[0] }
    /// AcquisitionNumber, where all slices have the same.
    var acquisitionNumber: Int? {
        slices.allSatisfy { $0.acquisitionNumber == first.acquisitionNumber } ? first.acquisitionNumber : nil
    }
    /// The plane that slices are nearest to.
    var plane: Plane {
        let (x, y, z) = (abs(first.normal.x), abs(first.normal.y), abs(first.normal.z))
        return z > max(x, y) ? .axial : y > x ? .coronal : .sagittal
    }

    /// A stack that is known to be refused, or is to be judged.
    ///
    /// - Parameter slices: sorted by place.
    init(_ slices: [SliceHeader], refusal: DicomError? = nil) {
        self.slices = slices
        self.refusal = refusal
        acquisitionNumbers = Set(slices.compactMap(\.acquisitionNumber)).sorted()
        phase = slices.lazy.map(\.phase).first { $0 != .unknown } ?? .unknown
        kind = slices.map(\.kind).max() ?? .derived
        kernel = slices.contains { $0.kernel == .sharp } ? .sharp : slices[0].kernel
        positions = Dicom.positions(of: slices).count
    }

    /// Judges slices that are of one series and grid, sorted by place.
    init(_ slices: [SliceHeader], limits: DicomLimits) {
        self.init(slices)
        do throws(DicomError) {
            try checkPixels(limits)
            guard slices.count >= limits.slices else {
                throw .tooFewSlices(found: slices.count, needed: limits.slices)
            }
            spacing = try evenSpacing(of: self.slices)
            try checkSpacing()
        } catch {
            refusal = error
        }
    }

    private func checkPixels(_ limits: DicomLimits) throws(DicomError) {
        guard kind != .notHU else { throw .notHU }
        for slice in slices {
            guard slice.syntax != .other else { throw .unsupportedSyntax }
            guard slice.samples == 1, slice.bits == 8 || slice.bits == 16 else {
                throw .unsupportedPixels(bits: slice.bits, samples: slice.samples)
            }
            // Beyond these no stored value of 16 bits gives Hounsfield units.
            guard slice.slope > 0, slice.slope <= 1000, abs(slice.intercept) <= 100_000 else { throw .badScaling }
        }
        let (area, overflow) = first.rows.multipliedReportingOverflow(by: first.columns)
        let (voxels, overflow2) = area.multipliedReportingOverflow(by: slices.count)
        guard !overflow, !overflow2, first.rows <= 4096, first.columns <= 4096, voxels <= limits.voxels else {
            throw .tooLarge(slices: slices.count, rows: first.rows, columns: first.columns, limit: limits.voxels)
        }
        guard first.rows >= 2, first.columns >= 2 else { throw .unsupportedPixels(bits: first.bits, samples: 1) }
        let isSquare = abs(dot(first.alongRow, first.alongColumn)) < 1e-3
        let isUnit = [first.alongRow, first.alongColumn].allSatisfy { abs(dot($0, $0) - 1) < 2e-3 }
        guard isSquare, isUnit else { throw .badOrientation }
    }

    private func checkSpacing() throws(DicomError) {
        for spacing in [first.columnSpacing, first.rowSpacing, spacing ?? 0] where !(0.1...20).contains(spacing) {
            throw .badSpacing(millimetres: spacing)
        }
    }
}

extension SliceHeader {
    /// Millimetres along the slice's normal.
    var place: Double { position.map { dot($0, normal) } ?? 0 }
}

/// Places nearer than this, in mm, are one: far below any spacing, far above rounding.
let samePlace = 0.01

/// Slices sorted by place, grouped by it; a group of several is a repeated position.
func positions(of slices: [SliceHeader]) -> [Range<Int>] {
    var groups: [Range<Int>] = []
    var begin = 0
    for end in slices.indices.dropFirst() where slices[end].place - slices[end - 1].place >= samePlace {
        groups.append(begin..<end)
        begin = end
    }
    if begin < slices.count { groups.append(begin..<slices.count) }
    return groups
}

/// How many of the slices, sorted by place, are at the position that has most.
func mostAtOnePosition(_ slices: [SliceHeader]) -> Int { positions(of: slices).map(\.count).max() ?? 0 }

/// Whether two of the slices, sorted by place, are at one position.
func hasRepeats(_ slices: [SliceHeader]) -> Bool {
    zip(slices, slices.dropFirst()).contains { $1.place - $0.place < samePlace }
}

/// Whether slices sorted by place have one distance between them.
func isEven(_ slices: [SliceHeader]) -> Bool {
    do throws(DicomError) {
        _ = try evenSpacing(of: slices)
        return true
    } catch {
        return false
    }
}

/// The one distance between slices sorted along their normal.
///
/// - Returns: mm, the mean: each slice lies within a tenth of it of its place on an even grid.
/// - Throws: ``DicomError/gantryTilt(degrees:)`` where the slices move along their own plane by more than half a
///   voxel, ``DicomError/missingSlices(missing:spacingMm:largestGapMm:)``,
///   ``DicomError/unevenSlices(smallestMm:largestMm:)``.
func evenSpacing(of slices: [SliceHeader]) throws(DicomError) -> Double {
    let places = slices.map(\.place)
    guard let first = slices.first, let origin = first.position, places.count > 1 else { return 0 }
    let normal = first.normal

    var tilt = (drift: 0.0, along: 1.0)
    for slice in slices.dropFirst() {
        guard let position = slice.position else { continue }
        let along = dot(position - origin, normal)
        let aside = position - origin - normal * along
        let drift = dot(aside, aside).squareRoot()
        if drift > tilt.drift { tilt = (drift, along) }
    }
    guard tilt.drift <= 0.5 * max(first.columnSpacing, first.rowSpacing, 0.1) else {
        throw .gantryTilt(degrees: atan2(tilt.drift, tilt.along) * 180 / .pi)
    }

    let gaps = zip(places.dropFirst(), places).map { $0 - $1 }
    let (smallest, largest) = (gaps.min() ?? 0, gaps.max() ?? 0)
    let usual = gaps.sorted()[gaps.count / 2]
    if largest > 1.5 * usual, usual > 0 {
        let steps = gaps.map { ($0 / usual).rounded() }
        // A gap of whole slices: each distance is a multiple of the usual one.
        let isWhole = zip(gaps, steps).allSatisfy { $1 >= 1 && abs($0 - $1 * usual) < 0.2 * usual }
        guard isWhole, let missing = Int(exactly: steps.reduce(0) { $0 + $1 - 1 }) else {
            throw .unevenSlices(smallestMm: smallest, largestMm: largest)
        }
        throw .missingSlices(missing: missing, spacingMm: usual, largestGapMm: largest)
    }
    let spacing = (places[places.count - 1] - places[0]) / Double(places.count - 1)
    let isEven = places.enumerated().allSatisfy { index, place in
        abs(place - places[0] - Double(index) * spacing) <= 0.1 * spacing
    }
    guard isEven else { throw .unevenSlices(smallestMm: smallest, largestMm: largest) }
    return spacing
}
