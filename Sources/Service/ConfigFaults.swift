import API
import Foundation
import Glibc
import Logging

extension ServiceConfig {
    /// What would keep the service from starting with these values, beside the models: a sentence a fault, with the key,
    /// what was found and what to write. Looks at the files and folders that are named, and changes nothing.
    public var faults: [String] {
        var problems: [String] = []
        do throws(ConfigError) {
            _ = try Gate(self, logger: Logger(label: "hepar") { _ in SwiftLogNoOpLogHandler() })
        } catch {
            problems += error.problems
        }
        if let reason = FileFault(makingFilesIn: dataFolder) {
            problems.append(
                "data.folder is \(dataFolder), which \(reason). Name a folder that the server's user may write.")
        }
        return problems
    }
}

/// Why a file or folder is of no use, as words that follow its name.
struct FileFault: CustomStringConvertible {
    let description: String

    /// Nil if the file can be read.
    init?(reading path: String) {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            description = "cannot be read: \(String(cString: strerror(errno)))"
            return
        }
        defer { close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0, status.st_mode & S_IFMT != S_IFDIR else {
            description = "is a folder"
            return
        }
        return nil
    }

    /// Nil if files can be made in the folder, or the folder can be made.
    init?(makingFilesIn folder: String) {
        var place = URL(filePath: folder).standardizedFileURL
        while access(place.path, F_OK) != 0, errno == ENOENT, place.path != "/" {
            place = place.deletingLastPathComponent()
        }
        var status = stat()
        guard stat(place.path, &status) == 0, status.st_mode & S_IFMT == S_IFDIR else {
            description = "is no folder, nor can it be made"
            return
        }
        guard access(place.path, W_OK | X_OK) == 0 else {
            description = "cannot be written: \(String(cString: strerror(errno)))"
            return
        }
        return nil
    }
}
