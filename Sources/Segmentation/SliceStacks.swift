import Compute
import Imaging

/// Feeds a network with stacks of neighbouring axial slices, cut to a box, windowed and padded.
///
/// A plane is made once and serves every stack it belongs to; only the planes of the current batch are held.
final class SliceStacks {
    /// Rows and columns of a plane: the box, rounded up to multiples of 16.
    let height, width: Int

    private let volume: Volume<Float>
    private let box: Box
    private let window: ClosedRange<Double>
    private let slices: Int
    private let capacity: Int
    private let storage: UnsafeMutablePointer<Float>
    private var heldSlice: [Int?]

    /// - Parameters:
    ///   - volume: HU on canonical axes.
    ///   - box: the rows and columns to show; slices are taken from the whole volume, its edge slices repeated.
    ///   - window: the model's window in HU, mapped linearly onto [-1, 1] after clipping.
    ///   - slices: slices in a stack, odd.
    ///   - batch: the most stacks that will be asked for at once.
    init(of volume: Volume<Float>, box: Box, window: ClosedRange<Double>, slices: Int, batch: Int) {
        self.volume = volume
        self.box = box
        self.window = window
        self.slices = slices
        height = (box.y.count + 15) / 16 * 16
        width = (box.x.count + 15) / 16 * 16
        capacity = batch + slices - 1
        storage = .allocate(capacity: capacity * height * width)
        heldSlice = Array(repeating: nil, count: capacity)
    }

    deinit { storage.deallocate() }

    /// The planes of the stacks centred on `centres`, `slices` pointers a stack, each to `height` x `width` values in
    /// [-1, 1]. They are valid until the next call.
    func stacks(centredOn centres: Range<Int>, team: ThreadTeam) -> [UnsafePointer<Float>] {
        let reach = slices / 2
        let wanted = clamp(centres.lowerBound - reach)...clamp(centres.upperBound - 1 + reach)
        let missing = wanted.filter { heldSlice[$0 % capacity] != $0 }
        for slice in missing { heldSlice[slice % capacity] = slice }
        nonisolated(unsafe) let stacks = self
        let rowsPerChunk = 64
        let chunks = (height + rowsPerChunk - 1) / rowsPerChunk
        team.forEach(missing.count * chunks) { index in
            let first = index % chunks * rowsPerChunk
            stacks.fill(slice: missing[index / chunks], rows: first..<min(stacks.height, first + rowsPerChunk))
        }
        return centres.flatMap { centre in
            (-reach...reach).map { UnsafePointer(plane(of: clamp(centre + $0))) }
        }
    }

    private func clamp(_ slice: Int) -> Int { min(max(slice, 0), volume.shape.z - 1) }

    private func plane(of slice: Int) -> UnsafeMutablePointer<Float> { storage + slice % capacity * height * width }

    private func fill(slice: Int, rows: Range<Int>) {
        let low = Float(window.lowerBound)
        let high = Float(window.upperBound)
        let centre = Float((window.lowerBound + window.upperBound) / 2)
        let halfWidth = Float((window.upperBound - window.lowerBound) / 2)
        let plane = plane(of: slice)
        let columns = box.x.count
        volume.voxels.withUnsafeBufferPointer { voxels in
            for row in rows {
                let output = plane + row * width
                guard row < box.y.count else {
                    output.update(repeating: -1, count: width)
                    continue
                }
                let input = voxels.baseAddress! + volume.shape.index(box.x.lowerBound, box.y.lowerBound + row, slice)
                for column in 0..<columns {
                    output[column] = (min(max(input[column], low), high) - centre) / halfWidth
                }
                (output + columns).update(repeating: -1, count: width - columns)
            }
        }
    }
}
