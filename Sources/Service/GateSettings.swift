import API
import Access
import Foundation
import Logging
import Webhooks

extension Gate {
    /// The gate that the settings describe.
    ///
    /// - Throws: ``ConfigError`` with every setting that cannot be used.
    init(_ config: ServiceConfig, logger: Logger) throws(ConfigError) {
        var problems: [String] = []
        func checked<Value>(_ key: String, _ value: String, _ standard: Value, _ make: () throws -> Value) -> Value {
            do {
                return try make()
            } catch {
                problems.append("\(key) is \(value): \(error)")
                return standard
            }
        }
        let tokens: TokenWatch? =
            config.tokensFile.isEmpty
            ? nil
            : checked("auth.tokens_file", config.tokensFile, nil) {
                try TokenWatch(TokenFile(URL(filePath: config.tokensFile)), logger: logger)
            }
        if config.tokensFile.isEmpty, !OpenServer.mayListen(on: config.host) {
            problems.append(
                "http.host is \(config.host), and there are no tokens. Without auth.tokens_file Hepar listens on 127.0.0.1 "
                    + "only: make a token with `hepar token add`.")
        }
        // One by one, so that each bad entry is told.
        let ranges = list(config.trustedProxies).compactMap { entry in
            checked("http.trusted_proxies", entry, nil) { try AddressRange(entry) }
        }
        let places = list(config.webhookTargets).filter { entry in
            checked("webhooks.targets", entry, false) {
                _ = try WebhookTargets([entry])
                return true
            }
        }
        let targets = (try? WebhookTargets(places)) ?? .none
        var sender: WebhookSender?
        if !config.webhookTargets.isEmpty {
            let file = config.webhookSecretFile
            if file.isEmpty {
                problems.append(
                    "webhooks.secret_file is empty, and webhooks.targets is not. Name a file with the secret that webhooks are "
                        + "signed with: openssl rand -hex 32 makes one.")
            } else if let reason = FileFault(reading: file) {
                problems.append(
                    "webhooks.secret_file is \(file), which \(reason). Put the secret there, or name another file.")
            } else {
                sender = checked("webhooks.secret_file", file, nil) {
                    let secret = String(decoding: FileManager.default.contents(atPath: file) ?? Data(), as: UTF8.self)
                    let signer = try WebhookSigner(secret: secret.trimmingCharacters(in: .whitespacesAndNewlines))
                    return WebhookSender(signer: signer)
                }
            }
            if !config.webhookCAFile.isEmpty {
                if let reason = FileFault(reading: config.webhookCAFile) {
                    problems.append(
                        "webhooks.ca_file is \(config.webhookCAFile), which \(reason). Name a file of certificates in PEM, or none."
                    )
                }
                sender?.caFile = config.webhookCAFile
            }
        }
        guard problems.isEmpty else { throw ConfigError(problems: problems) }
        self.init(
            doorkeeper: Doorkeeper(tokens: tokens, proxies: TrustedProxies(ranges, field: config.proxyField)),
            webhooks: targets, sender: sender)
    }
}

/// The entries of a setting that lists several, separated by commas.
private func list(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
}
