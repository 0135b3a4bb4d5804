public import Compute

/// Draws batches from training data.
///
/// A batch is a function of the data, the options, the seed and its number alone, so that training can go on from any
/// step. With the default options each epoch shows every slice once, in an order of its own; with shares or a balance
/// each epoch is spread over all cases as evenly as their probabilities allow.
public struct BatchSource: Sendable {
    /// What is drawn from.
    public let data: TrainingData
    /// How samples are drawn and altered.
    public let options: SamplingOptions

    private let seed: UInt64
    /// All slices, and those with a lesion.
    private let all, lesions: SliceTable
    /// Where a model was wrong.
    private let hard: HardTable?

    /// The batches of a seed.
    ///
    /// - Parameter hard: places that ``SamplingOptions/hardShare`` of the samples are drawn from.
    /// - Precondition: `options.check()` throws nothing.
    public init(_ data: TrainingData, options: SamplingOptions, seed: UInt64, hard: HardPlaces? = nil) {
        precondition(options.isSound, "check the options first")
        self.data = data
        self.options = options
        self.seed = seed
        self.hard = hard.flatMap { HardTable($0, cases: data.cases) }
        all = SliceTable(data.cases, options: options, slices: \.centres)
        lesions = SliceTable(data.cases, options: options) { item in
            item.centres.filter { item.lesionPixels[$0] > 0 }
        }
        precondition(!all.entries.isEmpty, "there is nothing to draw from")
    }

    /// How many slices can be the centre of a sample: as many samples make an epoch.
    public var samplesPerEpoch: Int { all.entries.count }

    /// Batch number `step`, counted from 0: ``SamplingOptions/batch`` samples of ``SamplingOptions/crop`` rows and columns.
    ///
    /// - Parameters:
    ///   - step: which batch; batches may be made in any order.
    ///   - team: the threads that share the slices of the samples; the batch does not depend on their number.
    public func batch(_ step: Int, team: ThreadTeam) -> Batch {
        precondition(step >= 0)
        let samples = samples(of: step)
        var batch = Batch(count: samples.count, slices: data.slices, height: options.crop, width: options.crop)
        let plane = options.crop * options.crop
        let painter = SamplePainter(window: data.options.window, crop: options.crop)
        batch.images.withUnsafeMutableBufferPointer { images in
            batch.labels.withUnsafeMutableBufferPointer { labels in
                nonisolated(unsafe) let images = images.baseAddress!
                nonisolated(unsafe) let labels = labels.baseAddress!
                // Labels are one more plane of a sample.
                let planes = data.slices + 1
                team.forEach(samples.count * planes) { index in
                    let (number, channel) = index.quotientAndRemainder(dividingBy: planes)
                    let sample = samples[number]
                    if channel < data.slices {
                        painter.paint(
                            channel, of: sample, from: data.cases[sample.item],
                            into: images + (number * data.slices + channel) * plane)
                    } else {
                        painter.paintLabels(of: sample, from: data.cases[sample.item], into: labels + number * plane)
                    }
                }
            }
        }
        return batch
    }

    /// What the samples of a batch are.
    func samples(of step: Int) -> [Sample] {
        let numbers = step * options.batch..<(step + 1) * options.batch
        var orders: [Int: [Int]] = [:]
        return numbers.map { number in
            let (epoch, place) = number.quotientAndRemainder(dividingBy: samplesPerEpoch)
            let order = orders[epoch] ?? order(ofEpoch: epoch)
            orders[epoch] = order
            return sample(number, place: order[place])
        }
    }

    /// The places of an epoch, shuffled.
    private func order(ofEpoch epoch: Int) -> [Int] {
        var random = random(stream: 1, epoch)
        return (0..<samplesPerEpoch).shuffled(using: &random)
    }

    private func sample(_ number: Int, place: Int) -> Sample {
        var random = random(stream: 2, number)
        // Never quite at a place's ends, where rounding might choose its neighbour.
        let share = (Double(place) + random.uniform(0.001...0.999)) / Double(samplesPerEpoch)
        if let hard, options.hardShare > 0, random.unit() < options.hardShare {
            let entry = hard.entry(at: share)
            return Sample(
                item: entry.item, slice: entry.slice, of: data.cases[entry.item], slices: data.slices,
                aimsAtLesion: false, near: entry.centre, options: options, window: data.options.window,
                random: &random)
        }
        let aimsAtLesion = random.unit() < options.lesionShare && !lesions.entries.isEmpty
        let entry = (aimsAtLesion ? lesions : all).entry(at: share)
        return Sample(
            item: entry.item, slice: entry.slice, of: data.cases[entry.item], slices: data.slices,
            aimsAtLesion: aimsAtLesion, options: options, window: data.options.window, random: &random)
    }

    /// A generator of its own for each stream and number.
    private func random(stream: UInt64, _ number: Int) -> SplitMix64 {
        var seeds = SplitMix64(seed: seed)
        var mixed = SplitMix64(seed: seeds.next() ^ UInt64(number) &* 0xD6E8_FEB8_6659_FD93 &+ stream)
        return SplitMix64(seed: mixed.next())
    }
}
