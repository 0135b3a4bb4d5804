internal import Glibc

/// Slices to draw from, each with its probability.
struct SliceTable: Sendable {
    /// A slice of a case, by their numbers.
    struct Entry: Equatable, Sendable {
        let item: Int
        let slice: Int
    }

    /// Case after case, slice after slice.
    let entries: [Entry]
    /// For each entry, the probability of it and all before it.
    private let cumulative: [Double]

    /// - Parameters:
    ///   - cases: what is drawn from.
    ///   - options: balance and shares.
    ///   - slices: the slices of a case that may be drawn; cases without any are never drawn.
    init(_ cases: [TrainingCase], options: SamplingOptions, slices: (TrainingCase) -> [Int]) {
        let slices = cases.map(slices)
        let weights = slices.map { $0.isEmpty ? 0 : pow(Double($0.count), 1 - options.balance) }
        let shares = Self.shares(cases, weights: weights, options: options)
        var entries: [Entry] = []
        var cumulative: [Double] = []
        var sum = 0.0
        for (item, slices) in slices.enumerated() {
            for slice in slices {
                sum += shares[item] / Double(slices.count)
                entries.append(Entry(item: item, slice: slice))
                cumulative.append(sum)
            }
        }
        self.entries = entries
        self.cumulative = cumulative
    }

    /// The probability of each case, up to a common factor: kinds with a share of their own have it, the other kinds
    /// divide the rest by the cases' weights.
    private static func shares(_ cases: [TrainingCase], weights: [Double], options: SamplingOptions) -> [Double] {
        func total(_ wanted: (TrainingCase.Kind) -> Bool) -> Double {
            zip(cases, weights).reduce(0) { wanted($1.0.kind) ? $0 + $1.1 : $0 }
        }
        var share: [TrainingCase.Kind: Double] = [:]
        share[.phantom] = total { $0 == .phantom } > 0 ? options.phantomShare : nil
        share[.singleSlices] = total { $0 == .singleSlices } > 0 ? options.singleShare : nil
        let fixed = share.values.reduce(0, +)
        let others = total { share[$0] == nil }
        // Where the kinds with shares are all there is, only the ratio of their shares counts.
        guard others > 0 || fixed > 0 else { return weights }
        return zip(cases, weights).map { item, weight in
            if let own = share[item.kind] { return own * weight / total { $0 == item.kind } }
            return (1 - fixed) * weight / others
        }
    }

    /// The entry at `share` of the way through all probabilities, 0 ..< 1.
    func entry(at share: Double) -> Entry {
        entries[cumulative.index(at: share)]
    }
}

extension [Double] {
    /// Of sums that rise, the index of the first above `share` (0 ..< 1) of the last; not of an empty list.
    func index(at share: Double) -> Int {
        let wanted = share * self[count - 1]
        var (low, high) = (0, count - 1)
        while low < high {
            let middle = (low + high) / 2
            if self[middle] > wanted { high = middle } else { low = middle + 1 }
        }
        return low
    }
}
