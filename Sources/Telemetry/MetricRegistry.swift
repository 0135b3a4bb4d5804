import Synchronization

/// The metrics of a process, and their text for Prometheus.
///
/// May be used from any thread; counting takes a lock of that metric for the time of a dictionary's look-up.
public final class MetricRegistry: Sendable {
    private struct State {
        var families: [any MetricFamily] = []
        var refreshers: [@Sendable () -> Void] = []
    }

    private let state = Mutex(State())

    /// The `Content-Type` of ``exposition()``.
    public static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// A registry without metrics.
    public init() {}

    /// A count that only grows.
    ///
    /// - Parameters:
    ///   - name: ends with `_total`; not yet in the registry.
    ///   - help: one sentence, with the unit.
    ///   - labels: the names of its labels, in the order in which values are given.
    public func counter(_ name: String, help: String, labels: [String] = []) -> Counter {
        precondition(name.hasSuffix("_total"), "a counter's name ends with _total")
        return add(Counter(series: Series(name: name, help: help, labels: labels, initial: labels.isEmpty ? 0 : nil)))
    }

    /// A number that goes up and down.
    public func gauge(_ name: String, help: String, labels: [String] = []) -> Gauge {
        add(Gauge(series: Series(name: name, help: help, labels: labels, initial: nil)))
    }

    /// A distribution, counted in buckets.
    ///
    /// - Parameter buckets: the upper bounds, each part of its bucket, growing; the last bucket, above them all, is
    ///   added.
    public func histogram(_ name: String, help: String, buckets: [Double], labels: [String] = []) -> Histogram {
        precondition(!buckets.isEmpty && buckets.allSatisfy(\.isFinite), "a histogram has finite buckets")
        precondition(zip(buckets, buckets.dropFirst()).allSatisfy(<), "a histogram's buckets grow")
        precondition(!labels.contains("le"), "the label le is the histogram's own")
        let empty = HistogramCount(buckets: buckets.count + 1)
        return add(
            Histogram(
                buckets: buckets,
                series: Series(name: name, help: help, labels: labels, initial: labels.isEmpty ? empty : nil),
                empty: empty))
    }

    /// Has `refresh` called before each ``exposition()``: it sets the gauges that are read off something else, as free
    /// space on a disk.
    public func onExposition(_ refresh: @escaping @Sendable () -> Void) {
        state.withLock { $0.refreshers.append(refresh) }
    }

    /// All metrics in Prometheus' text format, version 0.0.4, in the order they were made; series sorted by labels.
    public func exposition() -> String {
        for refresh in state.withLock({ $0.refreshers }) { refresh() }
        var text = ""
        for family in state.withLock({ $0.families }) { family.write(to: &text) }
        return text
    }

    private func add<Family: MetricFamily>(_ family: Family) -> Family {
        state.withLock { state in
            precondition(!state.families.contains { $0.name == family.name }, "two metrics have one name")
            state.families.append(family)
        }
        return family
    }
}

/// A metric with all its series.
protocol MetricFamily: Sendable {
    var name: String { get }
    func write(to text: inout String)
}

/// A count that only grows; one for each combination of label values.
public struct Counter: MetricFamily {
    let series: Series<Double>

    var name: String { series.name }

    /// Adds to the count of these label values; 0 makes it show before anything is counted. What is negative or not
    /// finite is passed over.
    public func add(_ amount: Double = 1, _ labels: String...) {
        guard amount.isFinite && amount >= 0 else { return }
        series.update(labels, from: 0) { $0 += amount }
    }

    func write(to text: inout String) {
        series.writeHead(type: "counter", to: &text)
        for (labels, value) in series.sorted { text += "\(name)\(labels.text) \(number(value))\n" }
    }
}

/// A number that goes up and down; one for each combination of label values.
public struct Gauge: MetricFamily {
    let series: Series<Double>

    var name: String { series.name }

    /// Sets the number of these label values.
    public func set(_ value: Double, _ labels: String...) {
        series.update(labels, from: 0) { $0 = value }
    }

    func write(to text: inout String) {
        series.writeHead(type: "gauge", to: &text)
        for (labels, value) in series.sorted { text += "\(name)\(labels.text) \(number(value))\n" }
    }
}

/// What one series of a histogram has counted.
struct HistogramCount {
    /// Values in each bucket alone; the text adds up those below.
    var inBucket: [Int]
    var sum = 0.0

    init(buckets: Int) { inBucket = Array(repeating: 0, count: buckets) }
}

/// A distribution; one for each combination of label values.
public struct Histogram: MetricFamily {
    let buckets: [Double]
    let series: Series<HistogramCount>
    let empty: HistogramCount

    var name: String { series.name }

    /// Counts a value; one that is not finite is passed over.
    public func observe(_ value: Double, _ labels: String...) {
        guard value.isFinite else { return }
        let bucket = buckets.firstIndex { value <= $0 } ?? buckets.count
        series.update(labels, from: empty) { count in
            count.inBucket[bucket] += 1
            count.sum += value
        }
    }

    func write(to text: inout String) {
        series.writeHead(type: "histogram", to: &text)
        for (labels, count) in series.sorted {
            var below = 0
            for (bound, inBucket) in zip(buckets + [.infinity], count.inBucket) {
                below += inBucket
                text += "\(name)_bucket\(labels.adding("le", number(bound)).text) \(below)\n"
            }
            text += "\(name)_sum\(labels.text) \(number(count.sum))\n"
            text += "\(name)_count\(labels.text) \(below)\n"
        }
    }
}
