import GRDB

/// Every schema the database ever had, in order. A migration that was released is never changed: a new one follows it. A
/// table that one makes has the column `row_digest INTEGER`, as all have since 9; each ends with the digests of all rows.
///
/// Times are milliseconds since 1970. `lease_token` and `lease_until_ms` are set while a job runs, and only then.
let jobSchema: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    func register(_ name: String, _ change: @escaping @Sendable (Database) throws -> Void) {
        migrator.registerMigration(name) { db in
            try change(db)
            try RowDigests.sealAll(in: db)
        }
    }
    register("1: jobs") { db in
        try db.execute(
            sql: """
                CREATE TABLE job (
                    id TEXT PRIMARY KEY NOT NULL,
                    state TEXT NOT NULL
                        CHECK (state IN ('queued', 'running', 'succeeded', 'failed', 'cancelled')),
                    attempts INTEGER NOT NULL CHECK (attempts >= 0),
                    created_ms INTEGER NOT NULL,
                    started_ms INTEGER,
                    finished_ms INTEGER,
                    not_before_ms INTEGER NOT NULL,
                    stage TEXT,
                    progress REAL NOT NULL,
                    cancel_requested INTEGER NOT NULL,
                    failure_code TEXT,
                    failure_message TEXT,
                    has_reference INTEGER NOT NULL,
                    upload_bytes INTEGER NOT NULL,
                    lease_token TEXT,
                    lease_until_ms INTEGER,
                    options BLOB NOT NULL,
                    result BLOB,
                    CHECK ((state = 'running') = (lease_token IS NOT NULL)),
                    CHECK ((state = 'running') = (lease_until_ms IS NOT NULL))
                ) STRICT;
                CREATE INDEX job_by_state ON job (state, id, not_before_ms);
                CREATE TABLE removed_job (id TEXT PRIMARY KEY NOT NULL) STRICT, WITHOUT ROWID;
                """)
    }
    register("2: retry keys") { db in
        try db.execute(
            sql: """
                CREATE TABLE retry_key (
                    key TEXT PRIMARY KEY NOT NULL,
                    digest TEXT NOT NULL,
                    job_id TEXT NOT NULL UNIQUE REFERENCES job (id) ON DELETE CASCADE
                ) STRICT, WITHOUT ROWID;
                """)
    }
    register("3: events") { db in
        // Numbers of dropped events are not given again.
        try db.execute(
            sql: """
                CREATE TABLE job_event (
                    seq INTEGER PRIMARY KEY AUTOINCREMENT,
                    job_id TEXT NOT NULL,
                    kind TEXT NOT NULL,
                    at_ms INTEGER NOT NULL
                ) STRICT;
                """)
    }
    register("4: priorities, owners, earlier results, pace") { db in
        // Jobs of before have routine priority: a rank two hours after they came.
        try db.execute(
            sql: """
                ALTER TABLE job ADD COLUMN priority TEXT NOT NULL DEFAULT 'routine'
                    CHECK (priority IN ('stat', 'routine', 'bulk'));
                ALTER TABLE job ADD COLUMN queued_ms INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE job ADD COLUMN rank_ms INTEGER NOT NULL DEFAULT 0;
                ALTER TABLE job ADD COLUMN cost REAL;
                ALTER TABLE job ADD COLUMN owner TEXT;
                ALTER TABLE job ADD COLUMN webhook TEXT;
                ALTER TABLE job ADD COLUMN content_key TEXT;
                ALTER TABLE job ADD COLUMN copied_from TEXT;
                UPDATE job SET queued_ms = created_ms, rank_ms = created_ms + 7200000;
                CREATE INDEX job_by_rank ON job (state, rank_ms, id, not_before_ms, cost);
                CREATE INDEX job_by_priority ON job (state, priority, queued_ms);
                CREATE INDEX job_by_owner ON job (owner, id) WHERE owner IS NOT NULL;
                CREATE INDEX job_by_owner_state ON job (owner, state, id, upload_bytes) WHERE owner IS NOT NULL;
                CREATE INDEX job_by_finish ON job (finished_ms, id) WHERE finished_ms IS NOT NULL;
                CREATE INDEX job_by_content ON job (content_key, state, id) WHERE content_key IS NOT NULL;
                CREATE TABLE queue (is_paused INTEGER NOT NULL) STRICT;
                INSERT INTO queue (is_paused) VALUES (0);
                CREATE TABLE measured_run (
                    seq INTEGER PRIMARY KEY AUTOINCREMENT,
                    seconds_per_cost REAL NOT NULL
                ) STRICT;
                """)
    }
    register("5: webhooks") { db in
        try db.execute(
            sql: """
                CREATE TABLE delivery (
                    id INTEGER PRIMARY KEY AUTOINCREMENT,
                    job_id TEXT NOT NULL REFERENCES job (id) ON DELETE CASCADE,
                    state TEXT NOT NULL,
                    event_seq INTEGER NOT NULL,
                    url TEXT NOT NULL,
                    created_ms INTEGER NOT NULL,
                    attempts INTEGER NOT NULL,
                    due_ms INTEGER NOT NULL,
                    token TEXT,
                    failure TEXT,
                    is_dead INTEGER NOT NULL
                ) STRICT;
                CREATE INDEX delivery_by_due ON delivery (is_dead, due_ms, id);
                CREATE INDEX delivery_by_job ON delivery (job_id);
                """)
    }
    register("6: audit") { db in
        try db.execute(
            sql: """
                CREATE TABLE audit (
                    seq INTEGER PRIMARY KEY AUTOINCREMENT,
                    at_ms INTEGER NOT NULL,
                    actor TEXT NOT NULL,
                    action TEXT NOT NULL,
                    job_id TEXT,
                    outcome TEXT NOT NULL,
                    request TEXT
                ) STRICT;
                CREATE TRIGGER audit_is_not_changed BEFORE UPDATE ON audit
                    BEGIN SELECT raise(ABORT, 'audit entries are never changed'); END;
                CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit
                    BEGIN SELECT raise(ABORT, 'audit entries are never removed'); END;
                """)
    }
    register("7: requests") { db in
        try db.execute(sql: "ALTER TABLE job ADD COLUMN request TEXT")
    }
    register("8: shares") { db in
        try db.execute(sql: storageAndTurns)
        try db.execute(sql: deliveriesThatOutliveTheirJobs)
        try db.execute(sql: auditThatIsExported)
    }
    register("9: digests") { db in
        try RowDigests.addColumns(in: db)
        try db.execute(
            sql: """
                DROP TRIGGER audit_is_not_changed;
                CREATE TRIGGER audit_is_not_changed
                    BEFORE UPDATE OF seq, at_ms, actor, action, job_id, outcome, request, count ON audit
                    BEGIN SELECT raise(ABORT, 'audit entries are never changed'); END;
                """)
    }
    register("10: lists") { db in
        try db.execute(
            sql: """
                CREATE INDEX job_by_priority_age ON job (priority, id);
                CREATE INDEX job_with_doubts ON job (id) WHERE \(hasDoubts);
                """)
    }
    return migrator
}()

