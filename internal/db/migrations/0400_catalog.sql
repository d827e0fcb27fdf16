-- +goose Up
-- One row a resource: what never changes, and which version is newest and in force.
CREATE TABLE catalog_resource (
  id          TEXT PRIMARY KEY,
  code        TEXT NOT NULL UNIQUE,
  body        TEXT NOT NULL,
  kind        TEXT NOT NULL,
  version     BIGINT NOT NULL,          -- newest
  published   BIGINT NOT NULL DEFAULT 0, -- in force; 0 none
  next_column BIGINT NOT NULL DEFAULT 1,
  withdrawn   BOOLEAN NOT NULL DEFAULT FALSE,
  created_by  TEXT NOT NULL,
  created_at  BIGINT NOT NULL,
  updated_at  BIGINT NOT NULL
);
CREATE INDEX catalog_resource_body ON catalog_resource (body, updated_at);
CREATE INDEX catalog_resource_updated ON catalog_resource (updated_at);

-- One row a version: the document, and of it what lists filter by.
CREATE TABLE catalog_version (
  resource     TEXT NOT NULL REFERENCES catalog_resource (id) ON DELETE CASCADE,
  version      BIGINT NOT NULL,
  state        TEXT NOT NULL,
  revision     BIGINT NOT NULL,
  name         TEXT NOT NULL,
  body_name    TEXT NOT NULL,
  sharing      TEXT NOT NULL,
  opening      TEXT NOT NULL,
  cycle        TEXT NOT NULL,
  theme        TEXT NOT NULL,
  region       TEXT NOT NULL,
  grade        BIGINT NOT NULL,
  doc          TEXT NOT NULL,
  updated_at   BIGINT NOT NULL,
  published_at BIGINT NOT NULL DEFAULT 0,
  PRIMARY KEY (resource, version)
);
CREATE INDEX catalog_version_state ON catalog_version (state, updated_at);

-- Item names of the newest version, for finding duplicates (FS-5.2).
CREATE TABLE catalog_item (
  resource TEXT NOT NULL REFERENCES catalog_resource (id) ON DELETE CASCADE,
  name     TEXT NOT NULL,
  PRIMARY KEY (resource, name)
);
CREATE INDEX catalog_item_name ON catalog_item (name);

-- Last serial number given under a front code. Never goes back.
CREATE TABLE catalog_serial (
  prefix TEXT PRIMARY KEY,
  last   BIGINT NOT NULL
);

-- Third level of the classification (目): named heads of base and theme classes, a head a body in the third class.
CREATE TABLE catalog_class_head (
  class TEXT NOT NULL,
  item  TEXT NOT NULL,
  head  TEXT NOT NULL,
  name  TEXT NOT NULL,
  body  TEXT NOT NULL DEFAULT '',
  PRIMARY KEY (class, item, head)
);

-- The change sequence that search and caches follow: one row a change, numbers in commit order.
CREATE TABLE catalog_sequence (
  one BIGINT PRIMARY KEY,
  seq BIGINT NOT NULL
);
INSERT INTO catalog_sequence (one, seq) VALUES (1, 0);
CREATE TABLE catalog_change (
  seq      BIGINT PRIMARY KEY,
  resource TEXT NOT NULL,
  at       BIGINT NOT NULL
);

-- History of a resource, shown on its page. The proof is the audit log; this is its readable side.
CREATE TABLE catalog_event (
  id       TEXT PRIMARY KEY,
  resource TEXT NOT NULL REFERENCES catalog_resource (id) ON DELETE CASCADE,
  version  BIGINT NOT NULL,
  at       BIGINT NOT NULL,
  action   TEXT NOT NULL,
  actor    TEXT NOT NULL,
  name     TEXT NOT NULL,
  post     TEXT NOT NULL,
  note     TEXT NOT NULL
);
CREATE INDEX catalog_event_resource ON catalog_event (resource, at);

-- Uploads under preview: a workbook or a sample file, read and waiting for its sender's word.
CREATE TABLE catalog_upload (
  id         TEXT PRIMARY KEY,
  kind       TEXT NOT NULL,             -- workbook, sample
  actor      TEXT NOT NULL,
  body       TEXT NOT NULL,
  file_name  TEXT NOT NULL,
  digest     TEXT NOT NULL,             -- SHA-256 of the file
  doc        TEXT NOT NULL,
  problems   BIGINT NOT NULL,
  created_at BIGINT NOT NULL,
  done_at    BIGINT NOT NULL DEFAULT 0
);
CREATE INDEX catalog_upload_actor ON catalog_upload (actor, created_at);

-- +goose Down
DROP TABLE catalog_upload;
DROP TABLE catalog_event;
DROP TABLE catalog_change;
DROP TABLE catalog_sequence;
DROP TABLE catalog_class_head;
DROP TABLE catalog_serial;
DROP TABLE catalog_item;
DROP TABLE catalog_version;
DROP TABLE catalog_resource;
