-- +goose Up
-- The queue proper, as maragu.dev/goqite wants it; a message is the id of a job.
-- +only sqlite
CREATE TABLE goqite (
  id       TEXT PRIMARY KEY DEFAULT ('m_' || lower(hex(randomblob(16)))),
  created  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  updated  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  queue    TEXT NOT NULL,
  body     BLOB NOT NULL,
  timeout  TEXT NOT NULL DEFAULT (strftime('%Y-%m-%dT%H:%M:%fZ')),
  received INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0
) STRICT;
-- +end
-- +only postgres
CREATE TABLE goqite (
  id       TEXT PRIMARY KEY DEFAULT ('m_' || replace(gen_random_uuid()::text, '-', '')),
  created  TIMESTAMPTZ NOT NULL DEFAULT now(),
  updated  TIMESTAMPTZ NOT NULL DEFAULT now(),
  queue    TEXT NOT NULL,
  body     BYTEA NOT NULL,
  timeout  TIMESTAMPTZ NOT NULL DEFAULT now(),
  received INTEGER NOT NULL DEFAULT 0,
  priority INTEGER NOT NULL DEFAULT 0
);
-- +end
CREATE INDEX goqite_queue_priority_created_idx ON goqite (queue, priority DESC, created);

-- One row a job: waiting (for its due time or its next attempt), queued (a
-- message is out), running, done, dead (gave up; people see it and may retry).
CREATE TABLE jobs_job (
  id       TEXT PRIMARY KEY,
  kind     TEXT NOT NULL,
  key      TEXT NOT NULL,
  payload  TEXT NOT NULL,
  state    TEXT NOT NULL,
  due      BIGINT NOT NULL,
  attempts BIGINT NOT NULL DEFAULT 0,
  lease    BIGINT NOT NULL DEFAULT 0,
  message  TEXT NOT NULL DEFAULT '',
  error    TEXT NOT NULL DEFAULT '',
  created  BIGINT NOT NULL,
  ended    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX jobs_job_state ON jobs_job (state, due);
CREATE UNIQUE INDEX jobs_job_key ON jobs_job (kind, key) WHERE key <> '';

-- Recurring jobs and when each is next due.
CREATE TABLE jobs_recurring (
  kind TEXT PRIMARY KEY,
  next BIGINT NOT NULL
);

-- +goose Down
DROP TABLE jobs_recurring;
DROP TABLE jobs_job;
DROP TABLE goqite;