/// What jobs of before hold on the disk is not known yet: the upload stands for it until the files are measured.
private let storageAndTurns = """
    ALTER TABLE job ADD COLUMN stored_bytes INTEGER NOT NULL DEFAULT 0;
    UPDATE job SET stored_bytes = upload_bytes;
    CREATE INDEX job_by_owner_stored ON job (owner, stored_bytes) WHERE owner IS NOT NULL;
    CREATE INDEX job_by_turn ON job (state, priority, owner, rank_ms, id, not_before_ms, cost);
    CREATE TABLE turn (
        priority TEXT NOT NULL,
        owner TEXT NOT NULL,
        served INTEGER NOT NULL,
        PRIMARY KEY (priority, owner)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX turn_by_served ON turn (priority, served, owner);
    INSERT INTO turn (priority, owner, served) SELECT DISTINCT priority, coalesce(owner, ''), 0 FROM job;
    CREATE TRIGGER job_takes_turns AFTER INSERT ON job BEGIN
        INSERT OR IGNORE INTO turn (priority, owner, served)
        SELECT new.priority, coalesce(new.owner, ''), 1 + coalesce(max(served), 0) FROM turn WHERE priority = new.priority;
    END;
    """

/// A delivery has no part in its job any more. Numbers go on where they were: none is given twice.
private let deliveriesThatOutliveTheirJobs = """
    CREATE TABLE delivery_alone (
        id INTEGER PRIMARY KEY AUTOINCREMENT,
        job_id TEXT NOT NULL,
        state TEXT NOT NULL,
        event_seq INTEGER NOT NULL,
        url TEXT NOT NULL,
        receiver TEXT NOT NULL,
        created_ms INTEGER NOT NULL,
        since_ms INTEGER NOT NULL,
        attempts INTEGER NOT NULL,
        due_ms INTEGER NOT NULL,
        token TEXT,
        failure TEXT,
        is_dead INTEGER NOT NULL
    ) STRICT;
    INSERT INTO delivery_alone
        SELECT id, job_id, state, event_seq, url,
            lower(substr(url, 1, instr(url, '://') + 1 + instr(substr(url, instr(url, '://') + 3) || '/', '/'))),
            created_ms, created_ms, attempts, due_ms, token, failure, is_dead
        FROM delivery;
    DELETE FROM sqlite_sequence WHERE name = 'delivery_alone';
    INSERT INTO sqlite_sequence (name, seq) SELECT 'delivery_alone', seq FROM sqlite_sequence WHERE name = 'delivery';
    DROP TABLE delivery;
    ALTER TABLE delivery_alone RENAME TO delivery;
    CREATE INDEX delivery_by_due ON delivery (is_dead, due_ms, id, receiver);
    """

/// Entries are removed only once they were exported, and told so.
private let auditThatIsExported = """
    ALTER TABLE audit ADD COLUMN count INTEGER NOT NULL DEFAULT 1;
    CREATE TABLE audit_exported (last INTEGER NOT NULL) STRICT;
    INSERT INTO audit_exported (last) VALUES (0);
    DROP TRIGGER audit_is_not_removed;
    CREATE TRIGGER audit_is_not_removed BEFORE DELETE ON audit WHEN old.seq > (SELECT last FROM audit_exported)
        BEGIN SELECT raise(ABORT, 'audit entries are removed only after their export'); END;
    """
