-- +goose Up
-- One row a message and reader.
CREATE TABLE notice_message (
  id          TEXT PRIMARY KEY,
  person      TEXT NOT NULL,             -- account id
  once_key    TEXT NOT NULL,             -- tells this person at most once; the id where it may be told again
  kind        TEXT NOT NULL,
  word_values TEXT NOT NULL,             -- JSON: variable → both languages
  about_kind  TEXT NOT NULL,
  about_id    TEXT NOT NULL,
  clauses     TEXT NOT NULL,
  body        TEXT NOT NULL,             -- for whose post it came, '' for the person
  post        TEXT NOT NULL,
  at          BIGINT NOT NULL,
  read_at     BIGINT NOT NULL DEFAULT 0,
  UNIQUE (person, once_key)
);
CREATE INDEX notice_message_person ON notice_message (person, at);
CREATE INDEX notice_message_unread ON notice_message (person) WHERE read_at = 0;

-- +goose Down
DROP TABLE notice_message;
