import HTTPDaemon
import Jobs
import Telemetry
import Work

/// What load balancers and watchdogs ask.
struct HealthResource: Sendable {
    let store: any JobStore
    let spool: Spool
    let workers: WorkerPool
    let gate: Gate
    let metrics: ServiceMetrics
    let retentionClock: RetentionClock
    let freeSpaceMiB: Int

    var routes: [Route] {
        [
            Route(method: "GET", path: "/openapi.yaml", action: nil) { call in
                _ = try call.query()
                return .now(Contract.response)
            },
            Route(method: "GET", path: "/healthz", action: nil) { _ in .now(.json(200, ["status": "ok"])) },
            Route(method: "GET", path: "/readyz", action: nil) { _ in .now(readiness().response) },
        ]
    }

    /// As it is now.
    func readiness() -> Readiness {
        Readiness(
            database: (try? store.check()) != nil && workers.isStoreAnswering,
            disk: spool.freeBytes() > freeSpaceMiB << 20, tokens: gate.doorkeeper.tokensProblem == nil,
            clock: !retentionClock.isBehind)
    }

    /// Tells the metrics of it.
    func noteReadiness() {
        let now = readiness()
        metrics.ready.set(now.isReady ? 1 : 0)
        metrics.tokensStale.set(now.tokens ? 0 : 1)
        metrics.retentionBehind.set(max(0, retentionClock.behind))
    }
}
