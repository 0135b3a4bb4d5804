import Foundation
import TestSupport
import Testing

@testable import Work

/// The clock that retention goes by: no jump moves it, real time does.
@Suite struct RetentionClockTests {
    private static let day = 86_400.0
    private let start = Date(timeIntervalSince1970: 1_767_268_800)

    private func clock(_ folder: URL, now: Date, lastEvent: Date? = nil) -> RetentionClock {
        RetentionClock(file: folder.appending(path: "retention.clock"), lastEvent: lastEvent, now: now)
    }

    @Test func itFollowsAClockThatRuns() throws {
        try withTemporaryFolder { folder in
            let clock = clock(folder, now: start)
            for round in 0..<10 {
                let now = start + Double(round) * 600
                #expect(clock.time(at: now, elapsed: round == 0 ? 0 : 600) == now)
            }
            #expect(clock.behind == 0 && !clock.isBehind)
        }
    }

    @Test func aJumpIsCaughtUpWithSlowly() throws {
        try withTemporaryFolder { folder in
            let first = clock(folder, now: start)
            #expect(first.time(at: start, elapsed: 0) == start)
            let jumped = start + 100 * Self.day
            #expect(first.time(at: jumped, elapsed: 600) == start + 4_800)
            #expect(first.isBehind)
            // Another process goes on there, and 24 h of its time are 8 days.
            let second = clock(folder, now: jumped)
            #expect(second.isBehind)
            #expect(second.time(at: jumped + Self.day, elapsed: Self.day) == start + 4_800 + 8 * Self.day)
            // Set right again: followed at once.
            #expect(second.time(at: start + Self.day, elapsed: 60) == start + Self.day)
            #expect(!second.isBehind)
            // Where nobody mends it, it is there after 100 / (8 - 1) days.
            let third = clock(folder, now: start)
            var elapsed = 0.0
            repeat {
                elapsed += 600
                _ = third.time(at: jumped + elapsed, elapsed: 600)
            } while third.behind > 0
            #expect((14.2...14.4).contains(elapsed / Self.day))
        }
    }

    /// A weekend switched off: caught up with in 60 / 7 hours.
    @Test func aPauseIsCaughtUpWithInHours() throws {
        try withTemporaryFolder { folder in
            _ = clock(folder, now: start).time(at: start, elapsed: 0)
            let monday = start + 60 * 3_600
            let clock = clock(folder, now: monday)
            #expect(clock.isBehind)
            #expect(clock.time(at: monday + 9 * 3_600, elapsed: 9 * 3_600) == monday + 9 * 3_600)
        }
    }

    @Test func withoutAFileTheNewestEventCounts() throws {
        try withTemporaryFolder { folder in
            #expect(
                clock(folder, now: start + 5 * Self.day, lastEvent: start).time(at: start + 5 * Self.day, elapsed: 0)
                    == start)
            try FileManager.default.removeItem(at: folder.appending(path: "retention.clock"))
            #expect(clock(folder, now: start).time(at: start, elapsed: 0) == start)
            try Data("rubbish".utf8).write(to: folder.appending(path: "retention.clock"))
            #expect(clock(folder, now: start + 9, lastEvent: start).time(at: start + 9, elapsed: 0) == start)
        }
    }
}
