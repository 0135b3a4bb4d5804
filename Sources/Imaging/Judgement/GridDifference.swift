extension NIfTIHeader {
    /// Says how this volume's grid differs from another's, or nil where both put their voxels at the same places.
    ///
    /// Both are compared on canonical axes, so that one grid stored in two axes orders is still one grid.
    /// Spacing, origin and the step along each axis may differ by 1e-3 mm.
    ///
    /// - Parameter other: the header of the image that this one, a reference, should match.
    /// - Returns: half a sentence with both values of everything that differs: shape, spacing, origin, axes.
    public func gridDifference(from other: NIfTIHeader) -> String? {
        let tolerance = 1e-3
        let (mine, theirs) = (patientAffine, other.patientAffine)
        var differences: [String] = []
        if shape != other.shape { differences.append("shape \(shape) against \(other.shape) voxels") }
        if !isNear(mine.spacing, theirs.spacing, tolerance) {
            differences.append("spacing \(joined(mine.spacing, " x ")) against \(joined(theirs.spacing, " x ")) mm")
        }
        if !isNear(mine.origin, theirs.origin, tolerance) {
            differences.append("origin (\(joined(mine.origin, ", "))) against (\(joined(theirs.origin, ", "))) mm")
        }
        // Compared as directions times the other's spacing, so that a wrong spacing alone is not called wrong axes.
        for axis in 0..<3 {
            let turned = mine[axis] * (theirs.spacing[axis] / mine.spacing[axis])
            if !isNear(turned, theirs[axis], tolerance) {
                let (a, b) = (mine[axis] / mine.spacing[axis], theirs[axis] / theirs.spacing[axis])
                differences.append(
                    "axis \("xyz".dropFirst(axis).prefix(1)) along (\(joined(a, ", "))) against (\(joined(b, ", ")))")
            }
        }
        return differences.isEmpty ? nil : differences.joined(separator: "; ")
    }
}

private func isNear(_ a: SIMD3<Double>, _ b: SIMD3<Double>, _ tolerance: Double) -> Bool {
    (0..<3).allSatisfy { abs(a[$0] - b[$0]) <= tolerance }
}

private func joined(_ v: SIMD3<Double>, _ separator: String) -> String {
    (0..<3).map { plain(v[$0]) }.joined(separator: separator)
}
