import Dispatch
import Synchronization
import Testing

@testable import Telemetry

@Suite struct MetricTests {
    @Test func theTextIsAsPrometheusWantsIt() {
        let registry = MetricRegistry()
        let bytes = registry.counter("up_bytes_total", help: "Bytes.")
        let requests = registry.counter("requests_total", help: "A \\ and\na line.", labels: ["route", "status"])
        let free = registry.gauge("free_bytes", help: "Free.")
        let time = registry.histogram("seconds", help: "Time.", buckets: [0.5, 1, 2.5], labels: ["stage"])
        bytes.add(1_000)
        bytes.add(0.5)
        requests.add(1, "/v1/jobs/{id}", "200")
        requests.add(2, "/v1/jobs", "503")
        requests.add(1, "/v1/jobs/{id}", "200")
        free.set(-3)
        for value in [0.1, 0.5, 0.6, 2.5, 3, 100] { time.observe(value, "liver") }
        #expect(
            registry.exposition() == """
                # HELP up_bytes_total Bytes.
                # TYPE up_bytes_total counter
                up_bytes_total 1000.5
                # HELP requests_total A \\\\ and\\na line.
                # TYPE requests_total counter
                requests_total{route="/v1/jobs",status="503"} 2
                requests_total{route="/v1/jobs/{id}",status="200"} 2
                # HELP free_bytes Free.
                # TYPE free_bytes gauge
                free_bytes -3
                # HELP seconds Time.
                # TYPE seconds histogram
                seconds_bucket{stage="liver",le="0.5"} 2
                seconds_bucket{stage="liver",le="1"} 3
                seconds_bucket{stage="liver",le="2.5"} 4
                seconds_bucket{stage="liver",le="+Inf"} 6
                seconds_sum{stage="liver"} 106.7
                seconds_count{stage="liver"} 6

                """)
    }

    @Test func labelValuesCannotBreakOut() {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", help: "A.", labels: ["x"])
        counter.add(1, "quote \" slash \\ line\nb_total{x=\"1\"} 9")
        #expect(
            registry.exposition().split(separator: "\n").last
                == #"a_total{x="quote \" slash \\ line\nb_total{x=\"1\"} 9"} 1"#)
    }

    @Test func nothingCountedIsSaidAsFarAsItIsKnown() {
        let registry = MetricRegistry()
        _ = registry.counter("a_total", help: "A.")
        let labelled = registry.counter("b_total", help: "B.", labels: ["x"])
        _ = registry.histogram("c", help: "C.", buckets: [1])
        _ = registry.gauge("d", help: "D.")
        labelled.add(0, "seen")
        let lines = registry.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(
            lines == [
                "a_total 0", "b_total{x=\"seen\"} 0", "c_bucket{le=\"1\"} 0", "c_bucket{le=\"+Inf\"} 0", "c_sum 0",
                "c_count 0",
            ])
    }

    @Test func impossibleAmountsArePassedOver() {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", help: "A.")
        let histogram = registry.histogram("b", help: "B.", buckets: [1])
        for amount in [-1, .nan, .infinity] as [Double] { counter.add(amount) }
        for value in [.nan, .infinity, -.infinity] as [Double] { histogram.observe(value) }
        histogram.observe(-1)
        let lines = registry.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines == ["a_total 0", "b_bucket{le=\"1\"} 1", "b_bucket{le=\"+Inf\"} 1", "b_sum -1", "b_count 1"])
    }

    static let numbers: [(Double, String)] = [
        (0, "0"), (-0.0, "0"), (1, "1"), (1.5, "1.5"), (1e15, "1000000000000000"), (1e300, "1e+300"), (.nan, "NaN"),
        (.infinity, "+Inf"), (-.infinity, "-Inf"), (0.001, "0.001"),
    ]

    @Test(arguments: numbers)
    func numbersAreReadByPrometheus(value: Double, text: String) { #expect(number(value) == text) }

    @Test func gaugesAreRefreshed() {
        let registry = MetricRegistry()
        let jobs = registry.gauge("jobs", help: "Jobs.", labels: ["state"])
        jobs.set(4, "queued")
        jobs.set(1, "queued")
        let free = registry.gauge("free", help: "Free.")
        let count = ScrapeCount()
        registry.onExposition { free.set(Double(count.next())) }
        _ = registry.exposition()
        let lines = registry.exposition().split(separator: "\n").filter { !$0.hasPrefix("#") }
        #expect(lines == ["jobs{state=\"queued\"} 1", "free 2"])
    }

    @Test func seriesAreBounded() {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", help: "A.", labels: ["x"])
        for index in 0..<5_000 { counter.add(1, "\(index)") }
        counter.add(1, "7")
        let lines = registry.exposition().split(separator: "\n")
        #expect(lines.count == 2 + 1_001)
        #expect(lines.contains("a_total{x=\"other\"} 4000"))
        #expect(lines.contains("a_total{x=\"7\"} 2"))
    }

    @Test func nothingIsLostBetweenThreads() {
        let registry = MetricRegistry()
        let counter = registry.counter("a_total", help: "A.", labels: ["x"])
        let histogram = registry.histogram("b", help: "B.", buckets: [0.5])
        DispatchQueue.concurrentPerform(iterations: 8) { thread in
            for index in 0..<2_000 {
                counter.add(1, "\(index % 3)")
                histogram.observe(Double(index % 2))
                if index % 500 == 0 { _ = registry.exposition() }
            }
        }
        let text = registry.exposition()
        #expect(text.contains("a_total{x=\"0\"} 5336\n"))  // 667 of 2000, 8 times
        #expect(text.contains("a_total{x=\"2\"} 5328\n"))
        #expect(text.contains("b_bucket{le=\"0.5\"} 8000\n"))
        #expect(text.contains("b_sum 8000\n"))
    }

    /// Every metric with one value, as dashboards see it; promtool check metrics finds no fault in it.
    @Test func theServicesMetricsAreNamedByTheRules() {
        let metrics = ServiceMetrics()
        metrics.jobs.set(2, "queued", "stat")
        metrics.jobs.set(1, "running", "bulk")
        metrics.queuePaused.set(0)
        metrics.jobWait.observe(12, "routine")
        metrics.stageTime.observe(3.5, "liver")
        metrics.slices.add(120, "liver")
        metrics.jobsFinished.add(1, "succeeded")
        metrics.jobFailures.add(1, "no_memory")
        metrics.uploads.add(1, "accepted")
        metrics.uploadBytes.add(5e9)
        metrics.diskFree.set(2e12)
        metrics.httpRequests.add(1, "/v1/jobs", "POST", "202")
        metrics.httpTime.observe(0.02, "/v1/jobs", "POST")
        metrics.webhookDeliveries.add(1, "delivered")
        metrics.webhooks.set(0, "dead")
        metrics.authenticationFailures.add(1, "token_unknown")
        metrics.ready.set(1)
        metrics.tokensStale.set(0)
        metrics.retentionBehind.set(0)
        metrics.buildInfo.set(1, "1.0", "default", "avx512")
        metrics.startTime.set(1_800_000_000)
        let text = metrics.registry.exposition()
        let families = text.split(separator: "\n").filter { $0.hasPrefix("# TYPE") }
        #expect(families.count == 21)
        for family in families {
            let words = family.split(separator: " ")
            #expect(words[2].hasPrefix("hepar_") || words[2].hasPrefix("process_"))
            #expect((words[3] == "counter") == words[2].hasSuffix("_total"))
            #expect(text.contains("\n\(words[2])") || text.hasPrefix(words[2]), "\(words[2]) has no series")
        }
    }
}

/// Counts from 1.
private final class ScrapeCount: Sendable {
    private let count = Mutex(0)

    func next() -> Int {
        count.withLock { count in
            count += 1
            return count
        }
    }
}
