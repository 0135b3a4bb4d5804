import GRDB

/// Every schema the database ever had, in order. A migration that was released is never changed: a new one follows it.
///
/// Times are milliseconds since 1970. `lease_token` and `lease_until_ms` are set while a job runs, and only then.
let jobSchema: DatabaseMigrator = {
    var migrator = DatabaseMigrator()
    migrator.registerMigration("1: jobs") { db in
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
    migrator.registerMigration("2: retry keys") { db in
        try db.execute(
            sql: """
                CREATE TABLE retry_key (
                    key TEXT PRIMARY KEY NOT NULL,
                    digest TEXT NOT NULL,
                    job_id TEXT NOT NULL UNIQUE REFERENCES job (id) ON DELETE CASCADE
                ) STRICT, WITHOUT ROWID;
                """)
    }
    return migrator
}()
