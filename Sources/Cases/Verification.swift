import Foundation

/// Whether a job that ran once more gave the same mask, bit for bit.
package struct Verification: Codable, Sendable {
    /// The result that is repeated.
    package struct Earlier: Codable, Sendable {
        package let job: String
        package let statement: Provenance.Statement

        package init(job: String, statement: Provenance.Statement) {
            self.job = job
            self.statement = statement
        }
    }

    /// The job that was repeated.
    package let job: String
    /// Whether the two mask files have the same bytes.
    package let identical: Bool
    /// What was not the same as then: of `version`, `model`, `input`, `options`.
    package let differences: [String]

    enum CodingKeys: String, CodingKey { case job, identical, differences }

    package init(_ earlier: Earlier, now: Provenance.Statement) {
        let then = earlier.statement
        job = earlier.job
        identical = then.maskSha256 == now.maskSha256
        let isOther = [
            ("version", then.heparVersion != now.heparVersion),
            (
                "model",
                then.liverModelSha256 != now.liverModelSha256 || then.lesionModelSha256 != now.lesionModelSha256
            ),
            ("input", then.inputSha256 != now.inputSha256), ("options", then.options != now.options),
        ]
        differences = isOther.filter(\.1).map(\.0)
    }
}
