internal import Foundation

/// The numbers of a training over its steps: a table that is kept as CSV, and drawn.
struct Curves: Equatable {
    /// The names in the CSV's first line.
    let columns: [String]
    /// One number a column; nil where a row says nothing, as of validation between two of them.
    private(set) var rows: [[Double?]] = []

    /// An empty table.
    ///
    /// - Parameters:
    ///   - classes: the scored classes.
    ///   - cases: the names of the validation cases.
    init(classes: [String], cases: [String]) {
        columns =
            ["step", "epoch", "samples", "learning_rate", "loss"] + classes.map { "dice_\($0)" }
            + (cases.isEmpty ? [] : classes.map { "validation_\($0)" })
            + cases.flatMap { name in classes.map { "\(Self.plain(name))_\($0)" } }
            + ["samples_per_s", "seconds"]
    }

    /// Adds a row; a column that is not named is left empty.
    mutating func add(_ values: [String: Double?]) {
        rows.append(columns.map { values[$0] ?? nil })
    }

    /// The values of a column where there are any, with their steps.
    func series(_ column: String) -> [(step: Double, value: Double)] {
        guard let index = columns.firstIndex(of: column) else { return [] }
        return rows.compactMap { row in
            guard let step = row[0], let value = row[index], value.isFinite else { return nil }
            return (step, value)
        }
    }

    /// The last number of a column.
    func last(_ column: String) -> Double? { series(column).last?.value }

    /// The table as text.
    var csv: String {
        let lines = rows.map { row in row.map { $0.map { text($0) } ?? "" }.joined(separator: ",") }
        return ([columns.joined(separator: ",")] + lines).joined(separator: "\n") + "\n"
    }

    /// Takes the rows up to `step` from a table that was kept, if it has the same columns: later ones belong to steps
    /// that will be made again.
    mutating func takeRows(from csv: String, upTo step: Int) {
        let lines = csv.split(separator: "\n")
        guard lines.first.map(String.init) == columns.joined(separator: ",") else { return }
        for line in lines.dropFirst() {
            let row = line.split(separator: ",", omittingEmptySubsequences: false).map { Double($0) }
            guard row.count == columns.count, let first = row[0], first <= Double(step) else { continue }
            rows.append(row)
        }
    }

    /// A case's name as part of a column's.
    static func plain(_ name: String) -> String { name.replacingOccurrences(of: ",", with: "_") }
}

/// Whole numbers as such, others with six digits.
private func text(_ value: Double) -> String {
    value == value.rounded() && abs(value) < 1e15 ? String(Int(value)) : String(format: "%.6g", value)
}
