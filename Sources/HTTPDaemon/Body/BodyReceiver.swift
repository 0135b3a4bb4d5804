import Foundation

/// Takes a body in chunks of any size, counts it and puts it where the plan says.
struct BodyReceiver {
    /// Bytes taken so far.
    private(set) var received = 0

    private let limit: Int
    private var sink: Sink

    private enum Sink {
        case nothing
        case memory(Data)
        case file(folder: URL, write: UploadFile.Write, file: UploadFile?)
        case form(MultipartParser, FormData)
    }

    /// - Parameters:
    ///   - head: decides, by its type, whether a body meant for files is a form.
    ///   - declared: the body's length if the client told it.
    init(
        plan: BodyPlan, head: RequestHead, declared: Int?, limits: PartLimits, write: @escaping UploadFile.Write
    ) throws(BodyError) {
        switch plan {
        case .none:
            limit = 0
            sink = .nothing
        case .memory(let limit):
            self.limit = limit
            sink = .memory(Data(capacity: min(declared ?? 0, limit, 1 << 20)))
        case .files(let folder, let limit, _):
            self.limit = limit
            let type = head.headers["content-type"] ?? ""
            let kinds = ["multipart/form-data": FormData.Kind.formData, "multipart/related": .related]
            if let kind = kinds.first(where: { type.lowercased().hasPrefix($0.key) })?.value {
                guard let parser = HeaderValue(type)?.parameters["boundary"].flatMap(MultipartParser.init) else {
                    throw .multipart(.noBoundary)
                }
                sink = .form(parser, FormData(kind, folder: folder, limits: limits, write: write))
            } else {
                sink = .file(folder: folder, write: write, file: nil)
            }
        }
        if let declared, declared > limit { throw .tooLarge(limit: limit) }
    }

    /// Takes the next bytes.
    mutating func feed(_ bytes: UnsafeRawBufferPointer) throws(BodyError) {
        guard bytes.count <= limit - received else { throw .tooLarge(limit: limit) }
        received += bytes.count
        // The sink is taken out while it changes, or its data would be copied at each chunk.
        var current = sink
        sink = .nothing
        defer { sink = current }
        switch current {
        case .nothing: break
        case .memory(var data):
            current = .nothing
            data.append(contentsOf: bytes)
            current = .memory(data)
        case .file(let folder, let write, var file):
            if file == nil { file = try UploadFile(in: folder, write: write) }
            current = .file(folder: folder, write: write, file: file)
            try file?.append(bytes)
            current = .file(folder: folder, write: write, file: file)
        case .form(var parser, var form):
            current = .nothing
            defer { current = .form(parser, form) }
            try parser.feed(bytes) { (event) throws(BodyError) in try form.take(event) }
        }
    }

    /// The whole body; to be called once, when its last byte has come.
    mutating func finish() throws(BodyError) -> Body {
        switch sink {
        case .nothing: return .none
        case .memory(let data): return data.isEmpty ? .none : .memory(data)
        case .file(let folder, let write, let file):
            guard var file else { return .none }
            try file.close()
            sink = .file(folder: folder, write: write, file: file)
            return .file(file.url, bytes: file.bytes)
        case .form(let parser, let form):
            try parser.finish()
            return .parts(form.parts)
        }
    }

    /// Closes what is open and tells every file made, moved away since or not.
    mutating func abandon() -> [URL] {
        defer { sink = .nothing }
        switch sink {
        case .nothing, .memory: return []
        case .file(_, _, var file):
            try? file?.close()
            return file.map { [$0.url] } ?? []
        case .form(_, var form):
            form.abandon()
            return form.files
        }
    }
}
