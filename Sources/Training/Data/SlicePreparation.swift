internal import Compute
internal import Imaging

/// Rows and columns of a slice.
struct SliceRegion: Equatable, Sendable {
    var x, y: Range<Int>

    /// The smallest region that holds both.
    func union(_ other: SliceRegion) -> SliceRegion {
        SliceRegion(
            x: min(x.lowerBound, other.x.lowerBound)..<max(x.upperBound, other.x.upperBound),
            y: min(y.lowerBound, other.y.lowerBound)..<max(y.upperBound, other.y.upperBound))
    }

    /// The region with `margin` mm more on each side, as far as `whole` goes.
    func grown(by margin: Double, _ spacing: SIMD3<Double>, in whole: SliceRegion) -> SliceRegion {
        func grown(_ range: Range<Int>, _ spacing: Double, in whole: Range<Int>) -> Range<Int> {
            let pixels = Int((margin / spacing).rounded(.up))
            return (range.lowerBound - pixels..<range.upperBound + pixels).clamped(to: whole)
        }
        return SliceRegion(x: grown(x, spacing.x, in: whole.x), y: grown(y, spacing.y, in: whole.y))
    }
}

/// What one slice of a case holds.
struct SliceFacts: Equatable, Sendable {
    /// The box of its pixels that are liver or lesion; nil where none are.
    var liver: SliceRegion?
    /// How many of its pixels are lesion.
    var lesionPixels = 0
    /// Its lowest and its highest HU, after clipping.
    var lowest = Int16.max
    var highest = Int16.min
}

/// Makes the compact form of a case.
///
/// - Parameters:
///   - ct: HU.
///   - mask: ``Label`` values on the same grid.
///   - range: HU that are kept; values outside are clipped.
///   - classes: what each ``Label`` value becomes; ``Label/unknown`` is ``Batch/unknown``.
///   - team: the threads that share the slices.
/// - Returns: HU rounded to whole numbers, classes, and the facts of each slice.
func prepareSlices(
    _ ct: Volume<Float>, _ mask: Volume<UInt8>, keeping range: ClosedRange<Double>,
    classes: [UInt8], team: ThreadTeam
) -> (ct: [Int16], labels: [UInt8], facts: [SliceFacts]) {
    let shape = ct.shape
    let plane = shape.x * shape.y
    let (low, high) = (Float(range.lowerBound), Float(range.upperBound))
    var facts = Array(repeating: SliceFacts(), count: shape.z)
    var labels: [UInt8] = []
    let hu = [Int16](unsafeUninitializedCapacity: shape.count) { hu, huCount in
        nonisolated(unsafe) let hu = hu
        labels = [UInt8](unsafeUninitializedCapacity: shape.count) { labels, labelCount in
            nonisolated(unsafe) let labels = labels
            ct.voxels.withUnsafeBufferPointer { ct in
                mask.voxels.withUnsafeBufferPointer { mask in
                    facts.withUnsafeMutableBufferPointer { facts in
                        nonisolated(unsafe) let facts = facts
                        team.forEach(shape.z) { z in
                            let slice = z * plane..<(z + 1) * plane
                            var found = SliceFacts()
                            for index in slice {
                                let value = Int16(min(max(ct[index], low), high).rounded())
                                hu[index] = value
                                found.lowest = min(found.lowest, value)
                                found.highest = max(found.highest, value)
                                let label = mask[index]
                                labels[index] = label == Label.unknown ? Batch.unknown : classes[Int(label)]
                            }
                            found.add(UnsafeBufferPointer(rebasing: mask[slice]), width: shape.x)
                            facts[z] = found
                        }
                    }
                }
            }
            labelCount = shape.count
        }
        huCount = shape.count
    }
    return (hu, labels, facts)
}

extension SliceFacts {
    /// Takes in a slice of a mask, `width` pixels a row.
    fileprivate mutating func add(_ mask: UnsafeBufferPointer<UInt8>, width: Int) {
        for start in stride(from: 0, to: mask.count, by: width) {
            let row = UnsafeBufferPointer(rebasing: mask[start..<start + width])
            func isLiver(_ label: UInt8) -> Bool { label == Label.liver || label == Label.lesion }
            guard let first = row.firstIndex(where: isLiver), let last = row.lastIndex(where: isLiver) else { continue }
            let y = start / width
            let here = SliceRegion(x: first..<last + 1, y: y..<y + 1)
            liver = liver?.union(here) ?? here
            for index in first...last where row[index] == Label.lesion { lesionPixels += 1 }
        }
    }
}
