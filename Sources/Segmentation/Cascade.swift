import Compute
public import Imaging
import Inference

/// What the cascade found in one scan.
public struct Segmentation: Sendable {
    /// The final labels on the CT's canonical grid.
    public let labels: Volume<UInt8>
    /// The lesion probability of each voxel in 255ths, 0 where stage 2 did not look; nil unless
    /// ``Segmenter/Options/probabilities`` asked for it. The network's own answer, before any rule.
    public let lesionProbabilities: Volume<UInt8>?
    /// The lesion table, largest first.
    public let lesions: [Lesion]
    /// Components that the network called lesion and a rule took away, largest first, at most ``droppedLimit``.
    public let dropped: [DroppedComponent]
    /// How many were taken away in all.
    public let droppedCount: Int
    /// Volumes in millilitres; the liver's includes its lesions.
    public let liverMl, lesionMl: Double
    /// Of the liver without its lesions and the rim; nil without a liver, and where nothing is left of it.
    public let liverDensity: Density?
    /// What the reader should know.
    public let findings: [Finding]
    /// Milliseconds of each step, in order.
    public let timings: Timings

    /// The most dropped components that are listed one by one.
    public static let droppedLimit = 100

    /// Lesion volume over liver volume; nil without a liver.
    public var tumourBurden: Double? { liverMl > 0 ? lesionMl / liverMl : nil }
}

/// How long each step took, in milliseconds.
public struct Timings: Codable, Equatable, Sendable {
    /// Steps in the order they ran.
    public private(set) var steps: [Step] = []

    /// One step.
    public struct Step: Codable, Equatable, Sendable {
        /// The step's name.
        public let name: String
        /// Its duration.
        public let ms: Double
    }

    /// No steps yet.
    public init() {}

    /// Runs `body`, adds its duration as `name`, and returns what it returned.
    public mutating func time<Result>(_ name: String, _ body: () throws -> Result) rethrows -> Result {
        let clock = ContinuousClock()
        let start = clock.now
        let result = try body()
        steps.append(Step(name: name, ms: (clock.now - start) / .milliseconds(1)))
        return result
    }

    /// Adds a step that was timed elsewhere.
    public mutating func add(_ step: Step) { steps.append(step) }

    /// All steps together.
    public var totalMs: Double { steps.reduce(0) { $0 + $1.ms } }
}

extension Segmenter {
    /// Finds the liver and its lesions.
    ///
    /// - Parameters:
    ///   - scan: a CT in HU; its header tells where the patient lies.
    ///   - liver: labels on the CT's canonical grid that take the place of stage 1's answer, which is computed all the
    ///     same: so that models which find nothing can be timed.
    ///   - limit: the most voxels stage 1's resampled volume may have.
    ///   - journal: gives the slices of a run that was broken off, and keeps those of this one.
    ///   - progress: called between slices; the segmentation stops by what it throws.
    /// - Returns: an empty mask with the finding `no_liver` if there is none: that is a result, not an error.
    /// - Throws: ``VolumeError`` if stage 1's grid would be too large, and what `progress` throws.
    public func segment(
        _ scan: CTScan, options: Options, liver given: Volume<UInt8>? = nil, limit: Int = VolumeLimits().voxels,
        journal: SliceJournal? = nil, progress: ProgressHandler
    ) throws -> Segmentation {
        let volume = scan.volume
        var timings = Timings()
        let found = try findLiver(
            volume, options: options, given: given, limit: limit, journal: journal, timings: &timings,
            progress: progress)
        guard let region = found else { return noLiver(volume, options, timings: timings) }
        let box = region.box
        let answer = try timings.time("stage2_network") {
            try lesionStage(
                volume, region: region, keepsProbabilities: options.probabilities, networks: lesion, team: team,
                journal: journal
            ) {
                try progress(SliceProgress(stage: .lesions, done: $0, total: box.z.count))
            }
        }
        try progress(SliceProgress(stage: .rules, done: 0, total: 1))
        let probabilities = answer.map.map { place($0, in: box, of: volume.shape, spacing: volume.spacing) }
        let ruled = timings.time("rules") {
            applyRules(answer, threshold: lesion.metadata.lesionProbability ?? Self.lesionThreshold, team: team)
        }
        guard let liver = ruled.liver else {
            return noLiver(volume, options, probabilities: probabilities, timings: timings)
        }
        let (liverDensity, lesionDensities) = timings.time("density") {
            densities(ruled, liver: liver, in: box, of: volume)
        }
        let facts = timings.time("plausibility") {
            LiverFacts(ruled, liver: liver, in: box, of: volume, meanHU: liverDensity?.meanHU)
        }
        let labels = timings.time("assemble") {
            place(ruled.labels, in: box, of: volume.shape, spacing: volume.spacing)
        }
        return report(
            ruled, facts, liverDensity, lesionDensities, labels: labels, probabilities: probabilities, box: box,
            header: scan.header, voxelMillilitres: volume.voxelMillilitres, timings: timings)
    }

    /// The density of the liver without lesions and rim, and that of each lesion.
    private func densities(
        _ ruled: RuledResult, liver: Component, in box: Box, of volume: Volume<Float>
    ) -> (liver: Density?, lesions: [Density?]) {
        let corner = SIMD3(box.x.lowerBound, box.y.lowerBound, box.z.lowerBound)
        let core = core(
            of: Label.liver, in: liver, labels: ruled.labels, box: box, scan: volume.shape, rim: Self.rim)
        return (
            Density(of: core, from: corner, in: volume),
            ruled.lesions.map { Density(of: $0.component.runs, from: corner, in: volume) }
        )
    }

