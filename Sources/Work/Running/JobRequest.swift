import Cases
import Dicom
import Foundation
import Imaging
import Jobs
import Segmentation

/// What a client chose for a job: what a job's row keeps as its options.
package struct JobRequest: Codable, Sendable {
    /// How to segment.
    package var options = Segmenter.Options()
    /// What was found in the upload.
    package var findings: [Finding] = []
    /// The earlier result that this job repeats, to see whether the same comes out.
    package var verifies: Verification.Earlier?
    /// What the job takes at its peak; nil in rows of versions that did not know.
    package var memoryBytes: Int?
    /// Which volume of the DICOM files that were sent this is; nil for NIfTI.
    package var dicom: DicomReport?
    /// The client's own name for the job; nil where it gave none.
    package var label: String?

    package init(
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
    package init(of job: Job) throws {
        let decoder = JSONDecoder()
        if let request = try? decoder.decode(JobRequest.self, from: job.options) {
            self = request
        } else {
            options = try decoder.decode(Segmenter.Options.self, from: job.options)
        }
    }
}
