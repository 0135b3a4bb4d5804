import Imaging

/// What a liver that was found looks like, for judging whether it can be one.
struct LiverFacts: Equatable {
    /// Millilitres, lesions included.
    var millilitres: Double
    /// Mean HU of what is liver and no lesion, without its rim; nil if nothing is left of it.
    var meanHU: Double?
    /// Whether it reaches the scan's first or last slice, or the edge of a slice.
    var isAtBorder: Bool
    /// Millilitres of the largest other component that the network called liver, and that was left out.
    var nextMillilitres: Double
}

extension LiverFacts {
    /// Volumes of adult livers, with room for the small cirrhotic and the large diseased one; METHOD's data lie within.
    static let usualMillilitres = 400.0...4000.0
    /// An enhanced liver in the portal-venous phase, fatty ones included; without contrast it has some 40 to 65 HU.
    static let usualHU = 70.0...180.0
    /// A second component above this is as large as a liver segment: what was kept may be a part, or the wrong organ.
    static let largeMillilitres = 50.0

    /// What a reader should look at before trusting the result, worst first.
    var findings: [Finding] {
        func warning(_ code: String, _ message: String) -> Finding {
            Finding(code: code, severity: .warning, message: message)
        }
        var result: [Finding] = []
        if millilitres < Self.usualMillilitres.lowerBound {
            result.append(
                warning(
                    "liver_small",
                    "The liver found has \(Int(millilitres)) ml; below 400 ml a part of it was probably missed."))
        }
        if millilitres > Self.usualMillilitres.upperBound {
            result.append(
                warning(
                    "liver_large",
                    "The liver found has \(Int(millilitres)) ml; above 4000 ml it probably holds something else."))
        }
        if let meanHU, !Self.usualHU.contains(meanHU) {
            result.append(
                warning(
                    "liver_density_unusual",
                    """
                    The liver found has a mean of \(Int(meanHU.rounded())) HU; the model knows the portal-venous phase, 70 to \
                    180 HU. Check the contrast phase, and that the values are HU.
                    """))
        }
        if isAtBorder {
            result.append(
                warning(
                    "liver_at_border",
                    "The liver reaches the scan's border: a part of it may lie outside, and its volume be too small."))
        }
        if nextMillilitres > Self.largeMillilitres {
            result.append(
                warning(
                    "several_livers",
                    """
                    A second component of \(Int(nextMillilitres)) ml was taken for liver and left out: the liver may be \
                    incomplete, or another organ.
                    """))
        }
        return result
    }
}

extension LiverFacts {
    /// The facts of a result of the rules.
    ///
    /// - Parameters:
    ///   - box: where the labels lie in the scan.
    ///   - volume: the scan, in HU.
    ///   - meanHU: that of the liver without lesions and rim.
    init(_ ruled: RuledResult, liver: Component, in box: Box, of volume: Volume<Float>, meanHU: Double?) {
        let shape = volume.shape
        func touches(_ range: Range<Int>, _ start: Int, _ length: Int) -> Bool {
            start + range.lowerBound == 0 || start + range.upperBound == length
        }
        let ml = volume.voxelMillilitres
        millilitres = Double(liver.voxelCount) * ml
        self.meanHU = meanHU
        isAtBorder =
            touches(liver.box.x, box.x.lowerBound, shape.x) || touches(liver.box.y, box.y.lowerBound, shape.y)
            || touches(liver.box.z, box.z.lowerBound, shape.z)
        nextMillilitres = Double(ruled.otherLiverVoxels.max() ?? 0) * ml
    }
}
