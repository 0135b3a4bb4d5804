/// The last batches' losses, overlaps and durations: what the progress line and the curves tell.
struct RecentBatches {
    /// How many batches are kept.
    let limit: Int
    /// Samples in the last batch.
    private(set) var samplesPerBatch = 0
    private var results: [(result: BatchResult, seconds: Double)] = []

    init(limit: Int) { self.limit = limit }

    mutating func add(_ result: BatchResult, samples: Int, seconds: Double) {
        if results.count == limit { results.removeFirst() }
        results.append((result, seconds))
        samplesPerBatch = samples
    }

    /// Mean loss; NaN before the first batch.
    var loss: Double { results.reduce(0) { $0 + $1.result.loss } / Double(results.count) }

    /// Mean duration of a step; 0 before the first batch.
    var secondsPerStep: Double {
        results.isEmpty ? 0 : results.reduce(0) { $0 + $1.seconds } / Double(results.count)
    }

    /// Samples learnt from in a second; 0 before the first batch.
    var samplesPerSecond: Double { results.isEmpty ? 0 : Double(samplesPerBatch) / max(secondsPerStep, 1e-9) }

    /// 2 hits / (predicted + present) of a class over all pixels; nil where none has or was given it.
    func dice(of label: Int) -> Double? {
        let hits = results.reduce(0) { $0 + $1.result.hits[label] }
        let both = results.reduce(0) { $0 + $1.result.predicted[label] + $1.result.present[label] }
        return both == 0 ? nil : 2 * Double(hits) / Double(both)
    }
}
