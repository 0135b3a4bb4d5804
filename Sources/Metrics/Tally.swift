internal import Compute
import Imaging

/// How many voxels of a region two label maps have, and where: what the overlap scores are made of.
struct Tally {
    /// Voxels in the prediction, in the reference, in both.
    private(set) var prediction = 0
    private(set) var reference = 0
    private(set) var common = 0
    /// The smallest box around both masks; nil where both are empty.
    var box: Box? {
        guard high.x >= 0 else { return nil }
        return Box(x: low.x..<high.x + 1, y: low.y..<high.y + 1, z: low.z..<high.z + 1)
    }

    private var low = SIMD3<Int>(repeating: .max)
    private var high = SIMD3<Int>(repeating: -1)

    /// Tallies a slice. Reads eight voxels at a time; where both maps have none, that is all that is done.
    mutating func add(
        _ region: Region, _ prediction: UnsafePointer<UInt8>, _ reference: UnsafePointer<UInt8>, width: Int,
        height: Int, z: Int
    ) {
        for y in 0..<height {
            var first = Int.max
            var last = -1
            for x in stride(from: 0, to: width, by: 8) {
                let p = eightLabels(prediction + y * width, x, end: width)
                let r = eightLabels(reference + y * width, x, end: width)
                if p | r == 0 { continue }
                let inPrediction = region.flags(p)
                let inReference = region.flags(r)
                let either = inPrediction | inReference
                if either == 0 { continue }
                self.prediction += inPrediction.nonzeroBitCount
                self.reference += inReference.nonzeroBitCount
                common += (inPrediction & inReference).nonzeroBitCount
                first = min(first, x + either.trailingZeroBitCount / 8)
                last = x + 7 - either.leadingZeroBitCount / 8
            }
            if last >= 0 { include(SIMD3(first, y, z), SIMD3(last, y, z)) }
        }
    }

    /// Adds the tally of other slices.
    mutating func add(_ other: Tally) {
        prediction += other.prediction
        reference += other.reference
        common += other.common
        if other.high.x >= 0 { include(other.low, other.high) }
    }

    private mutating func include(_ first: SIMD3<Int>, _ last: SIMD3<Int>) {
        low = pointwiseMin(low, first)
        high = pointwiseMax(high, last)
    }
}

/// The tallies of liver and lesion, from one pass over both maps.
func tally(
    prediction: Volume<UInt8>, reference: Volume<UInt8>, team: ThreadTeam
) -> (liver: Tally, lesion: Tally) {
    let shape = reference.shape
    var slices = [(liver: Tally, lesion: Tally)](repeating: (Tally(), Tally()), count: shape.z)
    prediction.voxels.withUnsafeBufferPointer { prediction in
        reference.voxels.withUnsafeBufferPointer { reference in
            slices.withUnsafeMutableBufferPointer { slices in
                nonisolated(unsafe) let slices = slices
                team.forEach(shape.z) { z in
                    guard let p = prediction.baseAddress, let r = reference.baseAddress else { return }
                    let start = z * shape.x * shape.y
                    var liver = Tally()
                    var lesion = Tally()
                    liver.add(.liver, p + start, r + start, width: shape.x, height: shape.y, z: z)
                    // A lesion is liver too: no liver in the slice, no second look.
                    if liver.box != nil {
                        lesion.add(.lesion, p + start, r + start, width: shape.x, height: shape.y, z: z)
                    }
                    slices[z] = (liver, lesion)
                }
            }
        }
    }
    var liver = Tally()
    var lesion = Tally()
    for slice in slices {
        liver.add(slice.liver)
        lesion.add(slice.lesion)
    }
    return (liver, lesion)
}
