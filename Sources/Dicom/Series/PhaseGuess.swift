extension ContrastPhase {
    private static let words: [(ContrastPhase, Set<String>)] = [
        (.portalVenous, ["portal", "portalvenous", "portovenous", "venous", "venos", "venoes", "ven", "pv", "pvp"]),
        (.arterial, ["arterial", "arteriell", "art"]),
        (.delayed, ["delayed", "delay", "late", "spaet", "equilibrium", "excretory"]),
        (.native, ["native", "nativ", "unenhanced", "noncontrast", "plain", "precontrast"]),
    ]

    /// The phase by the words of a series' description, else by the seconds from injection to acquisition.
    ///
    /// Words win, as times are often blanked or rounded. Of several, portal-venous wins over arterial, and both over
    /// "late", which says which arterial or venous phase is meant.
    ///
    /// - Parameters:
    ///   - description: SeriesDescription; only its words are compared, it is not kept.
    ///   - delay: seconds from the injection's start; nil where not known.
    init(description: String, delay: Double?) {
        let words = description.lowercased().split { !$0.isLetter && !$0.isNumber }.map(String.init)
        let found = Set(words)
        let pairs = Set(zip(words, words.dropFirst()).map { $0 + $1 })
        if let phase = Self.words.first(where: { !$0.1.isDisjoint(with: found) || !$0.1.isDisjoint(with: pairs) })?.0 {
            self = phase
        } else if let seconds = Self.seconds(words) ?? delay {
            // Arterial 15 to 45 s, portal-venous 55 to 100 s, delayed from 120 s to a quarter of an hour after injection.
            switch seconds {
            case 15...45: self = .arterial
            case 55...100: self = .portalVenous
            case 120...900: self = .delayed
            default: self = .unknown
            }
        } else {
            self = .unknown
        }
    }

    /// The delay that words such as "70s" or "70 sec" name.
    private static func seconds(_ words: [String]) -> Double? {
        let units: Set<String> = ["s", "sec", "seconds"]
        for (word, next) in zip(words, words.dropFirst() + [""]) {
            let digits = word.prefix(while: \.isNumber)
            let unit = digits.count == word.count ? next : String(word.dropFirst(digits.count))
            if let seconds = Double(digits), units.contains(unit) { return seconds }
        }
        return nil
    }
}
