-- +goose Up
CREATE TABLE casework_counter (
  prefix TEXT PRIMARY KEY,
  n      BIGINT NOT NULL
);

CREATE TABLE casework_case (
  id           TEXT PRIMARY KEY,
  number       TEXT NOT NULL UNIQUE,
  kind         TEXT NOT NULL,
  title        TEXT NOT NULL,
  state        TEXT NOT NULL,              -- open, returned, closed
  outcome      TEXT NOT NULL DEFAULT '',   -- approved, refused, withdrawn
  step         TEXT NOT NULL,              -- key of the step under way
  subject_kind TEXT NOT NULL,
  subject      TEXT NOT NULL,
  resource     TEXT NOT NULL DEFAULT '',
  district     TEXT NOT NULL DEFAULT '',
  maker        TEXT NOT NULL,
  maker_name   TEXT NOT NULL,
  makers       TEXT NOT NULL,              -- ids of all who drafted or sent any round, separated by blanks
  received_on  TEXT NOT NULL,
  opened_at    BIGINT NOT NULL,
  closed_at    BIGINT NOT NULL DEFAULT 0,
  due_on       TEXT NOT NULL DEFAULT '',
  due_at       BIGINT NOT NULL DEFAULT 0,
  reason       TEXT NOT NULL DEFAULT '',
  procedure    TEXT NOT NULL,
  profile      TEXT NOT NULL,
  parent       TEXT NOT NULL DEFAULT '',
  revision     BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX casework_case_subject ON casework_case (subject_kind, subject);
CREATE INDEX casework_case_state ON casework_case (state, kind, opened_at);
CREATE INDEX casework_case_resource ON casework_case (resource);

CREATE TABLE casework_party (
  case_id   TEXT NOT NULL REFERENCES casework_case (id),
  relation  TEXT NOT NULL,
  body      TEXT NOT NULL,
  body_name TEXT NOT NULL,
  PRIMARY KEY (case_id, relation)
);
CREATE INDEX casework_party_body ON casework_party (body);

CREATE TABLE casework_task (
  id         TEXT PRIMARY KEY,
  case_id    TEXT NOT NULL REFERENCES casework_case (id),
  step       TEXT NOT NULL,
  step_no    BIGINT NOT NULL,
  kind       TEXT NOT NULL,               -- of the step, or mend
  post       TEXT NOT NULL,
  relation   TEXT NOT NULL,
  body       TEXT NOT NULL,
  clock      TEXT NOT NULL,
  clauses    TEXT NOT NULL,
  state      TEXT NOT NULL,               -- open, done, cancelled
  opened_at  BIGINT NOT NULL,
  due_on     TEXT NOT NULL DEFAULT '',
  due_at     BIGINT NOT NULL DEFAULT 0,
  decided_at BIGINT NOT NULL DEFAULT 0,
  actor      TEXT NOT NULL DEFAULT '',
  actor_name TEXT NOT NULL DEFAULT '',
  outcome    TEXT NOT NULL DEFAULT '',
  reason     TEXT NOT NULL DEFAULT '',
  late       BOOLEAN NOT NULL DEFAULT FALSE
);
CREATE INDEX casework_task_case ON casework_task (case_id, step_no);
CREATE INDEX casework_task_todo ON casework_task (state, body, post, due_at);

CREATE TABLE casework_clock (
  case_id     TEXT NOT NULL REFERENCES casework_case (id),
  name        TEXT NOT NULL,              -- answer, share
  state       TEXT NOT NULL,              -- running, paused, stopped
  budget      BIGINT NOT NULL,            -- working days, extensions included
  started_on  TEXT NOT NULL,
  due_on      TEXT NOT NULL,              -- '' while paused
  due_at      BIGINT NOT NULL,
  provisional BOOLEAN NOT NULL,
  calendar    TEXT NOT NULL,
  stopped_on  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (case_id, name)
);

CREATE TABLE casework_clock_entry (
  id       TEXT PRIMARY KEY,
  case_id  TEXT NOT NULL REFERENCES casework_case (id),
  name     TEXT NOT NULL,
  kind     TEXT NOT NULL,                 -- start, pause, resume, extend, recount, stop
  on_date  TEXT NOT NULL,
  days     BIGINT NOT NULL,
  due_on   TEXT NOT NULL,                 -- deadline after the entry
  reason   TEXT NOT NULL,
  clauses  TEXT NOT NULL,
  calendar TEXT NOT NULL,
  actor    TEXT NOT NULL,
  at       BIGINT NOT NULL
);
CREATE INDEX casework_clock_entry_case ON casework_clock_entry (case_id, name, id);

CREATE TABLE casework_event (
  id         TEXT PRIMARY KEY,
  case_id    TEXT NOT NULL REFERENCES casework_case (id),
  at         BIGINT NOT NULL,
  kind       TEXT NOT NULL,
  step       TEXT NOT NULL,
  actor      TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  body       TEXT NOT NULL,
  body_name  TEXT NOT NULL,
  post       TEXT NOT NULL,
  outcome    TEXT NOT NULL,
  reason     TEXT NOT NULL,
  clauses    TEXT NOT NULL,
  facts      TEXT NOT NULL
);
CREATE INDEX casework_event_case ON casework_event (case_id, id);

CREATE TABLE casework_reminder (
  case_id TEXT NOT NULL REFERENCES casework_case (id),
  step    TEXT NOT NULL,
  kind    TEXT NOT NULL,                  -- due_soon, overdue, escalation
  at      BIGINT NOT NULL,
  due_on  TEXT NOT NULL,
  PRIMARY KEY (case_id, step, kind)
);

CREATE TABLE casework_attachment (
  id         TEXT PRIMARY KEY,
  case_id    TEXT NOT NULL REFERENCES casework_case (id),
  name       TEXT NOT NULL,
  media      TEXT NOT NULL,
  size       BIGINT NOT NULL,
  digest     TEXT NOT NULL,               -- SHA-256 of the bytes
  object     TEXT NOT NULL,               -- id of the object that holds them
  actor      TEXT NOT NULL,
  actor_name TEXT NOT NULL,
  body_name  TEXT NOT NULL,
  at         BIGINT NOT NULL
);
CREATE INDEX casework_attachment_case ON casework_attachment (case_id);

CREATE TABLE casework_draft (
  owner   TEXT NOT NULL,
  kind    TEXT NOT NULL,
  subject TEXT NOT NULL,
  body    TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (owner, kind, subject)
);

-- +goose Down
DROP TABLE casework_draft;
DROP TABLE casework_attachment;
DROP TABLE casework_reminder;
DROP TABLE casework_event;
DROP TABLE casework_clock_entry;
DROP TABLE casework_clock;
DROP TABLE casework_task;
DROP TABLE casework_party;
DROP TABLE casework_case;
DROP TABLE casework_counter;
