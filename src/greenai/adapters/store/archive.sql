-- The archive of every answer read: bodies once by hash, and who asked for what when.
-- Blocks are named; adapters/store/archive.py runs them. Times are ISO 8601 UTC with microseconds: they sort as text.

-- name: schema_1
CREATE TABLE body (
    sha256 TEXT PRIMARY KEY,
    compressed BLOB NOT NULL
);
CREATE TABLE answer (
    id INTEGER PRIMARY KEY,
    provider TEXT NOT NULL,
    zone TEXT NOT NULL,
    purpose TEXT NOT NULL,
    start_at TEXT NOT NULL,
    end_at TEXT NOT NULL,
    now_at TEXT NOT NULL,
    issued_slot_at TEXT NOT NULL,
    fetched_at TEXT NOT NULL
);
CREATE TABLE part (
    answer_id INTEGER NOT NULL REFERENCES answer (id),
    position INTEGER NOT NULL,
    url TEXT NOT NULL,
    sha256 TEXT NOT NULL REFERENCES body (sha256),
    fetched_at TEXT NOT NULL,
    PRIMARY KEY (answer_id, position)
);
CREATE INDEX answer_by_zone ON answer (provider, zone, purpose, fetched_at);
CREATE INDEX part_by_body ON part (sha256, fetched_at);

-- name: keep_answer
INSERT INTO answer (provider, zone, purpose, start_at, end_at, now_at, issued_slot_at, fetched_at)
VALUES (:provider, :zone, :purpose, :start_at, :end_at, :now_at, :issued_slot_at, :fetched_at);

-- name: has_body
SELECT 1 FROM body WHERE sha256 = ?;

-- name: keep_body
INSERT INTO body (sha256, compressed) VALUES (?, ?);

-- name: keep_part
INSERT INTO part (answer_id, position, url, sha256, fetched_at) VALUES (?, ?, ?, ?, ?);

-- name: answers
SELECT id, start_at, end_at, now_at FROM answer
WHERE provider = ? AND zone = ? AND purpose = ? AND fetched_at <= ?
ORDER BY fetched_at DESC, id DESC;

-- name: parts
SELECT part.url, part.sha256, part.fetched_at, body.compressed
FROM part JOIN body ON body.sha256 = part.sha256
WHERE part.answer_id = ? ORDER BY part.position;

-- name: payload
SELECT part.url, part.sha256, part.fetched_at, body.compressed
FROM body JOIN part ON part.sha256 = body.sha256
WHERE body.sha256 = ? ORDER BY part.fetched_at, part.answer_id LIMIT 1;
