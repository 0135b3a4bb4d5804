import Dicom
import Foundation

/// A scan that was named on the command line, or found in a folder.
struct FoundScan {
    /// What its outputs are called: the file's or folder's name, without its ending and without `_ct`.
    var name: String
    /// One NIfTI file, one zip, or DICOM files.
    let files: [URL]
    let isDicom: Bool
}

/// The scans that `places` are or hold, each place's in the order of names.
///
/// A folder with DICOM files in it is one scan. Of another folder each NIfTI file, each zip and each folder in it is looked
/// at; a mask beside its scan (`X_seg`, `X_mask` beside `X_ct` or `X`), hidden files and what is neither are passed over.
///
/// - Parameter output: a folder that is not looked into.
/// - Throws: ``UserError`` where there is nothing.
func findScans(_ places: [URL], except output: URL?) throws -> [FoundScan] {
    let output = output.flatMap { FileIdentity($0) }
    var found: [FoundScan] = []
    for place in places {
        try requirePresent(place)
        guard place.isFolder else {
            found.append(FoundScan(file: place))
            continue
        }
        let inside = try scans(in: place, except: output)
        guard !inside.isEmpty else {
            throw UserError("\(place.relativePath) holds no .nii or .nii.gz file, no zip and no DICOM file.")
        }
        found += inside
    }
    return distinct(found)
}

/// - Throws: ``UserError`` where there is nothing of this name, or it may not be seen.
func requirePresent(_ place: URL) throws(UserError) {
    guard FileManager.default.fileExists(atPath: place.path) else {
        throw UserError("There is no file or folder \(place.relativePath). Check its name and its permissions.")
    }
}

/// The DICOM files of a folder and of all folders in it, in the order of their paths; hidden ones are passed over.
///
/// - Throws: ``UserError`` where there is none.
func dicomFiles(in folder: URL) throws -> [URL] {
    let inside = FileManager.default.enumerator(
        at: folder, includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles)
    let found = (inside?.compactMap { $0 as? URL } ?? []).filter { !$0.isFolder && beginsAsDicom($0) }
    guard !found.isEmpty else { throw UserError("\(folder.relativePath) holds no DICOM file.") }
    return found.sorted { $0.path < $1.path }
}

private func scans(in folder: URL, except output: FileIdentity?) throws -> [FoundScan] {
    let entries = try FileManager.default.contentsOfDirectory(
        at: folder, includingPropertiesForKeys: [.isDirectoryKey], options: .skipsHiddenFiles
    ).sorted { $0.lastPathComponent < $1.lastPathComponent }
    let files = entries.filter { !$0.isFolder }
    let dicom = files.filter { !isVolumeName($0.lastPathComponent) && beginsAsDicom($0) }
    guard dicom.isEmpty else {
        return [FoundScan(name: caseName(folder), files: dicom, isDicom: true)]
    }
    let names = files.filter { isVolumeName($0.lastPathComponent) }.map(\.lastPathComponent)
    return try entries.flatMap { entry -> [FoundScan] in
        let name = entry.lastPathComponent
        if entry.isFolder { return FileIdentity(entry) == output ? [] : try scans(in: entry, except: output) }
        if isVolumeName(name) { return isMask(name, beside: names) ? [] : [FoundScan(file: entry)] }
        return name.lowercased().hasSuffix(".zip") ? [FoundScan(file: entry)] : []
    }
}

extension FoundScan {
    fileprivate init(file: URL) {
        self.init(
            name: caseName(file), files: [file], isDicom: !isVolumeName(file.lastPathComponent) && holdsDicom(file))
    }
}

/// Names that two scans share get their folder's before them, and then a number.
private func distinct(_ found: [FoundScan]) -> [FoundScan] {
    func counts(_ scans: [FoundScan]) -> [String: Int] { Dictionary(scans.map { ($0.name, 1) }, uniquingKeysWith: +) }
    let once = counts(found)
    var named = found
    for index in named.indices where (once[named[index].name] ?? 0) > 1 {
        let folder = named[index].files[0].deletingLastPathComponent()
        let holder = named[index].isDicom && named[index].files.count > 1 ? folder.deletingLastPathComponent() : folder
        let above = holder.standardizedFileURL.lastPathComponent
        named[index].name = "\(above == "/" ? "root" : above)-\(named[index].name)"
    }
    var taken: Set<String> = []
    for index in named.indices {
        var (name, number) = (named[index].name, 2)
        while !taken.insert(name).inserted {
            name = "\(named[index].name)-\(number)"
            number += 1
        }
        named[index].name = name
    }
    return named
}

// MARK: - Names of cases

/// What is left of a file's or folder's name without its ending, and without the word that tells what it is of a case:
/// `lits000` of `lits000_ct.nii.gz`, `lits000_seg.nii` and `lits000_mask.nii.gz`.
func caseName(_ url: URL) -> String {
    let whole = url.standardizedFileURL.lastPathComponent
    var name = whole
    for ending in [".nii.gz", ".nii", ".zip"] where name.lowercased().hasSuffix(ending) {
        name.removeLast(ending.count)
        break
    }
    for word in ["_ct"] + maskWords where name.lowercased().hasSuffix(word) && name.count > word.count {
        return String(name.dropLast(word.count))
    }
    return name.isEmpty ? whole : name
}

/// What masks are called beside their scans.
private let maskWords = ["_seg", "_mask", "_reference"]

/// Whether a name is that of a mask whose scan is among `names`.
func isMask(_ name: String, beside names: [String]) -> Bool {
    let stem = { (name: String) in name.replacing(/\.nii(\.gz)?$/.ignoresCase(), with: "").lowercased() }
    guard let word = maskWords.first(where: { stem(name).hasSuffix($0) }) else { return false }
    let scan = String(stem(name).dropLast(word.count))
    return names.contains { [scan, scan + "_ct"].contains(stem($0)) }
}

// MARK: - Kinds of files

/// Whether a file begins as DICOM files do (PS3.10 section 7.1).
private func beginsAsDicom(_ file: URL) -> Bool { head(of: file).dropFirst(128) == Data("DICM".utf8) }

/// Whether a file is a zip, or DICOM.
private func holdsDicom(_ file: URL) -> Bool { head(of: file).starts(with: Data("PK".utf8)) || beginsAsDicom(file) }

private func head(of file: URL) -> Data {
    // Whoever opens a pipe waits for a writer.
    var status = stat()
    guard stat(file.path, &status) == 0, status.st_mode & S_IFMT == S_IFREG else { return Data() }
    guard let handle = try? FileHandle(forReadingFrom: file) else { return Data() }
    defer { try? handle.close() }
    return (try? handle.read(upToCount: 132)) ?? Data()
}

extension URL {
    /// Whether there is a folder at this place.
    var isFolder: Bool { (try? resourceValues(forKeys: [.isDirectoryKey]))?.isDirectory == true }
}
