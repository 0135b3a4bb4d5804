/// Where a tensor lies in the workspace, in planes of channel blocks.
///
/// Shape (images, blocks, rows, columns, lanes): one vector of channels at each pixel. Around each plane lies a border
/// that is always zero, one pixel above and to the left, and at the other ends as much as tiles may reach beyond the
/// plane: so nothing that reads a tensor needs to look for edges.
public struct BlockedTensor: Sendable {
    /// Of the first image's first block's corner, in floats from the workspace's start.
    public let offset: Int
    /// Channel blocks of an image.
    public let blocks: Int
    /// Pixels of a plane.
    public let height, width: Int
    /// Channels in a block.
    public let lanes: Int
    /// Floats from a row to the next.
    public let rowStride: Int
    /// Floats from a channel block to the next.
    public let blockStride: Int
    /// 0 where all images use the same memory, one after the other.
    public let imageStride: Int

    /// The pixel at (y, x) of the plane, -1 being the border.
    public func offset(image: Int, block: Int, y: Int, x: Int) -> Int {
        offset + image * imageStride + block * blockStride + (y + 1) * rowStride + (x + 1) * lanes
    }

    /// How long a side is with its border: tiles of 4 or 6 pixels may begin inside the plane and end beyond it.
    static func padded(_ length: Int) -> Int { max(length.roundedUp(to: 4), length.roundedUp(to: 6)) + 2 }
}

/// Lays tensors out in the workspace, each at the start of a page so that none shares a cache line with another.
public struct WorkspaceLayout: Sendable {
    /// Channels in a block.
    public let lanes: Int
    /// Floats that the workspace must have for what was laid out so far.
    public private(set) var floats = 0

    /// An empty layout.
    public init(lanes: Int) { self.lanes = lanes }

    /// A tensor of `channels`, for `images` at once; with `isShared` they use the same memory in turn.
    public mutating func tensor(
        channels: Int, height: Int, width: Int, images: Int, isShared: Bool = false
    ) -> BlockedTensor {
        let blocks = (channels + lanes - 1) / lanes
        let rowStride = BlockedTensor.padded(width) * lanes
        let blockStride = BlockedTensor.padded(height) * rowStride
        return BlockedTensor(
            offset: reserve(blocks * blockStride * (isShared ? 1 : images)), blocks: blocks, height: height,
            width: width, lanes: lanes, rowStride: rowStride, blockStride: blockStride,
            imageStride: isShared ? 0 : blocks * blockStride)
    }

    /// Tensors that use the same memory, one after the other; their borders are not kept zero.
    public mutating func overlapping(
        _ shapes: [(channels: Int, height: Int, width: Int)], images: Int, isShared: Bool = false
    ) -> [BlockedTensor] {
        let start = self
        return shapes.map { shape in
            var layout = start
            let tensor = layout.tensor(
                channels: shape.channels, height: shape.height, width: shape.width, images: images,
                isShared: isShared)
            floats = max(floats, layout.floats)
            return tensor
        }
    }

    /// The offset of `count` more floats.
    public mutating func reserve(_ count: Int) -> Int {
        let offset = floats
        floats += count.roundedUp(to: 1024)
        return offset
    }
}

extension Int {
    /// The smallest multiple that is not smaller.
    public func roundedUp(to multiple: Int) -> Int { (self + multiple - 1) / multiple * multiple }
}
