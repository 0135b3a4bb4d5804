import Cases
import Foundation
import Jobs
import Logging
import Synchronization
import Telemetry

/// Counts for Prometheus what became of jobs, by reading the feed of events when someone asks for the metrics: whoever
/// changed a job, and by whatever way, it is counted once.
package final class JobMetrics: Sendable {
    private let store: any JobStore
    private let outbox: any Outbox
    private let spool: Spool
    private let metrics: ServiceMetrics
    private let lastEvent: Mutex<Int>

    private static let page = 1_000

    /// Counts from now on.
    ///
    /// - Throws: ``JobStoreError`` if the store does not tell where its feed ends.
    package init(_ metrics: ServiceMetrics, store: any JobStore, outbox: any Outbox, spool: Spool) throws(JobStoreError)
    {
        self.metrics = metrics
        self.store = store
        self.outbox = outbox
        self.spool = spool
        lastEvent = Mutex(try store.lastEvent())
    }

    /// Brings all metrics up to date; what the store does not tell now is told next time.
    package func refresh() {
        metrics.diskFree.set(Double(spool.freeBytes()))
        try? countEvents()
        guard let report = try? store.report(), let webhooks = try? outbox.deliveryCounts() else { return }
        metrics.queuePaused.set(report.isPaused ? 1 : 0)
        for (state, counts) in report.counts {
            for (priority, count) in counts { metrics.jobs.set(Double(count), state.rawValue, priority.rawValue) }
        }
        metrics.webhooks.set(Double(webhooks.pending), "pending")
        metrics.webhooks.set(Double(webhooks.dead), "dead")
    }

    private func countEvents() throws {
        try lastEvent.withLock { last in
            while true {
                let events = try store.events(after: last, limit: Self.page)
                for event in events {
                    // Nil for a job that was removed since: it is counted, without its times.
                    count(event, of: try? store.job(event.job))
                    last = event.sequence
                }
                if events.count < Self.page { return }
            }
        }
    }

    private func count(_ event: JobEvent, of job: Job?) {
        switch event.kind {
        case .started:
            guard let job, job.attempts == 1 else { return }
            metrics.jobWait.observe(event.time.timeIntervalSince(job.queuedAt), job.priority.rawValue)
        case .succeeded:
            metrics.jobsFinished.add(1, event.kind.rawValue)
            // An earlier job's result took no time.
            guard let job, job.copiedFrom == nil, let result = JobResult(of: job) else { return }
            for (stage, milliseconds) in result.timingsMs where stage != "total" {
                metrics.stageTime.observe(milliseconds / 1_000, stage)
            }
            if let mean = result.liverMeanHU { metrics.liverMeanHU.observe(mean) }
        case .failed:
            metrics.jobsFinished.add(1, event.kind.rawValue)
            metrics.jobFailures.add(1, job?.failure?.code ?? "unknown")
        case .cancelled:
            metrics.jobsFinished.add(1, event.kind.rawValue)
        case .accepted, .requeued, .retried, .cancelRequested, .deleted:
            break
        }
    }
}
