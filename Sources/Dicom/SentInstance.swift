internal import FoundationEssentials

/// What became of one of the files of an import, for a sender that is to be answered for each.
///
/// It names the instance, which leads to the patient in an archive: for that answer only, never for logs or results.
public struct SentInstance: Codable, Equatable, Sendable {
    /// SOPClassUID and SOPInstanceUID; "" where the file has none that DICOM allows.
    public let sopClass, instance: String
    /// What became of it.
    public let fate: Fate

    /// What may become of an instance.
    public enum Fate: String, Codable, CaseIterable, Sendable {
        /// It is in the volume, or the same slice is.
        case taken
        /// It is of another study than the one that was asked for.
        case otherStudy = "other_study"
        /// It is a slice, and not of the volume that was taken, or none was.
        case otherVolume = "other_volume"
        /// It is a CT image and no slice of a volume: a localizer, or without pixels or a place.
        case noSlice = "no_slice"
        /// It is an object of another kind.
        case otherKind = "other_kind"
        /// It is no DICOM file, or damaged.
        case unreadable
    }

    /// Makes one by hand, as tests do.
    public init(sopClass: String, instance: String, fate: Fate) {
        self.sopClass = sopClass
        self.instance = instance
        self.fate = fate
    }

    /// Whether a child could have told this.
    public var isPossible: Bool { [sopClass, instance].allSatisfy(isSoundUID) }
}

/// What a file says of itself, whether it is a slice or not.
struct FileNames {
    var sopClass = "", instance = "", study = ""
}

/// What is known of the files of an import, in their order: where each is, what it says of itself, and why it is no slice.
struct FileRegister {
    private var entries: [(path: String, names: FileNames, reason: LeftOutReason?)] = []

    mutating func add(_ path: String, _ names: FileNames, leftOut reason: LeftOutReason?) {
        entries.append((path, names, reason))
    }

    /// What became of each file where no volume was taken.
    func fates(study: String?) -> [SentInstance] { fates(study: study, isTaken: { _ in false }) }

    /// What became of each file.
    ///
    /// - Parameters:
    ///   - candidates: the slices that the volumes were looked for in; what of the volume's series is in no volume was there
    ///     twice, or where acquisitions overlap.
    ///   - study: StudyInstanceUID or number of the wanted study.
    func fates(study: String?, taken: Stack, stacks: [Stack], candidates: [SliceHeader]) -> [SentInstance] {
        let stacked = Set(stacks.lazy.flatMap(\.slices).map(\.file.path))
        let doubled = candidates.lazy.filter { $0.origin == taken.first.origin && !stacked.contains($0.file.path) }
        let held = Set(taken.slices.map(\.file.path)).union(doubled.map(\.file.path))
        return fates(study: study, isTaken: held.contains)
    }

    private func fates(study: String?, isTaken: (String) -> Bool) -> [SentInstance] {
        entries.map { path, names, reason in
            // A study may be asked for by its number too, which no file has.
            let isOfOther = study.map { $0.contains(".") && !names.study.isEmpty && names.study != $0 } ?? false
            let fate: SentInstance.Fate =
                switch reason {
                case .damaged, .notDicom, .emptyFile, .archive: .unreadable
                case _ where isOfOther: .otherStudy
                case .notCT, .secondaryCapture, .directory: .otherKind
                case .localizer, .noPixels, .noPosition: .noSlice
                case nil: isTaken(path) ? .taken : .otherVolume
                }
            return SentInstance(sopClass: names.sopClass, instance: names.instance, fate: fate)
        }
    }
}

/// Whether a text is a UID as DICOM allows it, or empty.
func isSoundUID(_ text: String) -> Bool {
    text.utf8.count <= 64 && text.utf8.allSatisfy { $0 == UInt8(ascii: ".") || (0x30...0x39).contains($0) }
}
