import Glibc

/// Why a file operation in the spool failed. The texts name no files: they may be shown to a client.
public enum SpoolError: Error, Equatable, Sendable {
    /// No space, or no quota, is left: status 507.
    case diskFull
    /// The folder cannot be written: a fault of the set-up.
    case notWritable(folder: String)
    /// Another process works on the folder.
    case inUse(folder: String)
    /// The system refused `operation` with an error number of errno.h.
    case system(operation: String, code: Int32)

    /// The error for an errno value.
    init(_ operation: String, code: Int32) {
        self = code == ENOSPC || code == EDQUOT ? .diskFull : .system(operation: operation, code: code)
    }
}

extension SpoolError: CustomStringConvertible {
    /// What is wrong, then what to do.
    public var description: String {
        switch self {
        case .diskFull:
            "The server's disk is full. Try again later."
        case .notWritable(let folder):
            "The data folder \(folder) cannot be written. Give the server's user the right to create files in it."
        case .inUse(let folder):
            "Another server works on the data folder \(folder). Stop it, or choose another folder."
        case .system(let operation, let code):
            "The server could not \(operation) (\(String(cString: strerror(code)))). Try again later."
        }
    }
}
