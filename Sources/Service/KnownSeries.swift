import Access
import Jobs
import Segmentation
import Telemetry

extension ServiceMetrics {
    /// Begins every series whose labels are known beforehand at 0: Prometheus' `increase` sees the first event only of a
    /// series that was there before it. Codes that are not listed here appear with their first event.
    func beginAtZero() {
        for state in JobState.allCases where state.isFinal { jobsFinished.add(0, state.rawValue) }
        for stage in ["liver", "lesions"] { slices.add(0, stage) }
        for code in ["attempts_exhausted", "internal_error", "poison", "upload_lost"] { jobFailures.add(0, code) }
        let outcomes = [
            "accepted", "in_flight_full", "internal", "queue_full", "quota_used", "storage_failed", "storage_full",
            "stored_quota_used",
        ]
        for outcome in outcomes { uploads.add(0, outcome) }
        for outcome in ["delivered", "no_answer", "no_connection", "other", "redirect", "timeout", "unknown_host"] {
            webhookDeliveries.add(0, outcome)
        }
        for refusal in AccessRefusal.allKinds { authenticationFailures.add(0, refusal.code) }
        for route in Routes.table { httpRequests.add(0, route.path, route.method, "500") }
    }
}
