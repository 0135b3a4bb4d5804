import Compute
import Glibc
import Imaging
import Inference

/// Stage 1's answer for every voxel: 1 where the network says liver, on `volume`'s grid.
///
/// - Throws: what `progress` throws, between slices.
func liverMask(
    _ volume: Volume<Float>, network: Network, window: ClosedRange<Double>, team: ThreadTeam,
    progress: (_ done: Int) throws -> Void
) throws -> Volume<UInt8> {
    let shape = volume.shape
    let box = Box(x: 0..<shape.x, y: 0..<shape.y, z: 0..<shape.z)
    var mask = Volume<UInt8>(shape: shape, spacing: volume.spacing, filledWith: 0)
    try forEachSlice(of: volume, box: box, network: network, window: window, team: team, progress: progress) {
        slice, logits, width, plane in
        mask.voxels.withUnsafeMutableBufferPointer { mask in
            nonisolated(unsafe) let output = mask.baseAddress! + slice * shape.x * shape.y
            nonisolated(unsafe) let logits = logits
            team.forEachChunk(of: shape.y, chunk: 32) { rows in
                for row in rows {
                    let background = logits + row * width
                    let liver = background + plane
                    for column in 0..<shape.x {
                        output[row * shape.x + column] = liver[column] > background[column] ? 1 : 0
                    }
                }
            }
        }
    }
    return mask
}

/// Stage 2's answer on a box: a label for each voxel, and the lesion probability of those labelled lesion.
struct LesionStageResult {
    /// Labels (``Label``), on the box's own grid.
    var labels: Volume<UInt8>
    /// For each slice of the box, the softmax probabilities of its lesion voxels.
    var lesionProbabilities: [SliceProbabilities]
}

/// Lesion probabilities of one slice, kept only where the label is lesion.
struct SliceProbabilities {
    /// How many lesion voxels come before each row, and their number in all at the end.
    let rowStarts: [Int32]
    /// Column of each lesion voxel, row after row.
    let columns: [Int16]
    /// Its softmax probability of lesion.
    let values: [Float]

    /// The probabilities of the lesion voxels at `columns` of `row`; all of them must be lesion voxels.
    func run(row: Int, columns range: Range<Int>) -> ArraySlice<Float> {
        var low = Int(rowStarts[row])
        var high = Int(rowStarts[row + 1])
        while low < high {
            let middle = (low + high) / 2
            if Int(columns[middle]) < range.lowerBound { low = middle + 1 } else { high = middle }
        }
        return values[low..<low + range.count]
    }
}

/// Runs model 2 on every slice of `box`: argmax of the three classes and the lesion probability where it is lesion.
///
/// - Throws: what `progress` throws, between slices.
func lesionStage(
    _ volume: Volume<Float>, box: Box, network: Network, window: ClosedRange<Double>, team: ThreadTeam,
    progress: (_ done: Int) throws -> Void
) throws -> LesionStageResult {
    let shape = box.shape
    var labels = Volume<UInt8>(shape: shape, spacing: volume.spacing, filledWith: Label.background)
    var probabilities: [SliceProbabilities] = []
    probabilities.reserveCapacity(shape.z)
    try forEachSlice(of: volume, box: box, network: network, window: window, team: team, progress: progress) {
        slice, logits, width, plane in
        labels.voxels.withUnsafeMutableBufferPointer { labels in
            nonisolated(unsafe) let output = labels.baseAddress! + slice * shape.x * shape.y
            nonisolated(unsafe) let logits = logits
            team.forEachChunk(of: shape.y, chunk: 32) { rows in
                for row in rows {
                    let background = logits + row * width
                    let liver = background + plane
                    let lesion = liver + plane
                    for column in 0..<shape.x {
                        let healthy = max(background[column], liver[column])
                        let label = liver[column] > background[column] ? Label.liver : Label.background
                        output[row * shape.x + column] = lesion[column] > healthy ? Label.lesion : label
                    }
                }
            }
            probabilities.append(
                lesionProbabilities(of: output, shape: shape, logits: logits, width: width, plane: plane))
        }
    }
    return LesionStageResult(labels: labels, lesionProbabilities: probabilities)
}

/// Softmax probability of lesion at each voxel of a slice that is labelled lesion.
private func lesionProbabilities(
    of labels: UnsafePointer<UInt8>, shape: Shape, logits: UnsafePointer<Float>, width: Int, plane: Int
) -> SliceProbabilities {
    var rowStarts: [Int32] = [0]
    var columns: [Int16] = []
    var values: [Float] = []
    for row in 0..<shape.y {
        let line = labels + row * shape.x
        // Most rows have no lesion: memchr passes over them at memory speed.
        var column = 0
        while column < shape.x, let hit = memchr(line + column, Int32(Label.lesion), shape.x - column) {
            column = UnsafeRawPointer(hit) - UnsafeRawPointer(line)
            let at = logits + row * width + column
            let lesion = at[2 * plane]
            columns.append(Int16(column))
            values.append(1 / (1 + expf(at[0] - lesion) + expf(at[plane] - lesion)))
            column += 1
        }
        rowStarts.append(Int32(values.count))
    }
    return SliceProbabilities(rowStarts: rowStarts, columns: columns, values: values)
}

/// Runs `network` on every slice of `box` and hands on its logits: those of class c begin at `logits + c * plane`, with
/// `width` values a row. `slice` counts from the box's first.
private func forEachSlice(
    of volume: Volume<Float>, box: Box, network: Network, window: ClosedRange<Double>, team: ThreadTeam,
    progress: (_ done: Int) throws -> Void,
    _ body: (_ slice: Int, _ logits: UnsafePointer<Float>, _ width: Int, _ plane: Int) -> Void
) throws {
    let batch = 1
    let stacks = SliceStacks(of: volume, box: box, window: window, slices: network.slices, batch: batch)
    let plane = stacks.height * stacks.width
    let logits = UnsafeMutablePointer<Float>.allocate(capacity: batch * network.classes * plane)
    defer { logits.deallocate() }
    for first in stride(from: box.z.lowerBound, to: box.z.upperBound, by: batch) {
        let centres = first..<min(first + batch, box.z.upperBound)
        try progress(first - box.z.lowerBound)
        let planes = stacks.stacks(centredOn: centres, team: team)
        network.run(
            planes: planes, batch: centres.count, height: stacks.height, width: stacks.width, logits: logits)
        for (index, slice) in centres.enumerated() {
            body(slice - box.z.lowerBound, logits + index * network.classes * plane, stacks.width, plane)
        }
    }
    try progress(box.z.count)
}
