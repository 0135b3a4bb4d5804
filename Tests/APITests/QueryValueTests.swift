import Foundation
import Testing

@testable import API

/// What a query says is read as its standard has it.
@Suite struct QueryValueTests {
    /// Seconds since 1970, by hand: 2027-01-31 is day 20 849.
    @Test(arguments: [
        ("2027-01-31T08:00:00Z", 0), ("2027-01-31t08:00:00z", 0), ("2027-01-31T10:00:00+02:00", 0),
        ("2027-01-31T10:00:00 02:00", 0), ("2027-01-31T08:00:00.25Z", 0.25), ("2027-01-30T12:48:00-19:12", 0),
        ("2027-02-01T07:59:00+23:59", 0), ("2027-01-31T04:30:01-0330", 1),
    ])
    func timesOfRFC3339AreRead(text: String, seconds: Double) throws {
        let expected = Double(20_849 * 86_400 + 8 * 3_600) + seconds
        #expect(try checkedTime(text, "created_after").timeIntervalSince1970 == expected)
    }

    @Test(arguments: [
        "", "2027-01-31", "2027-01-31T08:00:00", "2027-01-31T08:00:00+24:00", "2027-01-31T08:00:00+02:60",
        "2027-13-01T08:00:00Z", "2027-01-31T08:00:00ZZ", "٢٠٢٧-01-31T08:00:00Z", "2027-01-31T08:00:00.Z",
    ])
    func whatIsNoneIsRefused(text: String) {
        #expect(throws: Problem.self) { try checkedTime(text, "created_after") }
    }
}
