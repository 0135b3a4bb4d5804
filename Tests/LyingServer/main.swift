import Compute
import Foundation
import Jobs
import Logging
import SQLiteJobs
import Segmentation
import Service

// The service as `hepar serve` runs it, but for the program that reads uploads: LIAR names it.

let environment = ProcessInfo.processInfo.environment
let config = try await ServiceConfig.load(file: nil)
let logger = Logger(label: "lying")
let data = URL(filePath: config.dataFolder)
let spool = try Spool(folder: data)
let store = try SQLiteJobStore(file: data.appending(path: "jobs.sqlite"))
let service = try HeparService(
    config, store: store, spool: spool,
    segmenter: Segmenter(
        models: URL(filePath: config.modelFolder), algorithm: config.algorithm,
        team: ThreadTeam(threads: config.computeThreads)),
    program: URL(filePath: environment["LIAR"] ?? "/does/not/exist"), logger: logger)
logger.notice("listening", metadata: ["address": "http://\(config.host):\(service.port)"])
while true { sleep(3600) }
