-- +goose Up
-- A resource that was put, or is to be put, on the open portal.
CREATE TABLE opendata_dataset (
  resource        TEXT PRIMARY KEY,          -- catalog id
  code            TEXT NOT NULL,
  name            TEXT NOT NULL,
  body            TEXT NOT NULL,
  body_name       TEXT NOT NULL,
  district        TEXT NOT NULL,
  slug            TEXT NOT NULL UNIQUE,
  kind            TEXT NOT NULL,             -- data, listing
  state           TEXT NOT NULL,             -- building, published, held, withdrawn
  assessment      TEXT NOT NULL,
  catalog_version BIGINT NOT NULL,
  version         BIGINT NOT NULL DEFAULT 0, -- of the newest bundle
  source_no       BIGINT NOT NULL DEFAULT 0, -- warehouse batch that the newest bundle ends with
  data_at         BIGINT NOT NULL DEFAULT 0, -- when the data last changed
  rows            BIGINT NOT NULL DEFAULT 0,
  held            TEXT NOT NULL DEFAULT '',  -- JSON: why the newest data was not published
  published_by    TEXT NOT NULL,
  published_name  TEXT NOT NULL,
  published_at    BIGINT NOT NULL,
  withdrawn_at    BIGINT NOT NULL DEFAULT 0,
  withdrawn_by    TEXT NOT NULL DEFAULT '',
  withdrawn_why   TEXT NOT NULL DEFAULT ''
);
CREATE INDEX opendata_dataset_state ON opendata_dataset (state);

-- A slug stays its dataset's for ever, also after withdrawal.
CREATE TABLE opendata_slug (
  slug     TEXT PRIMARY KEY,
  resource TEXT NOT NULL
);

-- What was decided before opening: treatment of each item, quasi-identifiers, risk.
CREATE TABLE opendata_assessment (
  id              TEXT PRIMARY KEY,
  resource        TEXT NOT NULL,
  catalog_version BIGINT NOT NULL,
  made_by         TEXT NOT NULL,
  made_name       TEXT NOT NULL,
  made_at         BIGINT NOT NULL,
  content         TEXT NOT NULL,             -- JSON
  findings        TEXT NOT NULL              -- JSON
);
CREATE INDEX opendata_assessment_resource ON opendata_assessment (resource, made_at);

CREATE TABLE opendata_version (
  resource        TEXT NOT NULL,
  version         BIGINT NOT NULL,
  at              BIGINT NOT NULL,
  catalog_version BIGINT NOT NULL,
  source_no       BIGINT NOT NULL,
  rows            BIGINT NOT NULL,
  bytes           BIGINT NOT NULL,
  digests         TEXT NOT NULL,             -- JSON: format to SHA-256
  PRIMARY KEY (resource, version)
);

-- +goose Down
DROP TABLE opendata_version;
DROP TABLE opendata_assessment;
DROP TABLE opendata_slug;
DROP TABLE opendata_dataset;
