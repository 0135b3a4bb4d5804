import Access
import Foundation
import HTTPDaemon
import Logging
import Webhooks

/// Who may use the service, and whom it may call: made once from the configuration.
struct Gate: Sendable {
    let doorkeeper: Doorkeeper
    let webhooks: WebhookTargets
    let sender: WebhookSender?

    /// - Throws: ``ConfigError`` with every setting that cannot be used.
    init(_ config: ServiceConfig, logger: Logger) throws(ConfigError) {
        var problems: [String] = []
        func checked<Value>(_ key: String, _ standard: Value, _ make: () throws -> Value) -> Value {
            do {
                return try make()
            } catch {
                problems.append("\(key): \(error)")
                return standard
            }
        }
        let tokens: TokenWatch? =
            config.tokensFile.isEmpty
            ? nil
            : checked("auth.tokens_file", nil) {
                try TokenWatch(TokenFile(URL(filePath: config.tokensFile)), logger: logger)
            }
        if config.tokensFile.isEmpty, !OpenServer.mayListen(on: config.host) {
            problems.append(
                "http.host is \(config.host), and there are no tokens. Without auth.tokens_file Hepar listens on 127.0.0.1 "
                    + "only: make a token with `hepar token add`.")
        }
        let ranges = checked("http.trusted_proxies", []) { try list(config.trustedProxies).map(AddressRange.init) }
        let targets = checked("webhooks.targets", WebhookTargets.none) {
            config.webhookTargets.isEmpty ? .none : try WebhookTargets(list(config.webhookTargets))
        }
        var sender: WebhookSender?
        if !config.webhookTargets.isEmpty {
            sender = checked("webhooks.secret_file", nil) {
                let secret = try String(contentsOfFile: config.webhookSecretFile, encoding: .utf8)
                let signer = try WebhookSigner(secret: secret.trimmingCharacters(in: .whitespacesAndNewlines))
                return WebhookSender(signer: signer)
            }
            if !config.webhookCAFile.isEmpty { sender?.caFile = config.webhookCAFile }
        }
        guard problems.isEmpty else { throw ConfigError(problems: problems) }
        doorkeeper = Doorkeeper(
            tokens: tokens, proxies: TrustedProxies(ranges, field: config.proxyField))
        webhooks = targets
        self.sender = sender
    }
}

/// The entries of a setting that lists several, separated by commas.
private func list(_ text: String) -> [String] {
    text.split(separator: ",").map { $0.trimmingCharacters(in: .whitespaces) }.filter { !$0.isEmpty }
}

extension Gate {
    /// The address that a request comes from; behind a trusted proxy the one that it tells.
    func client(_ head: RequestHead) -> String {
        doorkeeper.origin(peer: head.peerAddress) { head.headers[$0] }.address
    }

    /// Who sends a request.
    func caller(_ head: RequestHead) throws(AccessRefusal) -> Caller {
        try doorkeeper.caller(peer: head.peerAddress) { head.headers[$0] }
    }
}

extension AccessRefusal {
    /// What the client is answered.
    var problem: Problem {
        Problem(status, code, "\(self)", headers: headers.map { ($0.name, $0.value) })
    }
}
