-- +goose Up
CREATE TABLE sharing_request (
  id            TEXT PRIMARY KEY,
  number        TEXT NOT NULL UNIQUE,
  case_id       TEXT NOT NULL,            -- '' where access was had at once
  kind          TEXT NOT NULL,            -- immediate, application, conditional, renewal, negotiation
  state         TEXT NOT NULL,            -- pending, returned, granted, refused, withdrawn, settled
  resource      TEXT NOT NULL,
  resource_name TEXT NOT NULL,
  consumer      TEXT NOT NULL,
  provider      TEXT NOT NULL,
  district      TEXT NOT NULL,
  mode          TEXT NOT NULL,
  maker         TEXT NOT NULL,
  grant_id      TEXT NOT NULL DEFAULT '',
  created_at    BIGINT NOT NULL,
  decided_at    BIGINT NOT NULL DEFAULT 0,
  detail        TEXT NOT NULL
);
CREATE INDEX sharing_request_case ON sharing_request (case_id);
CREATE INDEX sharing_request_resource ON sharing_request (resource, created_at);
CREATE INDEX sharing_request_consumer ON sharing_request (consumer, created_at);
CREATE INDEX sharing_request_provider ON sharing_request (provider, created_at);
CREATE INDEX sharing_request_grant ON sharing_request (grant_id);

-- +goose Down
DROP TABLE sharing_request;
