import Access
import Foundation
import Service
import Synchronization

/// A configuration file: every fault is told in words, and settings that pass mean the same when they are written with
/// `effectiveSettings` and read again.
func fuzzConfig(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard let config = try load(input) else { return }
    // Every key is a section and a name.
    let sections = Dictionary(grouping: config.effectiveSettings) { $0.key.prefix { $0 != "." } }
    let text = sections.map { section, settings in
        "\(section):\n"
            + settings.map { "  \($0.key.dropFirst(section.count + 1)): \(scalar($0.value, of: $0.key))\n" }.joined()
    }
    let file = Array(text.joined().utf8)
    let again = try file.withUnsafeBufferPointer { (bytes) throws(BrokenPromise) in
        try load(UnsafeRawBufferPointer(bytes))
    }
    try promise(again == config, "settings change when they are read again")
}

/// A file of tokens: a book that passes is the same book when it is written and read again.
func fuzzTokens(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    guard let text = String(validating: input, as: UTF8.self) else { return }
    let read = outcome { () throws(TokenFileError) in try TokenBook(yaml: text) }
    guard let book = read.value else {
        return try promise(read.failure?.description.isEmpty == false, "an empty error")
    }
    let again = outcome { () throws(TokenFileError) in try TokenBook(yaml: book.yaml) }
    try promise(again.value == book, "the book changes when it is read again: \(again)")
    let names = book.entries.map(\.name)
    try promise(Set(names).count == names.count, "a name twice")
    try promise(book.entries.allSatisfy { !$0.roles.isEmpty }, "a token without a role")
}

/// Nil where it is refused.
private func load(_ bytes: UnsafeRawBufferPointer) throws(BrokenPromise) -> ServiceConfig? {
    try Scratch.file(bytes, name: "hepar.yaml") { (url) throws(BrokenPromise) in
        let done = DispatchSemaphore(value: 0)
        let loading = Loading()
        Task.detached {
            loading.keep(await loading.load(url))
            done.signal()
        }
        done.wait()
        let outcome = loading.result
        if let error = outcome?.failure {
            try promise(!error.problems.isEmpty && error.problems.allSatisfy { !$0.isEmpty }, "an empty error")
        }
        return outcome?.value
    }
}

/// Brings the result of an asynchronous call to a thread that waits for it.
private final class Loading: Sendable {
    private let kept = Mutex<Result<ServiceConfig, ConfigError>?>(nil)

    var result: Result<ServiceConfig, ConfigError>? { kept.withLock { $0 } }

    func keep(_ result: Result<ServiceConfig, ConfigError>) { kept.withLock { $0 = result } }

    func load(_ url: URL) async -> Result<ServiceConfig, ConfigError> {
        do throws(ConfigError) {
            return .success(try await ServiceConfig.load(file: url, environment: [:]))
        } catch {
            return .failure(error)
        }
    }
}

/// A YAML number or truth, or a text in double quotes.
private func scalar(_ text: String, of key: String) -> String {
    if key == "dicom.keep_uids" { return text }
    if Int(text).map({ "\($0)" }) == text { return text }
    let escaped = text.unicodeScalars.map { scalar in
        switch scalar {
        case "\"": "\\\""
        case "\\": "\\\\"
        case " "..."~": String(scalar)
        default: "\\U" + String(format: "%08x", scalar.value)
        }
    }
    return "\"\(escaped.joined())\""
}
