extension LabelMap {
    /// The labels in the order of the file that they came from, its first axis fastest.
    public var storedLabels: [UInt8] {
        let shape = header.storedShape
        let index = CanonicalIndex(axes: header.axes, storedShape: shape)
        // The usual order of axial slices is the canonical one already.
        if index.base == 0, index.strides == [1, shape.x, shape.x * shape.y] { return volume.voxels }
        return [UInt8](unsafeUninitializedCapacity: shape.count) { output, count in
            volume.voxels.withUnsafeBufferPointer { voxels in
                for z in 0..<shape.z {
                    for y in 0..<shape.y {
                        var from = index.base + z * index.strides[2] + y * index.strides[1]
                        for _ in 0..<shape.x {
                            output[count] = voxels[from]
                            count += 1
                            from += index.strides[0]
                        }
                    }
                }
            }
        }
    }
}
