import Testing

@testable import Jobs

/// The whole table of states and events, spelled out.
@Suite struct JobStateTests {
    static let allowed: [(JobState, JobState.Event, JobState)] = [
        (.queued, .claim, .running), (.queued, .fail, .failed), (.queued, .cancel, .cancelled),
        (.running, .finish, .succeeded), (.running, .retry, .queued), (.running, .fail, .failed),
        (.running, .cancel, .cancelled), (.queued, .reuse, .succeeded), (.failed, .restart, .queued),
        (.cancelled, .restart, .queued),
    ]

    @Test(arguments: JobState.allCases, JobState.Event.allCases)
    func everyPair(state: JobState, event: JobState.Event) {
        let expected = Self.allowed.first { $0.0 == state && $0.1 == event }?.2
        #expect(state.after(event) == expected)
    }

    @Test func finalStates() {
        #expect(JobState.allCases.filter(\.isFinal) == [.succeeded, .failed, .cancelled])
    }
}
