import Foundation
import HTTPDaemon

/// `GET /openapi.yaml`: the contract of this very version, for whoever writes or generates a client. It is open to all: it is
/// the file of the repository, compiled in, and names nobody.
enum Contract {
    static let response: Response = {
        let bytes = Data(PackageResources.openapi_yaml)
        // RFC 9512.
        return .data(200, bytes, type: "application/yaml")
    }()
}
