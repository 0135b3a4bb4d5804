import Cases
import Foundation
import Imaging
import Jobs
import Segmentation

/// What a job's row keeps of its report: enough to show the job without reading files.
package struct JobResult: Codable, Sendable {
    package let findings: [Finding]
    package let timingsMs: [String: Double]
    // Nil in rows of versions that did not keep them.
    package var model: Report.Model?
    package var maskSha256: String?
    /// Nil also where it could not be measured.
    package var liverMeanHU: Double?
    /// Of a job that repeated another.
    package var verification: Verification?

    package init?(of job: Job) {
        guard let data = job.result, let result = try? JSONDecoder().decode(JobResult.self, from: data) else {
            return nil
        }
        self = result
    }

    package init(_ report: Report, verification: Verification?) {
        findings = report.findings
        timingsMs = report.timingsMs
        model = report.model
        maskSha256 = report.provenance?.statement.maskSha256
        liverMeanHU = report.liverDensity?.meanHU
        self.verification = verification
    }
}
