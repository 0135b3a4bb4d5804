import Foundation

/// A file that a command reads or writes, with the words that its user knows it by.
struct NamedFile {
    /// What it is, such as `--output` or `the CT`.
    let name: String
    let url: URL

    init(_ name: String, _ path: String) { self.init(name, URL(filePath: path)) }

    init(_ name: String, _ url: URL) { (self.name, self.url) = (name, url) }
}

/// Why a command does not begin: it would write over what it reads, or over what it writes itself.
enum OverwriteError: Error, Equatable, CustomStringConvertible {
    case input(output: String, path: String, input: String)
    case output(output: String, path: String, other: String)

    var description: String {
        switch self {
        case .input(let output, let path, let input):
            "\(output) is \(path): the same file as \(input). It would be lost. Give \(output) another name."
        case .output(let output, let path, let other):
            "\(output) is \(path): the same file as \(other). One would replace the other. Give each a name of its own."
        }
    }
}

/// Refuses outputs that are the same file as an input, or as one another, before anything is written. A file is known by
/// its device and number, so that links of both kinds, `..` and second mounts make no difference; one that does not exist
/// yet by its folder's and its name. What is no plain file, such as /dev/null, may be named as often as is liked.
func refuseOverwriting(_ inputs: [NamedFile], by outputs: [NamedFile]) throws(OverwriteError) {
    let known = inputs.compactMap { input in FileIdentity(input.url).map { ($0, input.name) } }
    let inputs = Dictionary(known) { first, _ in first }
    var written: [FileIdentity: String] = [:]
    for output in outputs {
        guard let identity = FileIdentity(output.url) else { continue }
        if let same = inputs[identity] {
            throw .input(output: output.name, path: output.url.relativePath, input: same)
        }
        if let same = written.updateValue(output.name, forKey: identity) {
            throw .output(output: output.name, path: output.url.relativePath, other: same)
        }
    }
}

/// Which file or folder a path leads to, whatever it is called.
struct FileIdentity: Hashable {
    private let device: dev_t
    private let number: ino_t
    /// The name in that folder, where there is no such file yet.
    private let newName: String?

    /// Nil for what is neither a file nor a folder, and where there is not even a folder to make a file in.
    init?(_ url: URL) {
        var status = stat()
        if stat(url.path, &status) == 0 {
            guard [S_IFREG, S_IFDIR].contains(status.st_mode & S_IFMT) else { return nil }
            newName = nil
        } else {
            guard stat(url.deletingLastPathComponent().path, &status) == 0 else { return nil }
            newName = url.lastPathComponent
        }
        (device, number) = (status.st_dev, status.st_ino)
    }

    /// Whether a place, told without links, is this folder or lies in it at any depth.
    func holds(_ url: URL) -> Bool {
        var place = url
        while true {
            if FileIdentity(place) == self { return true }
            guard place.path != "/" else { return false }
            place = place.deletingLastPathComponent()
        }
    }
}
