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

-- name: schema_2
DROP TABLE job;
CREATE TABLE common (id INTEGER PRIMARY KEY, document TEXT NOT NULL UNIQUE);
CREATE TABLE job (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    number INTEGER NOT NULL,
    array_index INTEGER,
    name TEXT NOT NULL,
    command TEXT NOT NULL,
    submitted_at TEXT NOT NULL,
    earliest_at TEXT NOT NULL,
    deadline_at TEXT NOT NULL,
    common INTEGER NOT NULL REFERENCES common (id),
    words TEXT NOT NULL,
    status TEXT NOT NULL,
    over INTEGER NOT NULL,
    start_at TEXT,
    changed_at TEXT NOT NULL,
    version INTEGER NOT NULL,
    standing TEXT NOT NULL,
    wish TEXT NOT NULL,
    run_ids TEXT NOT NULL,
    failures INTEGER NOT NULL,
    resumes INTEGER NOT NULL,
    worked_s REAL NOT NULL,
    duration_s REAL NOT NULL,
    duration_source TEXT NOT NULL,
    progress_share REAL
);
CREATE INDEX job_by_number ON job (number);
CREATE INDEX job_by_status ON job (status, changed_at);
CREATE INDEX job_unfinished ON job (place, id, version) WHERE over = 0;
CREATE INDEX job_listed ON job (
    status IN ('running', 'pausing') DESC, status = 'paused' DESC, status = 'waiting' DESC, start_at, place
) WHERE over = 0;

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

-- name: last_line
SELECT line FROM event ORDER BY place DESC LIMIT 1;

-- name: has_no_jobs
SELECT NOT EXISTS (SELECT 1 FROM job) AND EXISTS (SELECT 1 FROM event);

-- name: forget_events
DELETE FROM event;

-- name: forget_jobs
DELETE FROM job;

-- name: forget_applied
UPDATE applied SET bytes = 0;

-- name: events
SELECT line FROM event WHERE job_id = ? ORDER BY version;

-- name: keep_common
INSERT OR IGNORE INTO common (document) VALUES (?);

-- name: keep_job
INSERT INTO job (
    id, number, array_index, name, command, submitted_at, earliest_at, deadline_at, common, words,
    status, over, start_at, changed_at, version, standing, wish, run_ids, failures, resumes,
    worked_s, duration_s, duration_source, progress_share
) VALUES (
    :id, :number, :array_index, :name, :command, :submitted_at, :earliest_at, :deadline_at,
    (SELECT id FROM common WHERE document = :common), :words,
    :status, :over, :start_at, :changed_at, :version, :standing, :wish, :run_ids, :failures, :resumes,
    :worked_s, :duration_s, :duration_source, :progress_share
);

-- name: change_job
UPDATE job SET
    status = :status, over = :over, start_at = :start_at, changed_at = :changed_at, version = :version,
    standing = :standing, wish = :wish, run_ids = :run_ids, failures = :failures, resumes = :resumes,
    worked_s = :worked_s, duration_s = :duration_s, duration_source = :duration_source, progress_share = :progress_share
WHERE id = :id;

-- name: version
SELECT version FROM job WHERE id = ?;

-- name: jobs
SELECT job.id, array_index, name, command, submitted_at, earliest_at, deadline_at, common.document,
    standing, version, wish, run_ids, failures, resumes, worked_s, duration_s, duration_source, progress_share, changed_at
FROM job JOIN common ON common.id = job.common WHERE job.id IN (SELECT value FROM json_each(?));

-- name: unfinished
SELECT id, version FROM job WHERE over = 0 ORDER BY place;

-- name: numbered
SELECT id, version FROM job WHERE number = ? ORDER BY place;

-- name: counts
SELECT status, COUNT(*) FROM job GROUP BY status;

-- name: active
SELECT id, version FROM job WHERE over = 0 AND (:status = '' OR status = :status) AND (:words = '%%' OR words LIKE :words ESCAPE '\')
ORDER BY status IN ('running', 'pausing') DESC, status = 'paused' DESC, status = 'waiting' DESC, start_at, place
LIMIT :limit OFFSET :offset;

-- name: ended
SELECT id, version FROM job WHERE status = 'ended' AND (:words = '%%' OR words LIKE :words ESCAPE '\')
ORDER BY changed_at DESC, place DESC LIMIT :limit OFFSET :offset;

-- name: lease
SELECT holder, until_at FROM lease;

-- name: drop_lease
DELETE FROM lease;

-- name: drop_lease_of
DELETE FROM lease WHERE holder = ?;

-- name: keep_lease
INSERT INTO lease (holder, until_at) VALUES (?, ?);
