import Foundation
import TestSupport
import Testing

/// DICOM by curl against the real process.
@Suite(.serialized) struct DicomServerTests {
    @Test(.enabled(if: SharedData.file("data/dicom") != nil, "no real DICOM series in HEPAR_SHARED"))
    func aStudyIsChosenAndToldApart() throws {
        try withTemporaryFolder { folder in
            let zip = try #require(SharedData.file("data/dicom/ts_jpeg2000.zip"))
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let judged = try server.curl("/v1/scans?study=1", "-F", "image=@\(zip.path)")
            #expect(judged.status == 200)
            let dicom = try #require(try judged.json()["dicom"] as? [String: Any])
            let volume = try #require((dicom["volumes"] as? [[String: Any]])?.first)
            #expect(volume["patient"] as? Int == 1 && volume["study"] as? Int == 1)
            #expect(volume["image"] as? String == "original" && volume["plane"] as? String == "axial")

            let refused = try server.curl("/v1/scans?study=2", "-F", "image=@\(zip.path)")
            #expect(refused.status == 422)
            #expect(try refused.json()["code"] as? String == "dicom_study_not_found")
            #expect((try refused.json()["detail"] as? String)?.contains("they are of 1 study") == true)
        }
    }

    /// What is no scan at all is named, and told what the server takes.
    @Test func aBodyThatIsNoImage() throws {
        try withTemporaryFolder { folder in
            let server = try ServerProcess(data: folder.appending(path: "data"))
            let picture = folder.appending(path: "picture")
            try Data([0x89, 0x50, 0x4E, 0x47, 13, 10, 26, 10] + [UInt8](repeating: 0, count: 400)).write(to: picture)
            let refused = try server.curl("/v1/scans", "-F", "image=@\(picture.path)")
            #expect(refused.status == 422)
            let detail = try #require(try refused.json()["detail"] as? String)
            #expect(detail.contains("a PNG picture") && detail.contains("DICOM files") && !detail.contains("hepar "))
            let other = try server.curl("/v1/scans?study=1", "-F", "image=@\(picture.path)")
            #expect(try other.json()["code"] as? String == "not_dicom")
        }
    }
}
