-- +goose Up
-- One row a batch, from the upload to the receipt. The raw bytes are the object.
CREATE TABLE intake_batch (
  id            TEXT PRIMARY KEY,
  resource      TEXT NOT NULL,
  code          TEXT NOT NULL,
  name          TEXT NOT NULL,
  version       BIGINT NOT NULL,
  body          TEXT NOT NULL,
  body_name     TEXT NOT NULL,
  district      TEXT NOT NULL,
  mode          TEXT NOT NULL,
  state         TEXT NOT NULL,
  channel       TEXT NOT NULL DEFAULT '',
  corrects      TEXT NOT NULL DEFAULT '',
  source        TEXT NOT NULL,
  sender        TEXT NOT NULL,
  sender_name   TEXT NOT NULL,
  file_name     TEXT NOT NULL,
  content_type  TEXT NOT NULL,
  object        TEXT NOT NULL,
  digest        TEXT NOT NULL,
  size          BIGINT NOT NULL,
  layout        TEXT NOT NULL,
  mapping       TEXT NOT NULL,
  ignored       TEXT NOT NULL DEFAULT '[]',
  secrecy       TEXT NOT NULL,
  request_key   TEXT,
  prepared      BOOLEAN NOT NULL DEFAULT FALSE,
  total         BIGINT NOT NULL DEFAULT 0,
  accepted      BIGINT NOT NULL DEFAULT 0,
  rejected      BIGINT NOT NULL DEFAULT 0,
  corrected     BIGINT NOT NULL DEFAULT 0,
  inserted      BIGINT NOT NULL DEFAULT 0,
  updated       BIGINT NOT NULL DEFAULT 0,
  deleted       BIGINT NOT NULL DEFAULT 0,
  missed        BIGINT NOT NULL DEFAULT 0,
  failure       TEXT NOT NULL DEFAULT '',
  due           BIGINT NOT NULL DEFAULT 0,
  audit_seq     BIGINT NOT NULL DEFAULT -1,
  received      BIGINT NOT NULL,
  finished      BIGINT NOT NULL DEFAULT 0,
  lease_holder  TEXT NOT NULL DEFAULT '',
  lease_until   BIGINT NOT NULL DEFAULT 0,
  read_rows     BIGINT NOT NULL DEFAULT 0,  -- how far a load under way has come
  good_rows     BIGINT NOT NULL DEFAULT 0,
  bad_rows      BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX intake_batch_resource ON intake_batch (resource, received);
CREATE INDEX intake_batch_body ON intake_batch (body, received);
CREATE INDEX intake_batch_state ON intake_batch (state);
CREATE INDEX intake_batch_corrects ON intake_batch (corrects);
CREATE UNIQUE INDEX intake_batch_request ON intake_batch (sender, resource, request_key);

-- Whose turn it is to load a resource: one batch at a time, on whichever node.
CREATE TABLE intake_turn (
  resource TEXT PRIMARY KEY,
  batch    TEXT NOT NULL,
  until    BIGINT NOT NULL
);

-- Whose steward was told that data had not come by a moment: once per lateness (FZM-13, FS-42).
CREATE TABLE intake_late (
  code TEXT   NOT NULL,
  due  BIGINT NOT NULL,
  at   BIGINT NOT NULL,
  PRIMARY KEY (code, due)
);

-- A channel lets batches change or delete stored rows (FZM-29.3).
CREATE TABLE intake_channel (
  id             TEXT PRIMARY KEY,
  resource       TEXT NOT NULL,
  code           TEXT NOT NULL,
  name           TEXT NOT NULL,
  body           TEXT NOT NULL,
  body_name      TEXT NOT NULL,
  district       TEXT NOT NULL,
  modes          TEXT NOT NULL,
  reason         TEXT NOT NULL,
  state          TEXT NOT NULL,
  requested_by   TEXT NOT NULL,
  requested_name TEXT NOT NULL,
  requested_at   BIGINT NOT NULL,
  decided_by     TEXT NOT NULL DEFAULT '',
  decided_name   TEXT NOT NULL DEFAULT '',
  decided_at     BIGINT NOT NULL DEFAULT 0,
  decision       TEXT NOT NULL DEFAULT '',
  until          BIGINT NOT NULL
);
CREATE INDEX intake_channel_resource ON intake_channel (resource, state);
CREATE INDEX intake_channel_body ON intake_channel (body);

-- +goose Down
DROP TABLE intake_turn;
DROP TABLE intake_channel;
DROP TABLE intake_late;
DROP TABLE intake_batch;
