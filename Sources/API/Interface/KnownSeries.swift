import Access
import Jobs
import Segmentation
import Telemetry

extension Routes {
    /// Begins every series whose labels are known beforehand at 0: Prometheus' `increase` sees the first event only of a
    /// series that was there before it. Codes that are not listed here appear with their first event.
    package func beginAtZero() {
        for state in JobState.allCases where state.isFinal { metrics.jobsFinished.add(0, state.rawValue) }
        for stage in ["liver", "lesions"] { metrics.slices.add(0, stage) }
        for code in ["attempts_exhausted", "internal_error", "poison", "upload_lost"] {
            metrics.jobFailures.add(0, code)
        }
        let outcomes = [
            "accepted", "in_flight_full", "internal", "queue_full", "quota_used", "storage_failed", "storage_full",
            "stored_quota_used",
        ]
        for outcome in outcomes { metrics.uploads.add(0, outcome) }
        for outcome in ["delivered", "no_answer", "no_connection", "other", "redirect", "timeout", "unknown_host"] {
            metrics.webhookDeliveries.add(0, outcome)
        }
        for refusal in AccessRefusal.allKinds { metrics.authenticationFailures.add(0, refusal.code) }
        for route in table { metrics.httpRequests.add(0, route.path, route.method, "500") }
    }
}
