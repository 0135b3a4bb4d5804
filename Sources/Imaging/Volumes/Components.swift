public import Compute

/// Member voxels next to each other in one row: `xStart ..< xEnd` at (y, z).
public struct Run: Hashable, Sendable {
    /// The first voxel, and the one after the last.
    public let xStart, xEnd: Int32
    /// The row.
    public let y, z: Int32

    package init(xStart: Int32, xEnd: Int32, y: Int32, z: Int32) {
        (self.xStart, self.xEnd, self.y, self.z) = (xStart, xEnd, y, z)
    }

    /// How many voxels it has.
    public var count: Int { Int(xEnd - xStart) }
}

/// A set of member voxels that hang together by faces.
public struct Component: Sendable {
    /// How many voxels it has.
    public let voxelCount: Int
    /// The smallest box around it.
    public let box: Box
    /// Its voxels, in scan order: by z, then y, then x.
    public let runs: [Run]
}

/// Finds the 6-connected components of a volume's member voxels.
///
/// Rows are cut into runs on all threads, then runs of neighbouring rows are united (union-find). Memory grows with
/// the number of runs, not of voxels.
///
/// - Parameters:
///   - volume: labels, x fastest; fewer than 2^31 voxels along an axis.
///   - isMember: which labels count; asked once for each of the 256.
///   - team: the threads that look for runs.
/// - Returns: the components in the order of their first voxel.
/// - Complexity: O(voxels + runs).
public func connectedComponents(
    of volume: Volume<UInt8>, where isMember: (UInt8) -> Bool, team: ThreadTeam
) -> [Component] {
    let table = (0...255).map { isMember(UInt8($0)) }
    let (runs, firstOfRow) = findRuns(volume, members: table, team: team)
    guard !runs.isEmpty else { return [] }
    var forest = Forest(count: runs.count)
    let shape = volume.shape
    for row in 0..<shape.y * shape.z {
        let here = firstOfRow[row]..<firstOfRow[row + 1]
        guard !here.isEmpty else { continue }
        if row % shape.y > 0 { forest.unite(here, firstOfRow[row - 1]..<firstOfRow[row], runs) }
        if row >= shape.y {
            forest.unite(here, firstOfRow[row - shape.y]..<firstOfRow[row - shape.y + 1], runs)
        }
    }
    return gather(runs, &forest)
}

/// All runs in scan order, and where each row's begin: one entry a row and one for the end.
private func findRuns(_ volume: Volume<UInt8>, members: [Bool], team: ThreadTeam) -> ([Run], [Int]) {
    let shape = volume.shape
    var slices = [[Run]](repeating: [], count: shape.z)
    var firstOfRow = [Int](repeating: 0, count: shape.y * shape.z + 1)
    volume.voxels.withUnsafeBufferPointer { voxels in
        slices.withUnsafeMutableBufferPointer { slices in
            firstOfRow.withUnsafeMutableBufferPointer { firstOfRow in
                team.forEach(shape.z) { z in
                    guard let start = voxels.baseAddress else { return }
                    var found: [Run] = []
                    for y in 0..<shape.y {
                        appendRuns(
                            of: start + shape.index(0, y, z), count: shape.x, y: y, z: z, members: members, to: &found)
                        // For now the number of the slice's runs up to this row's end.
                        firstOfRow[z * shape.y + y + 1] = found.count
                    }
                    slices[z] = found
                }
            }
        }
    }
    var before = 0
    for z in 0..<shape.z {
        for row in z * shape.y + 1...(z + 1) * shape.y { firstOfRow[row] += before }
        before += slices[z].count
    }
    return (Array(slices.joined()), firstOfRow)
}

/// Eight voxels are passed at a time where all are what the first of them is.
private func appendRuns(
    of row: UnsafePointer<UInt8>, count: Int, y: Int, z: Int, members: [Bool], to runs: inout [Run]
) {
    let bytes = UnsafeRawPointer(row)
    var x = 0
    var start = -1
    while x < count {
        let value = row[x]
        if members[Int(value)] {
            if start < 0 { start = x }
        } else if start >= 0 {
            runs.append(Run(xStart: Int32(start), xEnd: Int32(x), y: Int32(y), z: Int32(z)))
            start = -1
        }
        x += 1
        let eight = UInt64(value) &* 0x0101_0101_0101_0101
        while x + 8 <= count, bytes.loadUnaligned(fromByteOffset: x, as: UInt64.self) == eight { x += 8 }
    }
    if start >= 0 { runs.append(Run(xStart: Int32(start), xEnd: Int32(count), y: Int32(y), z: Int32(z))) }
}

/// Disjoint sets of runs; the root of a set is its first run.
private struct Forest {
    private var parent: [Int32]

    init(count: Int) { parent = (0..<Int32(count)).map { $0 } }

    mutating func root(_ run: Int) -> Int {
        var run = Int32(run)
        while parent[Int(run)] != run {
            let grandparent = parent[Int(parent[Int(run)])]
            parent[Int(run)] = grandparent
            run = grandparent
        }
        return Int(run)
    }

    /// Unites the runs of two neighbouring rows where they share an x.
    mutating func unite(_ these: Range<Int>, _ those: Range<Int>, _ runs: [Run]) {
        var (i, j) = (these.lowerBound, those.lowerBound)
        while i < these.upperBound, j < those.upperBound {
            if runs[i].xStart < runs[j].xEnd, runs[j].xStart < runs[i].xEnd {
                let (a, b) = (root(i), root(j))
                if a < b { parent[b] = Int32(a) } else { parent[a] = Int32(b) }
            }
            if runs[i].xEnd < runs[j].xEnd { i += 1 } else { j += 1 }
        }
    }
}

private func gather(_ runs: [Run], _ forest: inout Forest) -> [Component] {
    // Roots come before the other runs of their set, so numbers are given in the order of first voxels.
    var numbers = [Int32](repeating: 0, count: runs.count)
    var counts: [Int] = []
    for run in runs.indices {
        let root = forest.root(run)
        if root == run {
            numbers[run] = Int32(counts.count)
            counts.append(0)
        } else {
            numbers[run] = numbers[root]
        }
        counts[Int(numbers[run])] += 1
    }
    var parts = counts.map { count in
        var part: [Run] = []
        part.reserveCapacity(count)
        return part
    }
    for run in runs.indices { parts[Int(numbers[run])].append(runs[run]) }
    return parts.map(Component.init(runs:))
}

extension Component {
    /// Of at least one run, in scan order.
    fileprivate init(runs: [Run]) {
        var low = SIMD3<Int32>(repeating: .max)
        var high = SIMD3<Int32>(repeating: .min)
        var count = 0
        for run in runs {
            low.replace(with: SIMD3(run.xStart, run.y, run.z), where: SIMD3(run.xStart, run.y, run.z) .< low)
            high.replace(
                with: SIMD3(run.xEnd, run.y + 1, run.z + 1), where: SIMD3(run.xEnd, run.y + 1, run.z + 1) .> high)
            count += run.count
        }
        voxelCount = count
        box = Box(x: Int(low.x)..<Int(high.x), y: Int(low.y)..<Int(high.y), z: Int(low.z)..<Int(high.z))
        self.runs = runs
    }
}
