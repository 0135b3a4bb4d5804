import Access
import Foundation
import HTTPDaemon
import Logging
import Webhooks

/// Who may use the service, and whom it may call: made once from the configuration.
package struct Gate: Sendable {
    package let doorkeeper: Doorkeeper
    package let webhooks: WebhookTargets
    package let sender: WebhookSender?

    package init(doorkeeper: Doorkeeper, webhooks: WebhookTargets, sender: WebhookSender?) {
        self.doorkeeper = doorkeeper
        self.webhooks = webhooks
        self.sender = sender
    }
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
