import Compute
import Imaging

/// Sets a box of a volume to a label.
func fill(_ volume: inout Volume<UInt8>, _ x: Range<Int>, _ y: Range<Int>, _ z: Range<Int>, _ label: UInt8) {
    for k in z { for j in y { for i in x { volume[i, j, k] = label } } }
}

/// A label map of random ellipsoids: liver, and lesions partly inside it.
func randomLabels(_ random: inout SplitMix64, shape: Shape, spacing: SIMD3<Double>, blobs: Int) -> Volume<UInt8> {
    var volume = Volume<UInt8>(shape: shape, spacing: spacing, filledWith: 0)
    for blob in 0..<blobs {
        let centre = SIMD3(
            random.unit() * Double(shape.x), random.unit() * Double(shape.y), random.unit() * Double(shape.z))
        let half = SIMD3(random.uniform(0.5...6), random.uniform(0.5...6), random.uniform(0.5...4))
        for z in 0..<shape.z {
            for y in 0..<shape.y {
                for x in 0..<shape.x {
                    let d = (SIMD3(Double(x), Double(y), Double(z)) - centre) / half
                    if (d * d).sum() <= 1 { volume[x, y, z] = blob % 3 == 2 ? 2 : 1 }
                }
            }
        }
    }
    return volume
}
