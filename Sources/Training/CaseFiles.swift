internal import Foundation
internal import Imaging

/// The files of one case in a data folder.
struct CaseFiles {
    /// What stands before `_ct`.
    let name: String
    /// The CT.
    let ct: URL
    /// The mask, and the side-car `NAME.json`; nil where there is none.
    let mask, sideCar: URL?

    /// All cases of a folder, by name. Of a `.nii` and a `.nii.gz` of one name, the compressed one is taken.
    ///
    /// - Throws: ``TrainingError/folderUnreadable(reason:)``.
    static func list(_ folder: URL) throws(TrainingError) -> [CaseFiles] {
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else {
            throw .folderUnreadable(reason: "it does not exist")
        }
        guard isFolder.boolValue else { throw .folderUnreadable(reason: "it is not a folder") }
        let names: Set<String>
        do {
            names = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
        } catch {
            throw .folderUnreadable(reason: error.localizedDescription)
        }
        func file(_ stem: String) -> URL? {
            ["\(stem).nii.gz", "\(stem).nii"].first(where: names.contains).map { folder.appending(path: $0) }
        }
        let cases = Set(
            names.compactMap { name in
                ["_ct.nii.gz", "_ct.nii"].first(where: name.hasSuffix).map { String(name.dropLast($0.count)) }
            })
        return cases.sorted().compactMap { name in
            let sideCar = "\(name).json"
            return file("\(name)_ct").map { ct in
                CaseFiles(
                    name: name, ct: ct, mask: file("\(name)_seg"),
                    sideCar: names.contains(sideCar) ? folder.appending(path: sideCar) : nil)
            }
        }
    }
}

/// What a side-car says of single slices: `{"case": [...]}`, the patient's number of each slice as the file stores them.
private struct SideCar: Decodable {
    var `case`: [Int]?
}

extension CaseFiles {
    /// The patient's number of each stored slice; nil where there is no side-car, or one without them.
    ///
    /// - Throws: ``CaseFault`` if it is not JSON, or its numbers are not whole numbers: a slice of a validation case
    ///   might then be learnt from.
    func patients() throws(CaseFault) -> [Int]? {
        guard let sideCar else { return nil }
        do {
            return try JSONDecoder().decode(SideCar.self, from: Data(contentsOf: sideCar)).case
        } catch {
            throw CaseFault(
                "Its side-car \(sideCar.lastPathComponent) is not a JSON object with whole numbers in \"case\".")
        }
    }
}

/// Why a case cannot be used: a sentence for the user.
struct CaseFault: Error {
    let reason: String

    init(_ reason: String) { self.reason = reason }
}

/// The number that ends a case's name, as 5 ends `lits005`.
func number(of name: String) -> Int? { Int(String(name.reversed().prefix { $0.isASCII && $0.isNumber }.reversed())) }
