import Foundation

/// The most parts of a body, and of them the most that are fields or small files.
struct PartLimits {
    var parts: Int
    var fields: Int
}

/// Makes the parts of a multipart body from what the parser finds: of multipart/form-data (RFC 7578) files for files and
/// memory for small fields; of multipart/related (RFC 2387), whose parts have no names, files without a name.
struct FormData {
    /// What a part's head has to say.
    enum Kind { case formData, related }

    /// Bytes of one field kept in memory, and of all of them; above that a field goes to a file.
    static let fieldMemory = 64 * 1024
    static let allFieldsMemory = 256 * 1024

    /// Files of fewer bytes count as fields: a slice of DICOM has more.
    static let smallFile = 1_024

    private(set) var parts: [Part] = []
    /// Every file made, whatever became of it.
    private(set) var files: [URL] = []

    private let kind: Kind
    private let folder: URL
    private let limits: PartLimits
    private var fields = 0
    private let write: UploadFile.Write
    private var memoryUsed = 0
    private var disposition: (name: String, fileName: String?) = ("", nil)
    private var contentType: String?
    private var field: [UInt8] = []
    private var file: UploadFile?

    init(_ kind: Kind, folder: URL, limits: PartLimits, write: @escaping UploadFile.Write) {
        self.kind = kind
        self.folder = folder
        self.limits = limits
        self.write = write
    }

    mutating func take(_ event: MultipartParser.Event) throws(BodyError) {
        switch event {
        case .partBegins(let headers): try begin(headers)
        case .content(let run): try append(run)
        case .partEnds: try end()
        }
    }

    /// Closes a file left open by a body that broke off.
    mutating func abandon() { try? file?.close() }

    private mutating func begin(_ headers: [(name: String, value: String)]) throws(BodyError) {
        guard parts.count < limits.parts else { throw .tooManyParts(limit: limits.parts) }
        guard Set(headers.map(\.name)).count == headers.count else { throw .multipart(.badHeader) }
        let value = { (name: String) in headers.first { $0.name == name }?.value }
        if let encoding = value("content-transfer-encoding"),
            !["binary", "8bit", "7bit"].contains(encoding.lowercased())
        {
            throw .multipart(.badEncoding)
        }
        contentType = value("content-type")
        field = []
        guard kind == .formData else { return try openFile() }
        guard let header = value("content-disposition"), let parsed = HeaderValue(header),
            parsed.value == "form-data", let name = parsed.parameters["name"], !name.isEmpty
        else { throw .multipart(.notFormData) }
        disposition = (name, parsed.parameters["filename"] ?? parsed.extendedFileName)
        if disposition.fileName != nil { try openFile() }
    }

    private mutating func append(_ run: UnsafeRawBufferPointer) throws(BodyError) {
        if file == nil {
            if field.count + run.count <= Self.fieldMemory, memoryUsed + run.count <= Self.allFieldsMemory {
                memoryUsed += run.count
                field.append(contentsOf: run)
                return
            }
            try openFile()
            let kept = field
            field = []
            memoryUsed -= kept.count
            try kept.withUnsafeBufferPointer { (bytes) throws(BodyError) in
                try file?.append(UnsafeRawBufferPointer(bytes))
            }
        }
        try file?.append(run)
    }

    private mutating func end() throws(BodyError) {
        let content: Part.Content
        if var done = file {
            file = nil
            try done.close()
            content = .file(done.url, bytes: done.bytes)
        } else {
            content = .memory(Data(field))
        }
        // A scan may come in thousands of files, but making each of them costs more than some hundred bytes of it.
        switch content {
        case .memory, .file(_, bytes: ..<Self.smallFile): fields += 1
        case .file: break
        }
        guard fields <= limits.fields else { throw .tooManyFields(limit: limits.fields) }
        parts.append(
            Part(name: disposition.name, fileName: disposition.fileName, contentType: contentType, content: content))
    }

    private mutating func openFile() throws(BodyError) {
        let opened = try UploadFile(in: folder, write: write)
        files.append(opened.url)
        file = opened
    }
}

/// A header value with parameters: `form-data; name="a"; filename="b"` (RFC 9110 section 5.6.6).
struct HeaderValue: Equatable {
    /// What comes first, in lower case.
    let value: String
    /// The parameters, their names in lower case.
    let parameters: [String: String]

    /// Nil if the text is malformed or a parameter comes twice.
    init?(_ text: String) {
        var rest = Array(text.utf8)[...]
        let first = rest.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
        guard !first.isEmpty, let value = String(validating: first, as: UTF8.self) else { return nil }
        self.value = value.lowercased()
        rest = rest.dropFirst(first.count)
        var found: [String: String] = [:]
        while true {
            Self.skipBlanks(&rest)
            if rest.isEmpty { break }
            guard rest.popFirst() == UInt8(ascii: ";") else { return nil }
            Self.skipBlanks(&rest)
            if rest.isEmpty { break }
            let name = rest.prefix { $0 != UInt8(ascii: "=") }
            rest = rest.dropFirst(name.count + 1)
            guard isToken(name), let text = Self.parameterValue(&rest) else { return nil }
            let key = String(decoding: name, as: UTF8.self).lowercased()
            guard found.updateValue(text, forKey: key) == nil else { return nil }
        }
        parameters = found
    }

    /// `filename*=UTF-8''...` (RFC 8187): not allowed in forms by RFC 7578, but sent by some clients all the same.
    var extendedFileName: String? {
        guard let value = parameters["filename*"], value.lowercased().hasPrefix("utf-8'"),
            let quote = value.dropFirst(6).firstIndex(of: "'")
        else { return nil }
        return RequestTarget.decode(Array(value[value.index(after: quote)...].utf8), plusIsSpace: false)
    }

    private static func skipBlanks(_ rest: inout ArraySlice<UInt8>) { rest = rest.drop { $0 == UInt8(ascii: " ") } }

    private static func parameterValue(_ rest: inout ArraySlice<UInt8>) -> String? {
        guard rest.first == UInt8(ascii: "\"") else {
            let bare = rest.prefix { $0 != UInt8(ascii: ";") && $0 != UInt8(ascii: " ") }
            rest = rest.dropFirst(bare.count)
            return bare.isEmpty ? nil : String(validating: bare, as: UTF8.self)
        }
        rest.removeFirst()
        var text: [UInt8] = []
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "\""): return String(validating: text, as: UTF8.self)
            case UInt8(ascii: "\\") where rest.first == UInt8(ascii: "\"") || rest.first == UInt8(ascii: "\\"):
                text.append(rest.removeFirst())
            default: text.append(byte)  // a backslash too: old browsers send whole Windows paths
            }
        }
        return nil
    }
}
