import Compute
import Foundation
import Imaging
import Inference

/// Stage 1's answer for every voxel of every `every`-th slice: 1 where the network says liver.
///
/// - Parameter journal: gives the slices of an earlier run, and keeps those of this one.
/// - Throws: what `progress` throws, between slices.
func liverMask(
    _ volume: Volume<Float>, every: Int = 1, networks: StageNetworks, team: ThreadTeam, journal: SliceJournal? = nil,
    progress: (_ done: Int) throws -> Void
) throws -> Volume<UInt8> {
    let box = Box(x: 0..<volume.shape.x, y: 0..<volume.shape.y, z: 0..<volume.shape.z)
    var mask = emptyLabels(of: box, every: every, spacing: volume.spacing)
    let shape = mask.shape
    let size = shape.x * shape.y
    try forEachSlice(
        of: volume, box: box, every: every, networks: networks, team: team, journal: journal,
        progress: progress,
        restore: { slice, payload in
            guard payload.count == size else { return false }
            mask.copy(payload, to: slice * size)
            return true
        },
        payload: { mask.bytes(slice: $0) }
    ) { slice, logits, width, plane in
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
    /// The lesion probability of every voxel in 255ths, where it was asked for.
    var map: Volume<UInt8>?
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

extension SliceProbabilities {
    /// - Parameters:
    ///   - labels: the slice's labels, x fastest, `columns` a row.
    ///   - value: the probability at a row and column; called for lesion voxels in their order.
    init(of labels: UnsafePointer<UInt8>, rows: Int, columns: Int, value: (_ row: Int, _ column: Int) -> Float) {
        var rowStarts: [Int32] = [0]
        var found: [Int16] = []
        var values: [Float] = []
        for row in 0..<rows {
            let line = labels + row * columns
            // Most rows have no lesion: memchr passes over them at memory speed.
            var column = 0
            while column < columns, let hit = memchr(line + column, Int32(Label.lesion), columns - column) {
                column = UnsafeRawPointer(hit) - UnsafeRawPointer(line)
                found.append(Int16(column))
                values.append(value(row, column))
                column += 1
            }
            rowStarts.append(Int32(values.count))
        }
        self.init(rowStarts: rowStarts, columns: found, values: values)
    }
}

/// Runs model 2 on every `every`-th slice of a region: argmax of the three classes, with the extent of lesions that the
/// model asks for, and the lesion probability where it is lesion.
///
/// - Parameters:
///   - region: what the network sees, and where its answer is taken; elsewhere is background.
///   - keepsProbabilities: keeps the lesion probability of every voxel as well.
///   - journal: gives the slices of an earlier run, and keeps those of this one.
/// - Throws: what `progress` throws, between slices.
func lesionStage(
    _ volume: Volume<Float>, region: LiverRegion, every: Int = 1, keepsProbabilities: Bool = false,
    networks: StageNetworks, team: ThreadTeam, journal: SliceJournal? = nil,
    progress: (_ done: Int) throws -> Void
) throws -> LesionStageResult {
    let box = region.box
    let extent = networks.metadata.lesionExtent.map { Float($0) }
    var labels = emptyLabels(of: box, every: every, spacing: volume.spacing)
    let shape = labels.shape
    var map = keepsProbabilities ? labels : nil
    var probabilities: [SliceProbabilities] = []
    probabilities.reserveCapacity(shape.z)
    let size = shape.x * shape.y
    try forEachSlice(
        of: volume, box: box, every: every, networks: networks, team: team, journal: journal,
        progress: progress,
        restore: { slice, payload in
            // Labels, the probabilities of those that are lesion, and the whole map where it is kept.
            guard payload.count >= size, let start = payload.baseAddress else { return false }
            let lesions = payload.prefix(size).count { $0 == Label.lesion }
            guard payload.count == size + 4 * lesions + (map == nil ? 0 : size) else { return false }
            labels.copy(UnsafeRawBufferPointer(rebasing: payload[..<size]), to: slice * size)
            map?.copy(UnsafeRawBufferPointer(rebasing: payload[(size + 4 * lesions)...]), to: slice * size)
            var next = size
            probabilities.append(
                SliceProbabilities(
                    of: start.assumingMemoryBound(to: UInt8.self), rows: shape.y, columns: shape.x
                ) { _, _ in
                    defer { next += 4 }
                    return payload.loadUnaligned(fromByteOffset: next, as: Float.self)
                })
            return true
        },
        payload: { slice in
            var payload = labels.bytes(slice: slice)
            probabilities[slice].values.withUnsafeBytes { payload.append(contentsOf: $0) }
            if let map { payload.append(map.bytes(slice: slice)) }
            return payload
        }
    ) { slice, logits, width, plane in
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
                    let line = output + row * shape.x
                    if let extent {
                        for column in 0..<shape.x where line[column] == Label.liver {
                            let probability = lesionProbability(background + column, plane: plane)
                            if probability >= extent { line[column] = Label.lesion }
                        }
                    }
                    region.clear(line, row: row, slice: slice * every)
                }
            }
            probabilities.append(
                SliceProbabilities(of: output, rows: shape.y, columns: shape.x) { row, column in
                    lesionProbability(logits + row * width + column, plane: plane)
                })
        }
        map?.voxels.withUnsafeMutableBufferPointer { map in
            nonisolated(unsafe) let output = map.baseAddress! + slice * shape.x * shape.y
            nonisolated(unsafe) let logits = logits
            team.forEachChunk(of: shape.y, chunk: 32) { rows in
                for row in rows {
                    for column in 0..<shape.x {
                        let probability = lesionProbability(logits + row * width + column, plane: plane)
                        output[row * shape.x + column] = UInt8((probability * 255).rounded())
                    }
                }
            }
        }
    }
    return LesionStageResult(labels: labels, lesionProbabilities: probabilities, map: map)
}

