/// A parser of what comes from outside, as a fuzzer and the replay of its corpus call it.
///
/// Each target feeds bytes to the code that the service runs and checks promises that must hold for every input. That
/// the code ends without a trap is one of them; the others are in the target's own comment.
enum FuzzTarget: String, CaseIterable, Sendable {
    case nifti
    case niftiGzip = "nifti-gz"
    case safetensors
    case multipart
    case zip
    case dicom
    case head
    case http
    case config
    case tokens
    case answer

    /// Runs the target once.
    ///
    /// - Throws: ``BrokenPromise``; errors of the code under test are answers like any other and are not passed on.
    func run(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
        switch self {
        case .nifti: try fuzzNIfTI(input)
        case .niftiGzip: try fuzzGzip(input)
        case .safetensors: try fuzzSafetensors(input)
        case .multipart: try fuzzMultipart(input)
        case .zip: try fuzzZip(input)
        case .dicom: try fuzzDicom(input)
        case .head: try fuzzHead(input)
        case .http: try fuzzConnection(input)
        case .config: try fuzzConfig(input)
        case .tokens: try fuzzTokens(input)
        case .answer: try fuzzAnswer(input)
        }
    }
}

/// Something that must hold for every input, and did not.
struct BrokenPromise: Error, CustomStringConvertible {
    let description: String
}

/// Throws unless `holds`.
func promise(_ holds: Bool, _ what: @autoclosure () -> String) throws(BrokenPromise) {
    if !holds { throw BrokenPromise(description: what()) }
}

/// A typed call's outcome as a value, so that two can be compared.
func outcome<Success, Failure>(_ body: () throws(Failure) -> Success) -> Result<Success, Failure> {
    do {
        return .success(try body())
    } catch {
        return .failure(error)
    }
}

extension Result {
    /// The value, or nil after a failure.
    var value: Success? { try? get() }
    /// The failure, or nil.
    var failure: Failure? {
        if case .failure(let error) = self { error } else { nil }
    }
}
