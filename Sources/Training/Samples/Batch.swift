internal import Imaging

/// Samples that are learnt from together.
public struct Batch: Equatable, Sendable {
    /// How many samples there are.
    public let count: Int
    /// Adjacent axial slices in a sample.
    public let slices: Int
    /// Rows, a multiple of 16.
    public let height: Int
    /// Columns, a multiple of 16.
    public let width: Int
    /// Shape (count, slices, height, width), x fastest: HU mapped onto -1 ... 1.
    public var images: [Float]
    /// Shape (count, height, width): the class of each pixel of the centre slice, ``foreground`` or ``unknown``.
    public var labels: [UInt8]

    /// The label of a pixel that is of any class but the background, nobody told of which: the cross-entropy takes the sum
    /// of those classes' probabilities, with the weight of class 1. It counts neither in the Dice term nor in the scores.
    public static let foreground: UInt8 = 254
    /// The label of a pixel of which nothing is known: it has no weight in the loss, and counts in no score.
    public static let unknown: UInt8 = Label.unknown

    /// A batch of the given size, all images -1 and all labels 0.
    public init(count: Int, slices: Int, height: Int, width: Int) {
        precondition(count > 0 && slices > 0 && height > 0 && height % 16 == 0 && width > 0 && width % 16 == 0)
        self.count = count
        self.slices = slices
        self.height = height
        self.width = width
        images = [Float](repeating: -1, count: count * slices * height * width)
        labels = [UInt8](repeating: 0, count: count * height * width)
    }
}
