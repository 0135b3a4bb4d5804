/// Voxels of a CT that are counted for ``ScanSummary/findings``.
struct ScanCounts {
    /// Voxels that are exactly 0 HU.
    var zeros = 0
    /// Voxels at the four sides of the axial slices that are denser than air and lung.
    var tissueAtSides = 0

    /// Adds the counts of the next piece.
    func add(to sum: inout ScanCounts) {
        sum.zeros += zeros
        sum.tissueAtSides += tissueAtSides
    }
}

extension NIfTIHeader {
    /// How many voxels lie at the four sides of all axial slices.
    var voxelsAtSides: Int { (2 * (shape.x + shape.y) - 4) * shape.z }
}

/// Counts in a piece of the file.
struct CountingScan: VoxelTypeVisitor {
    /// Between air with lung and fat.
    static let tissueHU = -200.0

    /// Whole voxels as they are stored.
    let voxels: UnsafeRawBufferPointer
    /// How many voxels of the file come before them.
    let firstVoxel: Int
    let header: NIfTIHeader

    func visit<Stored: StoredVoxel>(_ type: Stored.Type) -> ScanCounts {
        let voxels = voxels.bindMemory(to: type)
        var counts = ScanCounts()
        // The stored number that stands for 0 HU: found once, so that the loop need neither scale nor convert.
        if let zero = Stored(exactly: -header.intercept / header.slope) {
            let swapsEach = header.isByteSwapped && Stored.isFloat
            let stored = header.isByteSwapped && !Stored.isFloat ? zero.byteSwapped : zero
            for raw in voxels { counts.zeros &+= (swapsEach ? raw.byteSwapped : raw) == stored ? 1 : 0 }
        }
        counts.tissueAtSides = tissueAtSides(voxels)
        return counts
    }

    /// Goes through the piece by parts of stored rows: most rows have only their two ends at a side.
    private func tissueAtSides<Stored: StoredVoxel>(_ voxels: UnsafeBufferPointer<Stored>) -> Int {
        let shape = header.storedShape
        let isLateral = (0..<3).map { $0 != header.axes.stored[2] }
        func isTissue(_ index: Int) -> Bool {
            let raw = header.isByteSwapped ? voxels[index].byteSwapped : voxels[index]
            return raw.real * header.slope + header.intercept > Self.tissueHU
        }
        var count = 0
        var index = 0
        while index < voxels.count {
            let (row, x) = (firstVoxel + index).quotientAndRemainder(dividingBy: shape.x)
            let (z, y) = row.quotientAndRemainder(dividingBy: shape.y)
            let length = min(shape.x - x, voxels.count - index)
            if (isLateral[1] && (y == 0 || y == shape.y - 1)) || (isLateral[2] && (z == 0 || z == shape.z - 1)) {
                for offset in 0..<length where isTissue(index + offset) { count += 1 }
            } else if isLateral[0] {
                if x == 0, isTissue(index) { count += 1 }
                if x + length == shape.x, isTissue(index + length - 1) { count += 1 }
            }
            index += length
        }
        return count
    }
}
