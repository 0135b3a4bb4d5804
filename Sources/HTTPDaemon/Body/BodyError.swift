/// Why a body cannot be taken.
enum BodyError: Error, Equatable {
    case tooLarge(limit: Int)
    case tooManyParts(limit: Int)
    case tooManyFields(limit: Int)
    case multipart(Multipart)
    /// The disk, or what this server may use of it, is full.
    case diskFull
    /// The disk or the folder fails otherwise; `errno` of the call.
    case disk(Int32)

    /// What is wrong with a multipart body.
    enum Multipart: Equatable {
        case noBoundary, badBoundaryLine, badHeader, headerTooLong, truncated, notFormData, badEncoding
    }

    var refusal: Refusal {
        switch self {
        case .tooLarge(let limit): .tooLarge(limit: limit)
        case .tooManyParts(let limit):
            Refusal(
                status: 413, detail: "The body has more than \(limit) parts, the most this server takes.",
                code: "too_many_parts")
        case .tooManyFields(let limit):
            Refusal(
                status: 413,
                detail: """
                    The body has more than \(limit) parts that are no files, or have fewer than \(FormData.smallFile) bytes, the \
                    most this server takes.
                    """,
                code: "too_many_parts")
        case .multipart(let problem):
            Refusal(status: 400, detail: problem.description, code: "malformed_multipart")
        case .diskFull:
            Refusal(
                status: 507, detail: "The server has no room for the body. Tell its operator, or try again later.",
                code: "storage_full")
        case .disk:
            Refusal(
                status: 500, detail: "The server cannot keep the body. The request may be tried again.",
                code: "internal")
        }
    }
}

extension BodyError.Multipart: CustomStringConvertible {
    /// What is wrong and what is expected.
    var description: String {
        switch self {
        case .noBoundary:
            "The body does not begin with the boundary that the Content-Type names: 1 to \(MultipartParser.boundaryLimit) "
                + "characters of those that RFC 2046 allows."
        case .badBoundaryLine:
            "A line of the body begins with the boundary and goes on. A boundary ends with CR LF, or with \"--\"."
        case .badHeader:
            "The head of a part is malformed: each line is a name, a colon and UTF-8 text, ends with CR LF, and comes "
                + "once."
        case .headerTooLong:
            "The head of a part is longer than \(MultipartParser.headerLimit) bytes or "
                + "\(MultipartParser.headerLineLimit) lines."
        case .truncated:
            "The body was cut off: its closing boundary is missing. Send it again."
        case .notFormData:
            "A part has no Content-Disposition: form-data; name=\"...\". Each part needs one, with a name."
        case .badEncoding:
            "A part has a Content-Transfer-Encoding. Send its bytes as they are."
        }
    }
}