/// Softmax probability of lesion at the voxel whose logits are at `voxel`, `voxel + plane` and so on.
private func lesionProbability(_ voxel: UnsafePointer<Float>, plane: Int) -> Float {
    let lesion = voxel[2 * plane]
    return 1 / (1 + expf(voxel[0] - lesion) + expf(voxel[plane] - lesion))
}

/// Background for every `every`-th slice of `box`, from its first.
private func emptyLabels(of box: Box, every: Int, spacing: SIMD3<Double>) -> Volume<UInt8> {
    let shape = Shape(box.x.count, box.y.count, (box.z.count + every - 1) / every)
    return Volume(
        shape: shape, spacing: spacing * SIMD3(1, 1, Double(every)), filledWith: Label.background)
}

/// Runs `networks` on every `every`-th slice of `box` and hands on its logits: those of class c begin at
/// `logits + c * plane`, with `width` values a row. `slice` counts the slices run, from 0.
///
/// - Parameters:
///   - restore: takes what the journal has of a slice; false where it is not of this slice's form.
///   - payload: what the journal keeps of a slice that was handed on.
private func forEachSlice(
    of volume: Volume<Float>, box: Box, every: Int, networks: StageNetworks, team: ThreadTeam, journal: SliceJournal?,
    progress: (_ done: Int) throws -> Void,
    restore: (_ slice: Int, _ payload: UnsafeRawBufferPointer) -> Bool, payload: (_ slice: Int) -> Data,
    _ body: (_ slice: Int, _ logits: UnsafePointer<Float>, _ width: Int, _ plane: Int) -> Void
) throws {
    let stacks = SliceStacks(of: volume, box: box, window: networks.metadata.window, slices: networks.slices, batch: 1)
    let plane = stacks.height * stacks.width
    let logits = UnsafeMutablePointer<Float>.allocate(capacity: networks.classes * plane)
    let scratch =
        networks.networks.count > 1
        ? UnsafeMutablePointer<Float>.allocate(capacity: networks.classes * plane) : nil
    defer {
        logits.deallocate()
        scratch?.deallocate()
    }
    for (index, slice) in stride(from: box.z.lowerBound, to: box.z.upperBound, by: every).enumerated() {
        try progress(slice - box.z.lowerBound)
        if let journal, journal.restore({ restore(index, $0) }) { continue }
        let planes = stacks.stacks(centredOn: slice..<slice + 1, team: team)
        networks.run(
            planes: planes, height: stacks.height, width: stacks.width, logits: logits, scratch: scratch, team: team)
        body(index, logits, stacks.width, plane)
        journal?.append(payload(index))
    }
    try progress(box.z.count)
}

extension Volume<UInt8> {
    /// The voxels of an axial slice.
    fileprivate func bytes(slice: Int) -> Data {
        let size = shape.x * shape.y
        return voxels.withUnsafeBufferPointer {
            Data(buffer: UnsafeBufferPointer(rebasing: $0[(slice * size)...].prefix(size)))
        }
    }

    /// Sets the voxels from `start` on.
    fileprivate mutating func copy(_ bytes: UnsafeRawBufferPointer, to start: Int) {
        voxels.withUnsafeMutableBytes { voxels in
            UnsafeMutableRawBufferPointer(rebasing: voxels[start..<start + bytes.count]).copyMemory(from: bytes)
        }
    }
}
