-- +goose Up
-- One row a resource: where its rows stand and what shape they have.
CREATE TABLE warehouse_table (
  resource   TEXT PRIMARY KEY,
  generation BIGINT NOT NULL,           -- suffix of the physical table; a new one at replace, rebuild, rewrite
  version    BIGINT NOT NULL,           -- counts every change of this row except row counts
  columns    TEXT NOT NULL,             -- JSON of []Column
  keys       TEXT NOT NULL,             -- JSON of []string
  indexes    TEXT NOT NULL DEFAULT '[]',-- JSON of [][]string beside the key
  rows       BIGINT NOT NULL DEFAULT 0,
  next_batch BIGINT NOT NULL DEFAULT 1,
  reset_no   BIGINT NOT NULL DEFAULT 0, -- batch number of the last replace: older tokens start over
  changed_no BIGINT NOT NULL DEFAULT 0  -- batch number of the last upsert or delete that touched a row
);

-- One row a batch, written in the transaction that wrote its rows.
CREATE TABLE warehouse_batch (
  resource TEXT NOT NULL,
  batch    TEXT NOT NULL,
  no       BIGINT NOT NULL,
  mode     TEXT NOT NULL,
  at       BIGINT NOT NULL,
  given    BIGINT NOT NULL,
  inserted BIGINT NOT NULL,
  updated  BIGINT NOT NULL,
  deleted  BIGINT NOT NULL,
  missed   BIGINT NOT NULL,
  erased   BOOLEAN NOT NULL DEFAULT FALSE,
  PRIMARY KEY (resource, batch)
);
CREATE UNIQUE INDEX warehouse_batch_no ON warehouse_batch (resource, no);

-- Tables that no generation points to any more, to be dropped when no stream reads them.
CREATE TABLE warehouse_garbage (
  name  TEXT PRIMARY KEY,
  since BIGINT NOT NULL
);

-- +goose Down
DROP TABLE warehouse_garbage;
DROP TABLE warehouse_batch;
DROP TABLE warehouse_table;
