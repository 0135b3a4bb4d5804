import Dicom
import Foundation
import Imaging
import Jobs
import Segmentation

/// What a client chose for a job: what a job's row keeps as its options.
struct JobRequest: Codable, Sendable {
    /// How to segment.
    var options = Segmenter.Options()
    /// What was found in the upload.
    var findings: [Finding] = []
    /// The earlier result that this job repeats, to see whether the same comes out.
    var verifies: Verification.Earlier?
    /// What the job takes at its peak; nil in rows of versions that did not know.
    var memoryBytes: Int?
    /// Which volume of the DICOM files that were sent this is; nil for NIfTI.
    var dicom: DicomReport?
    /// The client's own name for the job; nil where it gave none.
    var label: String?

    init(
        options: Segmenter.Options = .init(), findings: [Finding] = [], memoryBytes: Int? = nil,
        dicom: DicomReport? = nil, label: String? = nil, verifies: Verification.Earlier? = nil
    ) {
        self.label = label
        self.dicom = dicom
        self.memoryBytes = memoryBytes
        self.options = options
        self.findings = findings
        self.verifies = verifies
    }

    /// What `job` was asked for. Rows of versions that kept nothing but the options are read as well.
    init(of job: Job) throws {
        let decoder = JSONDecoder()
        if let request = try? decoder.decode(JobRequest.self, from: job.options) {
            self = request
        } else {
            options = try decoder.decode(Segmenter.Options.self, from: job.options)
        }
    }
}

/// A client's own name for a job, which the job tells and nothing else does: no log, no webhook, no event.
///
/// - Throws: ``Problem``: not 1 to 64 printable characters of ASCII.
func checkedLabel(_ text: String?) throws(Problem) -> String? {
    guard let text else { return nil }
    guard (1...64).contains(text.utf8.count), text.utf8.allSatisfy({ (0x20...0x7E).contains($0) }) else {
        throw Problem(
            400, "bad_label",
            "label must be 1 to 64 printable ASCII characters, such as an order's number. It must not name a patient.")
    }
    return text
}

extension Segmenter.Options {
    /// The names of the options, as clients write them.
    private static let names = ["full", "probabilities"]

    /// Reads `{"full": true}`; an unknown key is refused, for it is most often a spelling error.
    init(field data: Data) throws(Problem) {
        guard let object = try? JSONSerialization.jsonObject(with: data) as? [String: Any] else {
            throw Problem(422, "bad_options", "The field \"options\" is not a JSON object such as {\"full\": false}.")
        }
        if let unknown = object.keys.sorted().first(where: { !Self.names.contains($0) }) {
            let known = Self.names.joined(separator: ", ")
            throw Problem(
                422, "bad_options", "The option \"\(unknown.prefix(40))\" is not known. There are: \(known).")
        }
        guard let options = try? JSONDecoder().decode(Segmenter.Options.self, from: data) else {
            throw Problem(422, "bad_options", "Each option must be true or false.")
        }
        self = options
    }
}
