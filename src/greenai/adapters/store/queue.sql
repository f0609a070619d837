-- What the log of the queue says, in a form that can be asked quickly. Times are ISO 8601 UTC.

-- name: schema_1
CREATE TABLE job (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    status TEXT NOT NULL,
    over INTEGER NOT NULL,
    start_at TEXT,
    changed_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    words TEXT NOT NULL,
    submission TEXT NOT NULL,
    state TEXT NOT NULL
);
CREATE INDEX job_by_number ON job (number);
CREATE INDEX job_unfinished ON job (place) WHERE over = 0;
CREATE INDEX job_by_status ON job (status, changed_at);
CREATE TABLE event (
    place INTEGER PRIMARY KEY,
    job_id TEXT NOT NULL,
    version INTEGER NOT NULL,
    line BLOB NOT NULL,
    UNIQUE (job_id, version)
);
CREATE TABLE applied (bytes INTEGER NOT NULL);
INSERT INTO applied (bytes) VALUES (0);
CREATE TABLE lease (holder TEXT NOT NULL, until_at TEXT NOT NULL);

-- name: applied
SELECT bytes FROM applied;

-- name: set_applied
UPDATE applied SET bytes = ?;

-- name: last_number
SELECT COALESCE(MAX(number), 0) FROM job;

-- name: keep_event
INSERT INTO event (job_id, version, line) VALUES (?, ?, ?);

-- name: lines
SELECT line FROM event ORDER BY place;

-- name: events
SELECT line FROM event WHERE job_id = ? ORDER BY version;

-- name: keep_job
INSERT INTO job (id, number, status, over, start_at, changed_at, version, words, submission, state)
VALUES (:id, :number, :status, :over, :start_at, :changed_at, :version, :words, :submission, :state);

-- name: change_job
UPDATE job SET status = :status, over = :over, start_at = :start_at, changed_at = :changed_at, version = :version, state = :state
WHERE id = :id;

-- name: version
SELECT version FROM job WHERE id = ?;

-- name: jobs
SELECT id, submission, state FROM job WHERE id IN (SELECT value FROM json_each(?));

-- name: unfinished
SELECT id, version FROM job WHERE over = 0 ORDER BY place;

-- name: numbered
SELECT id, version FROM job WHERE number = ? ORDER BY place;

-- name: counts
SELECT status, COUNT(*) FROM job GROUP BY status;

-- name: active
SELECT id, version FROM job WHERE over = 0 AND (:status = '' OR status = :status) AND words LIKE :words ESCAPE '\'
ORDER BY status IN ('running', 'pausing') DESC, status = 'paused' DESC, status = 'waiting' DESC, start_at, place
LIMIT :limit OFFSET :offset;

-- name: ended
SELECT id, version FROM job WHERE status = 'ended' AND words LIKE :words ESCAPE '\'
ORDER BY changed_at DESC, place DESC LIMIT :limit OFFSET :offset;

-- name: lease
SELECT holder, until_at FROM lease;

-- name: drop_lease
DELETE FROM lease;

-- name: drop_lease_of
DELETE FROM lease WHERE holder = ?;

-- name: keep_lease
INSERT INTO lease (holder, until_at) VALUES (?, ?);
