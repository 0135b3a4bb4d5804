import Foundation
import Segmentation
import TestSupport
import Testing

@testable import Cases

/// Signed statements, and the key that signs them.
@Suite struct ProvenanceTests {
    private let statement = Provenance.Statement(
        heparVersion: "1.2.3", inputSha256: "aa", liverModelSha256: "bb", lesionModelSha256: "cc", maskSha256: "dd",
        options: Segmenter.Options(full: true))

    /// What Python's json.dumps(statement, sort_keys=True, separators=(",", ":")) gives.
    @Test func signedBytesAreThoseDescribed() throws {
        let expected =
            #"{"hepar_version":"1.2.3","input_sha256":"aa","lesion_model_sha256":"cc","liver_model_sha256":"bb","#
            + #""mask_sha256":"dd","options":{"full":true,"probabilities":false}}"#
        #expect(String(decoding: try statement.signedBytes(), as: UTF8.self) == expected)
    }

    @Test func aChangedStatementIsNotAuthentic() throws {
        try withTemporaryFolder { folder in
            let key = try SigningKey(file: folder.appending(path: "signing.key"))
            let provenance = try Provenance(statement, key: key)
            #expect(provenance.isAuthentic)
            let text = String(decoding: try JSONEncoder.hepar.encode(provenance), as: UTF8.self)
            let forged = text.replacing("\"dd\"", with: "\"de\"")
            #expect(try JSONDecoder().decode(Provenance.self, from: Data(text.utf8)).isAuthentic)
            #expect(try !JSONDecoder().decode(Provenance.self, from: Data(forged.utf8)).isAuthentic)
            #expect(try !Provenance(statement, key: nil).isAuthentic)
        }
    }

    @Test func theKeyStaysAndIsPrivate() throws {
        try withTemporaryFolder { folder in
            let file = folder.appending(path: "signing.key")
            let key = try SigningKey(file: file)
            #expect(try SigningKey(file: file).publicKey == key.publicKey)
            let mode = try FileManager.default.attributesOfItem(atPath: file.path)[.posixPermissions] as? Int
            #expect(mode == 0o600)
            #expect(try FileManager.default.contentsOfDirectory(atPath: folder.path) == ["signing.key"])
            try Data("no key".utf8).write(to: file)
            #expect(throws: SigningKeyError.self) { try SigningKey(file: file) }
        }
    }

    @Test func verificationNamesWhatDiffers() {
        let earlier = Verification.Earlier(job: "a", statement: statement)
        let same = Verification(earlier, now: statement)
        #expect(same.identical && same.differences.isEmpty)
        let now = Provenance.Statement(
            heparVersion: "1.2.4", inputSha256: "aa", liverModelSha256: "bb", lesionModelSha256: "c2", maskSha256: "d2",
            options: Segmenter.Options())
        let other = Verification(earlier, now: now)
        #expect(!other.identical && other.differences == ["version", "model", "options"])
    }
}
