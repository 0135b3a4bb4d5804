/// A date, in days since one long ago or 0 where it is not known, and the seconds of the day.
struct DicomMoment {
    let days, seconds: Double

    /// Reads a DT value, `YYYYMMDDHHMMSS.ffffff` with perhaps a time zone.
    init?(dateTime text: String) {
        self.init(date: String(text.prefix(8)), time: String(text.dropFirst(8)))
    }

    /// Reads a DA value, `YYYYMMDD` or nothing, and a TM value: `HH`, `HHMM`, `HHMMSS` or `HHMMSS.ffffff`, or with colons
    /// as ACR-NEMA had it.
    init?(date: String, time: String) {
        let digits = time.replacing(":", with: "").prefix { $0.isASCII && ($0.isNumber || $0 == ".") }
        let parts = digits.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, [2, 4, 6].contains(whole.count), let clock = Int(whole) else { return nil }
        let padded = whole.count == 2 ? clock * 10_000 : whole.count == 4 ? clock * 100 : clock
        let fraction = parts.count == 2 ? Double("0." + parts[1]) ?? 0 : 0
        seconds = Double(padded / 10_000 * 3600 + padded / 100 % 100 * 60 + padded % 100) + fraction
        // Months of 31 days keep the order, and two days that follow each other are one day apart or some more.
        days = date.count == 8 ? Int(date).map { Double(($0 / 10_000 * 12 + $0 / 100 % 100) * 31 + $0 % 100) } ?? 0 : 0
    }
}
