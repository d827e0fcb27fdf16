-- +goose Up
-- The State Council's notices that the authority imported; the newest of a year counts.
CREATE TABLE workday_notice (
  id          TEXT PRIMARY KEY,
  year        BIGINT NOT NULL,
  paper       TEXT NOT NULL,
  days        TEXT NOT NULL,
  imported_at BIGINT NOT NULL,
  imported_by TEXT NOT NULL
);
CREATE INDEX workday_notice_year ON workday_notice (year, imported_at);

-- +goose Down
DROP TABLE workday_notice;
