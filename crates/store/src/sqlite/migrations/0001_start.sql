-- The first tables. Never edit a migration that was released: add the next one.
--
-- Ownership (tenant, subject) leads every primary key, so that no row can be reached without
-- saying whose it is. Times are microseconds since 1970 (UTC).

-- WITHOUT ROWID keeps a table in the order of its key: what a turn reads and writes of one
-- session lies together, on few pages. Every page that a transaction touches is written.
CREATE TABLE sessions (
    tenant        TEXT    NOT NULL,
    subject       TEXT    NOT NULL,
    id            TEXT    NOT NULL,
    agent         TEXT    NOT NULL,
    created_at    INTEGER NOT NULL,
    updated_at    INTEGER NOT NULL,
    expires_at    INTEGER,
    look_at       INTEGER,          -- when the sweep looks whether it has expired
    metadata      TEXT    NOT NULL, -- JSON object of strings
    message_count INTEGER NOT NULL, -- also the sequence of the last message
    PRIMARY KEY (tenant, subject, id)
) STRICT, WITHOUT ROWID;

-- For lists, the last used first.
CREATE INDEX sessions_by_use ON sessions (tenant, subject, updated_at);
-- For the sweep. Turns move expires_at and leave look_at alone, so they do not touch this index;
-- a sweep that finds a session alive sets look_at anew.
CREATE INDEX sessions_to_look_at ON sessions (look_at) WHERE look_at IS NOT NULL;

CREATE TABLE messages (
    tenant     TEXT    NOT NULL,
    subject    TEXT    NOT NULL,
    session_id TEXT    NOT NULL,
    sequence   INTEGER NOT NULL, -- 1 for the first of the session, without gaps
    run_id     TEXT    NOT NULL,
    created_at INTEGER NOT NULL,
    role       TEXT    NOT NULL,
    complete   INTEGER NOT NULL,
    parts      TEXT    NOT NULL, -- JSON array
    PRIMARY KEY (tenant, subject, session_id, sequence),
    FOREIGN KEY (tenant, subject, session_id) REFERENCES sessions ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

-- No foreign key to sessions: a run is recorded when it begins, and the session that it makes
-- only exists when it ends. Whoever deletes a session deletes its runs in the same transaction.
CREATE TABLE runs (
    tenant           TEXT    NOT NULL,
    subject          TEXT    NOT NULL,
    id               TEXT    NOT NULL,
    session_id       TEXT,
    kept             INTEGER NOT NULL, -- 1: wrote messages, and lives as long as they; 0: for a
                                       -- set time
    agent            TEXT    NOT NULL,
    pack_version     TEXT    NOT NULL,
    pack_digest      TEXT    NOT NULL,
    model            TEXT    NOT NULL,
    status           TEXT    NOT NULL,
    stop_reason      TEXT,             -- JSON
    failure_code     TEXT,
    failure_message  TEXT,
    input_tokens     INTEGER NOT NULL,
    output_tokens    INTEGER NOT NULL,
    cached_tokens    INTEGER NOT NULL,
    reasoning_tokens INTEGER NOT NULL,
    cost_usd         REAL,
    started_at       INTEGER NOT NULL,
    finished_at      INTEGER,
    events           TEXT,             -- JSON array; none where the conversation is not kept
    PRIMARY KEY (tenant, subject, id)
) STRICT;

-- For the deletion of a session, which finds other runs through their messages.
CREATE INDEX runs_by_session ON runs (tenant, subject, session_id)
    WHERE kept = 0 AND session_id IS NOT NULL;
-- For the sweep.
CREATE INDEX runs_by_end ON runs (finished_at) WHERE kept = 0 AND finished_at IS NOT NULL;
-- For the start: whose process died.
CREATE INDEX runs_running ON runs (status) WHERE status = 'running';

-- What the readiness check writes, reads and takes away again.
CREATE TABLE probe (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    filling BLOB    NOT NULL
) STRICT;
