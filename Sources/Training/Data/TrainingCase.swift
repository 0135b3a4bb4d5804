internal import Compute
public import Imaging
internal import Inference

/// A CT with its mask, prepared for drawing samples.
public struct TrainingCase: Sendable {
    /// Where a case comes from.
    public enum Kind: Sendable {
        /// A scan whose slices are neighbours.
        case scan
        /// Slices that have nothing to do with one another.
        case singleSlices
        /// A synthetic scan.
        case phantom
    }

    /// The part of the file's name before `_ct`.
    public let name: String
    /// Where it comes from.
    public let kind: Kind
    /// HU rounded to whole numbers, on canonical axes, clipped ``headroom`` beyond the window.
    public let ct: Volume<Int16>
    /// The class of each voxel, ``Batch/foreground`` or ``Batch/unknown``.
    public let labels: Volume<UInt8>
    /// The slices that may be the centre of a sample, ascending.
    public let centres: [Int]
    /// For each slice, the rows and columns that crops should show.
    let regions: [SliceRegion]
    /// For each slice, how many of its pixels are of the class lesion.
    let lesionPixels: [Int]
    /// Whether lesions are a class of their own: stage lesion.
    let tellsLesions: Bool
    /// The median HU of the liver without its lesions; 0 where there is none.
    let liverHU: Float
    /// The lowest and the highest HU in `ct`: what lay beyond has been clipped, here or in the file.
    let lowest, highest: Float

    /// HU kept on each side of the window, so that shifted values do not begin at the window's ends.
    static let headroom = 100.0
    /// Millimetres around the liver that stage 2 is shown in use: docs/method.md, step 4.
    static let margin = 32.0
    /// Slices below and above the liver that the lesion stage learns from: stage 1 does not find its ends exactly.
    static let grownSlices = 3

    /// Prepares a case.
    ///
    /// - Parameters:
    ///   - name: the case's name.
    ///   - kind: decides which slices are neighbours.
    ///   - ct: HU on canonical axes.
    ///   - mask: ``Label`` values on the same grid; ``Label/unknown`` where nobody knows.
    ///   - options: stage, window, spacing and whether this case's labels are merged.
    ///   - excluded: slices that must not be learnt from; single slices only.
    ///   - team: the threads that share the slices.
    /// - Throws: ``VolumeError/tooLarge(found:limit:)`` from resampling.
    init(
        name: String, kind: Kind, ct: Volume<Float>, mask: Volume<UInt8>, options: DataOptions,
        excluded: Set<Int> = [], team: ThreadTeam
    ) throws(VolumeError) {
        precondition(ct.shape == mask.shape && (excluded.isEmpty || kind == .singleSlices))
        var (ct, mask) = (ct, mask)
        if var spacing = options.spacing {
            if kind == .singleSlices { spacing.z = ct.spacing.z }
            ct = try resampleLinear(ct, to: spacing, limit: VolumeLimits().voxels, team: team)
            mask = resampleNearest(mask, to: ct.shape, spacing: spacing, team: team)
        }
        let shape = ct.shape
        let spacing = ct.spacing
        // Who left places open has not told lesion from liver either.
        let areMerged = options.mergedLabels.contains(name) || mask.voxels.contains(Label.unknown)
        let classes = Self.classes(options.stage, areMerged: areMerged)
        let range = options.window.lowerBound - Self.headroom...options.window.upperBound + Self.headroom
        let slices = prepareSlices(ct, mask, keeping: range, classes: classes, team: team)
        self.name = name
        self.kind = kind
        tellsLesions = options.stage == .lesion
        self.ct = Volume(shape: shape, spacing: spacing, voxels: slices.ct)
        labels = Volume(shape: shape, spacing: spacing, voxels: slices.labels)
        lesionPixels = slices.facts.map { classes[Int(Label.lesion)] == Label.lesion ? $0.lesionPixels : 0 }
        liverHU = Self.median(of: slices.ct, where: slices.labels)
        lowest = Float(slices.facts.map(\.lowest).min() ?? 0)
        highest = Float(slices.facts.map(\.highest).max() ?? 0)

        let whole = SliceRegion(x: 0..<shape.x, y: 0..<shape.y)
        let livers = slices.facts.map(\.liver)
        if options.stage == .liver || kind == .singleSlices {
            centres = (0..<shape.z).filter { !excluded.contains($0) }
            regions = livers.map { liver in
                options.stage == .liver ? whole : liver?.grown(by: Self.margin, spacing, in: whole) ?? whole
            }
        } else if let first = livers.firstIndex(where: { $0 != nil }), let last = livers.lastIndex(where: { $0 != nil })
        {
            centres = Array(max(0, first - Self.grownSlices)...min(shape.z - 1, last + Self.grownSlices))
            let liver = livers.compactMap { $0 }.reduce(livers[first] ?? whole) { $0.union($1) }
            regions = Array(repeating: liver.grown(by: Self.margin, spacing, in: whole), count: shape.z)
        } else {
            centres = []
            regions = Array(repeating: whole, count: shape.z)
        }
    }

    /// Whether a class is liver, or a lesion in it.
    @inline(__always) static func isLiver(_ label: UInt8) -> Bool {
        label == Label.liver || label == Label.lesion || label == Batch.foreground
    }

    /// The median of the voxels that are liver and not known to be lesion.
    private static func median(of ct: [Int16], where labels: [UInt8]) -> Float {
        var counts = [Int](repeating: 0, count: 1 << 16)
        var count = 0
        for index in labels.indices where labels[index] == Label.liver || labels[index] == Batch.foreground {
            counts[Int(ct[index]) + 1 << 15] += 1
            count += 1
        }
        guard count > 0 else { return 0 }
        var before = 0
        let value = counts.firstIndex { number in
            before += number
            return 2 * before >= count
        }
        return Float((value ?? 0) - 1 << 15)
    }

    /// What each ``Label`` value becomes.
    private static func classes(_ stage: ModelMetadata.Stage, areMerged: Bool) -> [UInt8] {
        switch (stage, areMerged) {
        case (.liver, _): [0, 1, 1]
        case (.lesion, false): [0, 1, 2]
        case (.lesion, true): [0, Batch.foreground, Batch.foreground]
        }
    }
}
