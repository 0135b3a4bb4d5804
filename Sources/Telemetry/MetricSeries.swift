import Synchronization

/// The values of a metric by the values of its labels.
final class Series<Value: Sendable>: Sendable {
    let name: String

    private let help: String
    private let labels: [String]
    private let values: Mutex<[[String]: Value]>

    /// The most combinations of label values. Labels are few and fixed words; should one let a client's words in by
    /// mistake, neither memory nor Prometheus must drown: what comes late is counted as `other`.
    static var limit: Int { 1_000 }

    init(name: String, help: String, labels: [String], initial: Value?) {
        precondition(isMetricName(name, colons: true), "\(name) cannot be a metric's name")
        precondition(
            labels.allSatisfy { isMetricName($0, colons: false) && !$0.hasPrefix("__") },
            "\(name) has a label that cannot be one")
        precondition(Set(labels).count == labels.count, "\(name) has a label twice")
        self.name = name
        self.help = help
        self.labels = labels
        values = Mutex(initial.map { [[]: $0] } ?? [:])
    }

    func update(_ key: [String], from initial: Value, _ change: (inout Value) -> Void) {
        precondition(key.count == labels.count, "\(name) has \(labels.count) labels")
        values.withLock { values in
            let isKnown = values[key] != nil || values.count < Self.limit
            change(&values[isKnown ? key : key.map { _ in "other" }, default: initial])
        }
    }

    func writeHead(type: String, to text: inout String) {
        let help = help.replacing("\\", with: "\\\\").replacing("\n", with: "\\n")
        text += "# HELP \(name) \(help)\n# TYPE \(name) \(type)\n"
    }

    /// All series by their label values.
    var sorted: [(LabelSet, Value)] {
        values.withLock { $0 }.sorted { $0.key.lexicographicallyPrecedes($1.key) }.map { key, value in
            (LabelSet(pairs: Array(zip(labels, key))), value)
        }
    }
}

/// Labels with their values.
struct LabelSet {
    private let pairs: [(String, String)]

    init(pairs: [(String, String)]) { self.pairs = pairs }

    func adding(_ name: String, _ value: String) -> LabelSet { LabelSet(pairs: pairs + [(name, value)]) }

    /// `{a="b",c="d"}`, or nothing without labels.
    var text: String {
        if pairs.isEmpty { return "" }
        return "{" + pairs.map { "\($0)=\"\(escaped($1))\"" }.joined(separator: ",") + "}"
    }

    private func escaped(_ value: String) -> String {
        value.replacing("\\", with: "\\\\").replacing("\"", with: "\\\"").replacing("\n", with: "\\n")
    }
}

/// A number as Prometheus reads it: whole ones without a fraction.
func number(_ value: Double) -> String {
    if value.isNaN { return "NaN" }
    if value.isInfinite { return value > 0 ? "+Inf" : "-Inf" }
    return Int(exactly: value).map { "\($0)" } ?? "\(value)"
}

private func isMetricName(_ name: String, colons: Bool) -> Bool {
    !name.isEmpty && !(0x30...0x39 ~= name.utf8.first!)
        && name.utf8.allSatisfy { byte in
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "_"):
                true
            case UInt8(ascii: ":"): colons
            default: false
            }
        }
}
