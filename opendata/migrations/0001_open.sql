-- +goose Up
-- The open store: what the portal reads, and nothing else. A dataset's page is
-- one JSON document; the columns beside it serve lists and lookups.
CREATE TABLE open_dataset (
  id      TEXT PRIMARY KEY,
  slug    TEXT NOT NULL UNIQUE,
  state   TEXT NOT NULL,    -- published, withdrawn
  seq     BIGINT NOT NULL,  -- change sequence, for indexes that follow
  version BIGINT NOT NULL,
  content TEXT NOT NULL
);
CREATE UNIQUE INDEX open_dataset_seq ON open_dataset (seq);

CREATE TABLE open_counter (
  name  TEXT PRIMARY KEY,
  value BIGINT NOT NULL
);

-- Downloads and calls by day (Beijing) and form. audited is how many of them an
-- entry of the log accounts for.
CREATE TABLE open_download (
  dataset TEXT NOT NULL,
  version BIGINT NOT NULL,
  form    TEXT NOT NULL,
  day     TEXT NOT NULL,
  n       BIGINT NOT NULL,
  bytes   BIGINT NOT NULL,
  audited BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (dataset, version, form, day)
);

-- +goose Down
DROP TABLE open_download;
DROP TABLE open_counter;
DROP TABLE open_dataset;
