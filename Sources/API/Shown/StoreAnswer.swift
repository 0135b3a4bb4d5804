import Dicom
import Foundation

/// The Store Instances Response (PS3.18 table 10.5.3-1 and annex I) as DICOM JSON (annex F).
struct StoreAnswer {
    /// A dataset: attributes by their tags.
    struct Dataset: Encodable {
        fileprivate var attributes: [String: Attribute] = [:]

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            try container.encode(attributes)
        }
    }

    fileprivate struct Attribute: Encodable {
        let vr: String
        var texts: [String] = []
        var numbers: [Int] = []
        var items: [Dataset] = []

        private enum CodingKeys: String, CodingKey {
            case vr
            case value = "Value"
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(vr, forKey: .vr)
            // Without a value where it is empty.
            if !texts.isEmpty { try container.encode(texts, forKey: .value) }
            if !numbers.isEmpty { try container.encode(numbers, forKey: .value) }
            if !items.isEmpty { try container.encode(items, forKey: .value) }
        }
    }

    let dataset: Dataset

    /// - Parameters:
    ///   - sent: what became of each instance.
    ///   - job: the job's address; nil where there is none.
    init(_ sent: [SentInstance], job: String?) {
        func named(_ instance: SentInstance) -> Dataset {
            Dataset(attributes: [
                "00081150": Attribute(vr: "UI", texts: instance.sopClass.isEmpty ? [] : [instance.sopClass]),
                "00081155": Attribute(vr: "UI", texts: [instance.instance]),
            ])
        }
        let taken = sent.filter { $0.fate == .taken && !$0.instance.isEmpty }.map { instance in
            var item = named(instance)
            // No instance can be fetched here: an address that is required and may be empty.
            item.attributes["00081190"] = Attribute(vr: "UR")
            return item
        }
        let failed = sent.filter { $0.fate != .taken && !$0.instance.isEmpty }.map { instance in
            var item = named(instance)
            item.attributes["00081197"] = Attribute(vr: "US", numbers: [instance.fate.reason])
            return item
        }
        // Without a UID no item of the other two can name it.
        let nameless = sent.filter { $0.fate != .taken && $0.instance.isEmpty }.map { instance in
            Dataset(attributes: ["00081197": Attribute(vr: "US", numbers: [instance.fate.reason])])
        }
        var dataset = Dataset()
        dataset.attributes["00081190"] = Attribute(vr: "UR", texts: job.map { [$0] } ?? [])
        for (tag, items) in [("00081199", taken), ("00081198", failed), ("0008119A", nameless)] where !items.isEmpty {
            dataset.attributes[tag] = Attribute(vr: "SQ", items: items)
        }
        self.dataset = dataset
    }
}

extension SentInstance.Fate {
    /// FailureReason (0008,1197), PS3.18 table I.2-2 and PS3.7 annex C; 0 for what was taken.
    var reason: Int {
        switch self {
        case .taken: 0
        case .otherVolume, .noSlice: 0x0110  // processing failure
        case .otherStudy: 0xA900  // does not match what was asked for
        case .otherKind: 0x0122  // SOP class not supported
        case .unreadable: 0xC000  // cannot understand
        }
    }
}