    /// Stage 1: the liver's region on the CT's grid, or nil if there is no liver.
    private func findLiver(
        _ volume: Volume<Float>, options: Options, given: Volume<UInt8>?, limit: Int, journal: SliceJournal?,
        timings: inout Timings, progress: ProgressHandler
    ) throws -> LiverRegion? {
        let coarse = try timings.time("stage1_resample") {
            try liver.metadata.spacing.map { try resampleLinear(volume, to: $0, limit: limit, team: team) } ?? volume
        }
        let mask = try timings.time("stage1_network") {
            try liverMask(coarse, networks: liver, team: team, journal: journal) {
                try progress(SliceProgress(stage: .liver, done: $0, total: coarse.shape.z))
            }
        }
        return timings.time("stage1_components") {
            let liver = given ?? mask
            let components = connectedComponents(of: liver, where: { $0 != 0 }, team: team)
            return indexOfLargest(components).flatMap {
                let region = LiverRegion(
                    around: components[$0], coarse: liver.shape, coarseSpacing: liver.spacing, shape: volume.shape,
                    spacing: volume.spacing, margin: Self.margin, reach: Self.reach, team: team)
                return options.full ? region?.whole(volume.shape) : region
            }
        }
    }

    private func noLiver(
        _ volume: Volume<Float>, _ options: Options, probabilities: Volume<UInt8>? = nil, timings: Timings
    ) -> Segmentation {
        let nothing = Volume(shape: volume.shape, spacing: volume.spacing, filledWith: Label.background)
        return Segmentation(
            labels: nothing, lesionProbabilities: options.probabilities ? probabilities ?? nothing : nil, lesions: [],
            dropped: [], droppedCount: 0, liverMl: 0, lesionMl: 0, liverDensity: nil,
            findings: [
                Finding(
                    code: "no_liver", severity: .warning,
                    message: "No liver was found. Check that the scan is a CT of the abdomen.")
            ],
            timings: timings)
    }

    private func report(
        _ ruled: RuledResult, _ facts: LiverFacts, _ liverDensity: Density?, _ lesionDensities: [Density?],
        labels: Volume<UInt8>, probabilities: Volume<UInt8>?, box: Box, header: NIfTIHeader, voxelMillilitres: Double,
        timings: Timings
    ) -> Segmentation {
        let corner = SIMD3(Double(box.x.lowerBound), Double(box.y.lowerBound), Double(box.z.lowerBound))
        let ml = voxelMillilitres
        func centroid(_ measures: ComponentMeasures) -> [Double] {
            let mm = header.patientAffine(measures.centroid + corner)
            return [mm.x, mm.y, mm.z]
        }
        let lesions = ruled.lesions.enumerated().map { index, lesion in
            let measures = lesion.measures
            let ends = [lesion.component.box.z.lowerBound, lesion.component.box.z.upperBound - 1]
                .map { header.storedSlice(ofCanonical: $0 + box.z.lowerBound) }
            return Lesion(
                number: index + 1, volumeMl: Double(lesion.component.voxelCount) * ml,
                longestAxialDiameterMm: measures.diameters.long, shortAxisMm: measures.diameters.short,
                centroidRasMm: centroid(measures), firstSlice: min(ends[0], ends[1]), lastSlice: max(ends[0], ends[1]),
                diameterSlice: header.storedSlice(ofCanonical: measures.diameterSlice + box.z.lowerBound),
                largestProbability: measures.largestProbability, meanProbability: measures.meanProbability,
                sizeClass: Lesion.SizeClass(longestDiameter: measures.diameters.long), density: lesionDensities[index])
        }
        let dropped = ruled.dropped.prefix(Segmentation.droppedLimit).map {
            DroppedComponent(
                reason: $0.reason, volumeMl: Double($0.component.voxelCount) * ml,
                largestProbability: $0.measures.largestProbability, meanProbability: $0.measures.meanProbability,
                centroidRasMm: centroid($0.measures))
        }
        let lesionVoxels = ruled.lesions.reduce(0) { $0 + $1.component.voxelCount }
        return Segmentation(
            labels: labels, lesionProbabilities: probabilities, lesions: lesions, dropped: dropped,
            droppedCount: ruled.dropped.count,
            liverMl: facts.millilitres, lesionMl: Double(lesionVoxels) * ml, liverDensity: liverDensity,
            findings: facts.findings, timings: timings)
    }
}

extension NIfTIHeader {
    /// The slice's number along the file's own axial axis, counted from 0.
    func storedSlice(ofCanonical slice: Int) -> Int { axes.flipped[2] ? shape.z - 1 - slice : slice }
}

/// A volume of the whole CT with `labels` at `box` and 0 elsewhere.
private func place(
    _ labels: Volume<UInt8>, in box: Box, of shape: Shape, spacing: SIMD3<Double>
) -> Volume<UInt8> {
    var whole = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: Label.background)
    whole.voxels.withUnsafeMutableBufferPointer { whole in
        labels.voxels.withUnsafeBufferPointer { labels in
            for z in 0..<box.z.count {
                for y in 0..<box.y.count {
                    let to = shape.index(box.x.lowerBound, box.y.lowerBound + y, box.z.lowerBound + z)
                    let from = (z * box.y.count + y) * box.x.count
                    (whole.baseAddress! + to).update(from: labels.baseAddress! + from, count: box.x.count)
                }
            }
        }
    }
    return whole
}
