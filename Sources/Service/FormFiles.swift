import Foundation
import HTTPDaemon

/// The files of a request: those of a multipart form, or the bare body.
struct FormFiles {
    /// Where each file is, and its size, by the name of its field.
    private(set) var files: [String: (url: URL, bytes: Int)] = [:]
    /// Short fields by name.
    private(set) var texts: [String: Data] = [:]
    private let names: [String]

    /// - Parameters:
    ///   - bare: the name that a bare body goes by; nil where only a form will do.
    ///   - names: the files that a form may have.
    ///   - texts: the short fields that it may have.
    init(_ request: Request, bare: String?, allowed names: [String], texts: [String] = []) throws(Problem) {
        self.names = names
        switch request.body {
        case .file(let url, let bytes):
            guard let bare else { throw Self.formWanted(names) }
            files[bare] = (url, bytes)
        case .parts(let parts):
            for part in parts {
                switch part.content {
                case .file(let url, let bytes) where names.contains(part.name):
                    guard files.updateValue((url, bytes), forKey: part.name) == nil else { throw Self.twice(part.name) }
                case .memory(let data) where texts.contains(part.name):
                    guard self.texts.updateValue(data, forKey: part.name) == nil else { throw Self.twice(part.name) }
                case .memory where names.contains(part.name):
                    throw Problem(
                        422, "not_a_file",
                        "The field \"\(part.name)\" is not a file. With curl: -F \(part.name)=@scan.nii.gz")
                default:
                    let known = (names + texts).joined(separator: ", ")
                    throw Problem(
                        422, "unknown_field", "The form has a field that is not known. It may have: \(known).")
                }
            }
        case .none, .memory:
            guard bare == nil else { break }
            throw Self.formWanted(names)
        }
    }

    /// The file that came as `name`.
    func required(_ name: String) throws(Problem) -> URL {
        guard let file = files[name] else {
            throw Problem(
                422, "\(name)_missing",
                "The request has no file \"\(name)\". With curl: -F \(name)=@\(name).nii.gz")
        }
        return file.url
    }

    /// All files together, in bytes.
    var bytes: Int { files.values.reduce(0) { $0 + $1.bytes } }

    private static func twice(_ name: String) -> Problem {
        Problem(422, "duplicate_field", "The field \"\(name)\" came twice. Send it once.")
    }

    private static func formWanted(_ names: [String]) -> Problem {
        let example = names.map { "-F \($0)=@\($0).nii.gz" }.joined(separator: " ")
        return Problem(422, "form_wanted", "Send a multipart/form-data body. With curl: \(example)")
    }
}
