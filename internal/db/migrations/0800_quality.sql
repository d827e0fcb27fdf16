-- +goose Up
-- Which rows of a batch failed, and which of them still wait for a correction.
-- Row numbers are coded as differences, varint; the rows themselves are objects.
CREATE TABLE quality_ledger (
  batch     TEXT PRIMARY KEY,
  resource  TEXT NOT NULL,
  body      TEXT NOT NULL,
  rejected  BIGINT NOT NULL,
  open      BIGINT NOT NULL,
  rows      BYTEA NOT NULL,
  open_rows BYTEA NOT NULL,
  columns   TEXT NOT NULL,
  noted     BIGINT NOT NULL
);
CREATE INDEX quality_ledger_resource ON quality_ledger (resource);
CREATE INDEX quality_ledger_body ON quality_ledger (body, open);

-- Problem rows are kept in encrypted objects of some hundred rows each.
CREATE TABLE quality_chunk (
  batch     TEXT NOT NULL,
  seq       BIGINT NOT NULL,
  first_row BIGINT NOT NULL,
  last_row  BIGINT NOT NULL,
  count     BIGINT NOT NULL,
  object    TEXT NOT NULL,
  PRIMARY KEY (batch, seq)
);

-- How often each rule failed on each item.
CREATE TABLE quality_tally (
  batch TEXT NOT NULL,
  item  TEXT NOT NULL,
  code  TEXT NOT NULL,
  count BIGINT NOT NULL,
  PRIMARY KEY (batch, item, code)
);

-- +goose Down
DROP TABLE quality_tally;
DROP TABLE quality_chunk;
DROP TABLE quality_ledger;
