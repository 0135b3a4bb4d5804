internal import Foundation
internal import Imaging

/// The files of one case in a data folder.
struct CaseFiles {
    /// What stands before `_ct`.
    let name: String
    /// The CT.
    let ct: URL
    /// The true distance of its stored voxels along the file's own axes in mm, where the folder's `spacing.json` tells.
    let spacing: SIMD3<Double>?
    /// The mask, and the side-car `NAME.json`; nil where there is none.
    let mask, sideCar: URL?

    /// All cases of some folders, by name.
    ///
    /// - Throws: ``TrainingError/folderUnreadable(folder:reason:)``, ``TrainingError/sameName(_:)``.
    static func list(_ folders: [URL]) throws(TrainingError) -> [CaseFiles] {
        var cases: [CaseFiles] = []
        for folder in folders { cases += try list(folder) }
        cases.sort { $0.name < $1.name }
        if let twice = zip(cases, cases.dropFirst()).first(where: { $0.name == $1.name }) {
            throw .sameName(twice.0.name)
        }
        return cases
    }

    /// All cases of a folder, by name. Of a `.nii` and a `.nii.gz` of one name, the compressed one is taken.
    private static func list(_ folder: URL) throws(TrainingError) -> [CaseFiles] {
        func unreadable(_ reason: String) -> TrainingError {
            .folderUnreadable(folder: folder.lastPathComponent, reason: reason)
        }
        var isFolder: ObjCBool = false
        guard FileManager.default.fileExists(atPath: folder.path, isDirectory: &isFolder) else {
            throw unreadable("it does not exist")
        }
        guard isFolder.boolValue else { throw unreadable("it is not a folder") }
        let names: Set<String>
        do {
            names = Set(try FileManager.default.contentsOfDirectory(atPath: folder.path))
        } catch {
            throw unreadable(error.localizedDescription)
        }
        func file(_ stem: String) -> URL? {
            ["\(stem).nii.gz", "\(stem).nii"].first(where: names.contains).map { folder.appending(path: $0) }
        }
        let cases = Set(
            names.compactMap { name in
                ["_ct.nii.gz", "_ct.nii"].first(where: name.hasSuffix).map { String(name.dropLast($0.count)) }
            })
        let spacings = names.contains(SpacingTable.fileName) ? try SpacingTable(in: folder).spacings : [:]
        return cases.sorted().compactMap { name in
            let sideCar = "\(name).json"
            return file("\(name)_ct").map { ct in
                CaseFiles(
                    name: name, ct: ct, spacing: spacings[name], mask: file("\(name)_seg"),
                    sideCar: names.contains(sideCar) ? folder.appending(path: sideCar) : nil)
            }
        }
    }
}

/// What `spacing.json` of a data folder says: `{"spacing_mm": {"NAME": [x, y, z]}}`, for cases whose headers are wrong.
private struct SpacingTable {
    static let fileName = "spacing.json"

    /// Millimetres along each file's own axes, by the case's name.
    let spacings: [String: SIMD3<Double>]

    private struct Content: Decodable {
        let spacing_mm: [String: [Double]]
    }

    init(in folder: URL) throws(TrainingError) {
        let content: Content
        do {
            content = try JSONDecoder().decode(
                Content.self, from: Data(contentsOf: folder.appending(path: Self.fileName)))
        } catch {
            throw .badSpacings(reason: "it is not a JSON object with \"spacing_mm\", an object of lists of numbers")
        }
        var spacings: [String: SIMD3<Double>] = [:]
        for (name, steps) in content.spacing_mm {
            guard steps.count == 3, steps.allSatisfy({ (0.1...20).contains($0) }) else {
                throw .badSpacings(reason: "\(name) does not have three numbers between 0.1 and 20")
            }
            spacings[name] = SIMD3(steps[0], steps[1], steps[2])
        }
        self.spacings = spacings
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
