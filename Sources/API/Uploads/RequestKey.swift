import Cases
import Digests
import Foundation
import HTTPDaemon
import Jobs

/// The header field `Idempotency-Key`: a client that does not know whether its request arrived sends it again under the
/// same key, and gets the same job.
///
/// Source: the IETF draft "The Idempotency-Key HTTP Header Field", draft-ietf-httpapi-idempotency-key-header.
struct RequestKey {
    let text: String

    /// The longest key.
    static let longest = 200

    /// The key of a request, or nil if it has none.
    init?(_ headers: Headers) throws(Problem) {
        guard let text = headers["Idempotency-Key"] else { return nil }
        guard (1...Self.longest).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw Problem(
                400, "bad_key",
                "Idempotency-Key must be 1 to \(Self.longest) printable ASCII characters without blanks, such as a UUID."
            )
        }
        self.text = text
    }
}

extension Upload {
    /// SHA-256 of the scan, the reference, the options and all that the query asks for, in hexadecimal digits.
    ///
    /// - Parameter query: the request's own; what the path asks for as well.
    func digest(_ query: [String: String]) throws -> String {
        var hash = ContentHash()
        // Each part is led by its name and its length, so that no two requests look alike.
        func add(_ name: String, bytes: Int) { hash.add(Data("\(name) \(bytes)\n".utf8)) }
        for (name, file) in images.map({ ("image", $0) }) + (reference.map { [("reference", $0)] } ?? []) {
            let handle = try FileHandle(forReadingFrom: file)
            defer { try? handle.close() }
            add(name, bytes: Int(try handle.seekToEnd()))
            try handle.seek(toOffset: 0)
            while let bytes = try handle.read(upToCount: 1 << 20), !bytes.isEmpty { hash.add(bytes) }
        }
        let options = try JSONEncoder.hepar.encode(options)
        add("options", bytes: options.count)
        hash.add(options)
        // First what earlier versions knew, in their order: keys of theirs are still good.
        let first = ["study", "series", "acquisition", "uids"]
        for name in first + query.keys.filter({ !first.contains($0) }).sorted() {
            guard let text = query[name] else { continue }
            add(name, bytes: text.utf8.count)
            hash.add(Data(text.utf8))
        }
        return hash.hexadecimal()
    }
}
