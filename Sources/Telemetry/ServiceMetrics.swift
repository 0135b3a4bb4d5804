/// Every metric of the service, for those who build dashboards and alerts. Names, labels and units are kept between
/// versions; none holds anything about a patient.
///
/// Ages and rates are for Prometheus to compute: `rate(hepar_slices_total[5m])` are slices a second,
/// `histogram_quantile(0.95, rate(hepar_job_wait_seconds_bucket[1h]))` is the wait that one job in twenty exceeds.
public struct ServiceMetrics: Sendable {
    /// Where they are written from.
    public let registry: MetricRegistry

    /// `hepar_jobs{state,priority}`: jobs in the store. The queue's depth is `state="queued"`.
    public let jobs: Gauge
    /// `hepar_queue_paused`: 1 while the queue is paused.
    public let queuePaused: Gauge
    /// `hepar_job_wait_seconds{priority}`: from acceptance to the first start.
    public let jobWait: Histogram
    /// `hepar_stage_seconds{stage}`: time of each stage of a job, as `read`, `stage1_network`, `stage2_network`, `write`:
    /// the names of the report's `timings_ms`.
    public let stageTime: Histogram
    /// `hepar_slices_total{stage}`: slices that a network has seen, as `liver`, `lesions`.
    public let slices: Counter
    /// `hepar_liver_mean_hu`: mean HU of the livers found, without lesions and rim. A scanner or protocol that changes shows
    /// here before anybody looks at masks.
    public let liverMeanHU: Histogram
    /// `hepar_jobs_finished_total{state}`: jobs that ended, as `succeeded`, `failed`, `cancelled`.
    public let jobsFinished: Counter
    /// `hepar_job_failures_total{code}`: jobs that failed, by the code of their error.
    public let jobFailures: Counter
    /// `hepar_uploads_total{outcome}`: uploads, as `accepted`, or the code of the refusal.
    public let uploads: Counter
    /// `hepar_upload_bytes_total`: bytes of all uploads, as sent.
    public let uploadBytes: Counter
    /// `hepar_disk_free_bytes`: space that uploads and results may still take on the data folder's file system.
    public let diskFree: Gauge
    /// `hepar_http_requests_total{route,method,status}`: answered requests; the route is the pattern, never the path.
    public let httpRequests: Counter
    /// `hepar_http_request_seconds{route,method}`: from the last byte of a request to the first of its answer.
    public let httpTime: Histogram
    /// `hepar_webhook_deliveries_total{outcome}`: tries, as `delivered`, or the code of the failure.
    public let webhookDeliveries: Counter
    /// `hepar_webhooks{state}`: webhooks in the outbox, as `pending`, `dead`.
    public let webhooks: Gauge
    /// `hepar_authentication_failures_total{code}`: requests refused for who sent them, by the refusal's code.
    public let authenticationFailures: Counter
    /// `hepar_ready`: 1 while `/readyz` answers 200, else 0.
    public let ready: Gauge
    /// `hepar_tokens_stale`: 1 while the file of tokens cannot be read and the last ones stay in force, else 0.
    public let tokensStale: Gauge
    /// `hepar_retention_behind_seconds`: how far retention's time is behind the wall clock, which has jumped if it is days.
    public let retentionBehind: Gauge
    /// `hepar_build_info{version,model,instructions}`: always 1; what runs.
    public let buildInfo: Gauge
    /// `process_start_time_seconds`: when the process started, in Unix seconds.
    public let startTime: Gauge

    /// Makes all metrics in `registry`, which has none of them yet.
    public init(in registry: MetricRegistry = MetricRegistry()) {
        self.registry = registry
        jobs = registry.gauge(
            "hepar_jobs", help: "Jobs in the store by state and priority.", labels: ["state", "priority"])
        queuePaused = registry.gauge("hepar_queue_paused", help: "1 while the queue is paused, else 0.")
        jobWait = registry.histogram(
            "hepar_job_wait_seconds", help: "Seconds from a job's acceptance to its first start.",
            buckets: [0.1, 1, 5, 15, 60, 300, 900, 3_600, 14_400, 86_400], labels: ["priority"])
        stageTime = registry.histogram(
            "hepar_stage_seconds", help: "Seconds of each stage of a job.",
            buckets: [0.1, 0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 900], labels: ["stage"])
        slices = registry.counter("hepar_slices_total", help: "Slices that a network has seen.", labels: ["stage"])
        liverMeanHU = registry.histogram(
            "hepar_liver_mean_hu", help: "Mean HU of the livers found, without lesions and rim.",
            buckets: [0, 20, 40, 50, 60, 70, 80, 90, 100, 110, 120, 130, 140, 160, 180, 220])
        jobsFinished = registry.counter(
            "hepar_jobs_finished_total", help: "Jobs that ended, by their last state.", labels: ["state"])
        jobFailures = registry.counter(
            "hepar_job_failures_total", help: "Jobs that failed, by the code of their error.", labels: ["code"])
        uploads = registry.counter(
            "hepar_uploads_total", help: "Uploads, accepted or by the code of their refusal.", labels: ["outcome"])
        uploadBytes = registry.counter("hepar_upload_bytes_total", help: "Bytes of all uploads as they were sent.")
        diskFree = registry.gauge(
            "hepar_disk_free_bytes", help: "Bytes that may still be written to the data folder's file system.")
        httpRequests = registry.counter(
            "hepar_http_requests_total", help: "Answered requests by route pattern, method and status.",
            labels: ["route", "method", "status"])
        httpTime = registry.histogram(
            "hepar_http_request_seconds", help: "Seconds from a request's last byte to its answer's first.",
            buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 15, 60], labels: ["route", "method"])
        webhookDeliveries = registry.counter(
            "hepar_webhook_deliveries_total", help: "Tries to deliver a webhook, delivered or by their failure.",
            labels: ["outcome"])
        webhooks = registry.gauge("hepar_webhooks", help: "Webhooks in the outbox by state.", labels: ["state"])
        authenticationFailures = registry.counter(
            "hepar_authentication_failures_total", help: "Requests refused for who sent them, by code.",
            labels: ["code"])
        ready = registry.gauge("hepar_ready", help: "1 while the service is ready for jobs, else 0.")
        tokensStale = registry.gauge(
            "hepar_tokens_stale", help: "1 while the file of tokens cannot be read and the last ones stay, else 0.")
        retentionBehind = registry.gauge(
            "hepar_retention_behind_seconds", help: "Seconds that retention's time is behind the wall clock.")
        buildInfo = registry.gauge(
            "hepar_build_info", help: "1, with the version, model and instruction set that run.",
            labels: ["version", "model", "instructions"])
        startTime = registry.gauge("process_start_time_seconds", help: "Unix time at which the process started.")
    }
}
