-- +goose Up
-- What the store says of itself: the city it was made for, the time of its making.
CREATE TABLE db_fact (
  key   TEXT PRIMARY KEY,
  value TEXT NOT NULL
);

-- +goose Down
DROP TABLE db_fact;
