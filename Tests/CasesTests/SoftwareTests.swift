import Foundation
import TestSupport
import Testing

@testable import Cases

/// What is told of the software is what is there.
@Suite struct SoftwareTests {
    @Test func packagesAreThoseOfPackageResolved() throws {
        let file = SharedData.repository.appending(path: "Package.resolved")
        let document = try JSONSerialization.jsonObject(with: Data(contentsOf: file)) as? [String: Any]
        let pins = try #require(document?["pins"] as? [[String: Any]])
        let resolved = pins.map { pin in
            (pin["identity"] as? String ?? "", (pin["state"] as? [String: Any])?["version"] as? String ?? "")
        }
        let linked = resolved.filter { Self.modules[$0.0] == nil }
        #expect(Dictionary(uniqueKeysWithValues: linked) == Software.packages)
    }

    /// Packages that are resolved because others name them, with how symbols of their modules begin.
    private static let modules = [
        "swift-asn1": ["$s9SwiftASN1"], "swift-async-algorithms": ["$s15AsyncAlgorithms"],
        "swift-service-lifecycle": ["$s16ServiceLifecycle"],
    ]

    @Test func nothingIsLinkedOfPackagesThatAreNotTold() throws {
        let hepar = URL(filePath: CommandLine.arguments[0]).resolvingSymlinksInPath().deletingLastPathComponent()
            .appending(path: "hepar")
        let symbols = try Data(contentsOf: hepar, options: .mappedIfSafe)
        #expect(symbols.range(of: Data("$s7Logging".utf8)) != nil, "the program has no symbols to look at")
        for name in Self.modules.values.joined() { #expect(symbols.range(of: Data(name.utf8)) == nil, "\(name)") }
    }

    /// As dpkg has them, but for what a distribution adds to a version.
    @Test func librariesTellTheirVersions() throws {
        let libraries = Software().libraries
        #expect(libraries.map(\.name) == libraries.map(\.name).sorted())
        for name in ["libc", "libcurl", "libmicrohttpd", "libopenjp2", "libsqlite3", "libz", "libzip", "libdcmdata"] {
            let version = try #require(libraries.first { $0.name == name }, "\(name) is not loaded").version
            #expect(version?.contains(".") == true, "\(name) \(version ?? "")")
        }
        // Not the version of its interface, 4.
        #expect(libraries.first { $0.name == "libcurl" }?.version?.hasPrefix("4.") == false)
    }
}
