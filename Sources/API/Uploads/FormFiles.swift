import Foundation
import HTTPDaemon

/// The files of a request: those of a multipart form, the parts of a multipart/related body, or the bare body.
struct FormFiles {
    /// One file as it came.
    typealias File = (url: URL, bytes: Int)

    /// Where the files are by the name of their field, in the order they came; more than one only where that is allowed.
    private(set) var files: [String: [File]] = [:]
    /// Short fields by name.
    private(set) var texts: [String: Data] = [:]
    private let names: [String]
    private let repeatable: String?

    /// - Parameters:
    ///   - bare: the name that a bare body and parts without names go by; nil where only a form will do.
    ///   - names: the files that a form may have.
    ///   - repeatable: the one of them that may come more than once.
    ///   - texts: the short fields that it may have.
    init(
        _ request: Request, bare: String?, allowed names: [String], repeatable: String? = nil, texts: [String] = []
    ) throws(Problem) {
        self.names = names
        self.repeatable = repeatable
        switch request.body {
        case .file(let url, let bytes):
            guard let bare else { throw Self.formWanted(names) }
            files[bare] = [(url, bytes)]
        case .parts(let parts):
            for part in parts {
                let name = part.name.isEmpty ? bare ?? "" : part.name
                switch part.content {
                case .file(let url, let bytes) where names.contains(name):
                    try add((url, bytes), as: name)
                case .memory(let data) where texts.contains(name):
                    guard self.texts.updateValue(data, forKey: name) == nil else { throw Self.twice(name) }
                case .memory where names.contains(name):
                    throw Problem(
                        422, "not_a_file",
                        "The field \"\(name)\" is not a file. With curl: -F \(name)=@scan.nii.gz")
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

    private mutating func add(_ file: File, as name: String) throws(Problem) {
        guard files[name] == nil || name == repeatable else { throw Self.twice(name) }
        files[name, default: []].append(file)
    }

    /// The file that came as `name`.
    func required(_ name: String) throws(Problem) -> URL { try all(name)[0].url }

    /// All files that came as `name`, at least one.
    func all(_ name: String) throws(Problem) -> [File] {
        guard let found = files[name], !found.isEmpty else {
            throw Problem(
                422, "\(name)_missing",
                "The request has no file \"\(name)\". With curl: -F \(name)=@\(name).nii.gz")
        }
        return found
    }

    /// All files together, in bytes.
    var bytes: Int { files.values.joined().reduce(0) { $0 + $1.bytes } }

    private static func twice(_ name: String) -> Problem {
        Problem(422, "duplicate_field", "The field \"\(name)\" came twice. Send it once.")
    }

    private static func formWanted(_ names: [String]) -> Problem {
        let example = names.map { "-F \($0)=@\($0).nii.gz" }.joined(separator: " ")
        return Problem(422, "form_wanted", "Send a multipart/form-data body. With curl: \(example)")
    }
}
