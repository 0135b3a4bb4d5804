import Testing

@testable import Access

@Suite struct RoleTests {
    /// The whole table, row by row, as docs and openapi.yaml tell it: - none, o own, A all.
    @Test func theRulesAreAsWritten() {
        let columns: [Action] = [
            .submit, .submitStat, .readJob, .listJobs, .readResult, .changeJob, .deleteJob, .controlQueue, .readAudit,
            .readMetrics, .readInfo,
        ]
        let rows: [(Role, String)] = [
            (.submit, "A----oo--A-"), (.stat, "-A-------A-"), (.readOwn, "--ooo----A-"), (.readAll, "--AAA----A-"),
            (.admin, "AAAAAAAAAAA"),
        ]
        #expect(columns.count == Action.allCases.count && rows.count == Role.allCases.count)
        for (role, row) in rows {
            for (action, letter) in zip(columns, row) {
                let expected: Reach = letter == "A" ? .all : letter == "o" ? .own : .none
                #expect(role.reach(action) == expected, "\(role) \(action)")
            }
        }
    }

    @Test func rolesAddUp() throws {
        let caller = Caller(name: "bridge", roles: [.submit, .readOwn])
        #expect(caller.reach(.submit) == .all)
        #expect(caller.reach(.readJob) == .own)
        #expect(caller.reach(.controlQueue) == .none)
        #expect(Caller(name: "x", roles: [.readOwn, .readAll]).reach(.readResult) == .all)
        #expect(Caller(name: "x", roles: []).reach(.readMetrics) == .none)
    }

    @Test func jobsOfOthersAreOutOfReach() throws {
        let caller = Caller(name: "bridge", roles: [.submit, .readOwn])
        try caller.check(.readResult, jobOf: "bridge")
        try caller.check(.listJobs)
        #expect(throws: AccessRefusal.forbidden(.readResult)) { try caller.check(.readResult, jobOf: "other") }
        #expect(throws: AccessRefusal.forbidden(.readResult)) { try caller.check(.readResult, jobOf: nil) }
        #expect(throws: AccessRefusal.forbidden(.readAudit)) { try caller.check(.readAudit) }
        #expect(throws: AccessRefusal.forbidden(.readAudit)) { try caller.check(.readAudit, jobOf: "bridge") }
        let reader = Caller(name: "reader", roles: [.readAll])
        try reader.check(.readResult, jobOf: "other")
        try reader.check(.readResult, jobOf: nil)
    }

    @Test func anonymousMayEverything() throws {
        for action in Action.allCases { #expect(Caller.anonymous.reach(action) == .all) }
    }

    @Test func refusalsSayWhatHTTPNeeds() {
        let refusals: [(AccessRefusal, Int, String, String)] = [
            (.noCredentials, 401, "credentials_missing", #"WWW-Authenticate: Bearer realm="hepar""#),
            (
                .notBearer, 401, "credentials_malformed",
                #"WWW-Authenticate: Bearer realm="hepar", error="invalid_request""#
            ),
            (.unknownToken, 401, "token_unknown", #"WWW-Authenticate: Bearer realm="hepar", error="invalid_token""#),
            (.expiredToken, 401, "token_expired", #"WWW-Authenticate: Bearer realm="hepar", error="invalid_token""#),
            (.tooManyFailures(retryAfterSeconds: 7), 429, "too_many_failures", "Retry-After: 7"),
            (.forwarded(field: "Via"), 403, "forwarded_request", ""),
            (.notLocal, 403, "not_local", ""),
            (
                .forbidden(.readAudit), 403, "forbidden",
                #"WWW-Authenticate: Bearer realm="hepar", error="insufficient_scope""#
            ),
        ]
        for (refusal, status, code, header) in refusals {
            #expect(refusal.status == status && refusal.code == code)
            #expect(refusal.headers.map { "\($0.name): \($0.value)" }.joined() == header)
            #expect(refusal.description.hasSuffix(".") || refusal.description.hasSuffix("add."))
        }
        #expect(AccessRefusal.forbidden(.controlQueue).description.hasSuffix("these roles do: \"admin\"."))
        #expect(
            AccessRefusal.forbidden(.listJobs).description
                .hasSuffix("these roles do: \"read_own\" (own jobs), \"read_all\", \"admin\"."))
    }
}
