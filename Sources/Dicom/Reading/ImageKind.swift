import Foundation

/// What a slice shows beside its place: whether it was measured or computed from measured slices, and in what unit.
public enum ImageKind: String, Codable, CaseIterable, Comparable, Sendable {
    /// Measured (ORIGINAL\PRIMARY), in Hounsfield units.
    case original
    /// Computed from others, or nothing is said: a reformatted, averaged or denoised series, a virtual one.
    case derived
    /// A projection such as a MIP, in which every voxel is the extreme of many.
    case projection
    /// A map of something else than Hounsfield units: iodine, effective atomic number, a percentage.
    case notHU = "not_hu"

    /// Words of an image type's third and later values that are no Hounsfield units (PS3.3 section C.8.15.2.1).
    private static let maps: Set<String> = [
        "MAT_SPECIFIC", "MAT_FRACTIONAL", "EFF_ATOMIC_NUM", "ELECTRON_DENSITY", "MAT_VALUE_BASED",
    ]
    private static let projections: Set<String> = [
        "MIP", "MINIP", "MAXIP", "MIPTHIN", "MIPTHICK", "PROJECTION", "VRT", "VOLREN", "VOLUMERENDERING",
    ]
    private static let derivations: Set<String> = [
        "MPR", "REFORMATTED", "REFORMAT", "COR", "SAG", "CORONAL", "SAGITTAL", "VNC", "IODINE", "IODMAP", "IOD", "ZEFF",
        "OVERLAY", "SUBTRACTION", "SUB",
    ]
    /// Rescale types of Hounsfield units; "US", unspecified, says nothing, and neither does its absence.
    private static let units: Set<String> = ["", "HU", "US", "HOUNSFIELD", "HOUNSFIELD UNITS"]

    /// The kind by image type, rescale type and the words of the series' description.
    init(type: String, rescaleType: String, description: String) {
        let values = type.uppercased().split(separator: "\\").map {
            $0.trimmingCharacters(in: .whitespaces)
        }
        let words = Set((values.dropFirst(2).joined(separator: " ") + " " + description.uppercased()).words)
        if !Self.units.contains(rescaleType.uppercased()) || values.dropFirst(2).contains(where: Self.maps.contains) {
            self = .notHU
        } else if !words.isDisjoint(with: Self.projections) {
            self = .projection
        } else if values.first == "ORIGINAL", values.dropFirst().first ?? "PRIMARY" == "PRIMARY",
            words.isDisjoint(with: Self.derivations)
        {
            self = .original
        } else {
            self = .derived
        }
    }

    /// How little it is wanted: 0 for ``original``.
    var rank: Int { Self.allCases.firstIndex(of: self) ?? 0 }

    /// By how much they are wanted, the most first.
    public static func < (a: ImageKind, b: ImageKind) -> Bool { a.rank < b.rank }
}

/// For which tissue a slice was reconstructed, by the names that scanners' makers give to kernels.
///
/// Siemens: letters and a number of sharpness, below 50 for soft tissue (B30f, Br40, I31s). Canon: FC01 to FC19 for the
/// body, FC30 and above for bone and lung. Philips: A and B, then C to F and L. GE: words.
public enum KernelKind: String, Codable, Sendable {
    case soft, sharp, unknown

    private static let sharpWords: Set<String> = [
        "LUNG", "LUNGE", "LUNGS", "LNG", "BONE", "BONEPLUS", "KNOCHEN", "EDGE", "SHARP", "PULMO", "PULMONARY", "HRCT",
        "ULTRA", "CHESTLUNG", "C", "D", "E", "F", "L", "YC", "YD",
    ]
    private static let softWords: Set<String> = [
        "STANDARD", "STND", "SOFT", "SMOOTH", "WEICHTEIL", "WEICHTEILE", "A", "B", "YA", "YB",
    ]

    private static let siemensLetters: Set<String> = [
        "B", "BR", "BL", "BV", "BF", "H", "HR", "HF", "HV", "I", "J", "D", "Q", "QR", "T", "U",
    ]

    /// The kind by ConvolutionKernel, else by the longer words of the series' description.
    init(_ kernel: String, description: String) {
        let names = kernel.uppercased().split(separator: "\\").first.map(String.init) ?? ""
        self = Self.kind(of: names.words)
        if self == .unknown { self = Self.kind(of: description.uppercased().words.filter { $0.count > 2 }) }
    }

    private static func kind(of words: [String]) -> KernelKind {
        if words.contains(where: sharpWords.contains) { return .sharp }
        if let kind = words.lazy.compactMap(Self.byNumber).first { return kind }
        return words.contains(where: softWords.contains) ? .soft : .unknown
    }

    /// The kind of a name made of letters and a number of two digits, such as B30F, BR40D3 or FC08.
    private static func byNumber(_ word: String) -> KernelKind? {
        let letters = word.prefix { $0.isASCII && $0.isLetter }
        let digits = word.dropFirst(letters.count).prefix { $0.isASCII && $0.isNumber }
        guard digits.count == 2, let number = Int(digits) else { return nil }
        if letters == "FC" { return number < 20 ? .soft : number < 30 ? .unknown : .sharp }
        guard siemensLetters.contains(String(letters)) else { return nil }
        return number < 50 ? .soft : .sharp
    }
}

extension String {
    fileprivate var words: [String] {
        split(whereSeparator: { !$0.isLetter && !$0.isNumber && $0 != "_" }).map(String.init)
    }
}
