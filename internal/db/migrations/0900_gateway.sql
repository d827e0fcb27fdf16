-- +goose Up
-- One row; its row lock puts changes of grants into one order, so that a node
-- that has seen change n has seen every change before it.
CREATE TABLE gateway_clock (
  id  BIGINT PRIMARY KEY,
  seq BIGINT NOT NULL
);
INSERT INTO gateway_clock (id, seq) VALUES (1, 0);

CREATE TABLE gateway_grant (
  id          TEXT   PRIMARY KEY,
  seq         BIGINT NOT NULL UNIQUE, -- gateway_clock at the last change
  state       TEXT   NOT NULL,        -- active, revoked
  resource    TEXT   NOT NULL,        -- code with its slash
  provider    TEXT   NOT NULL,        -- body
  client      TEXT   NOT NULL,        -- body
  mode        TEXT   NOT NULL,
  case_id     TEXT   NOT NULL,
  starts      BIGINT NOT NULL,
  expires     BIGINT NOT NULL,        -- 0: no end
  name        TEXT   NOT NULL,        -- of the resource
  number      TEXT   NOT NULL,        -- of the case, as people write it
  created     BIGINT NOT NULL,
  detail      TEXT   NOT NULL         -- the whole grant as JSON
);
CREATE INDEX gateway_grant_resource ON gateway_grant (resource, state);
CREATE INDEX gateway_grant_client ON gateway_grant (client, state);
CREATE INDEX gateway_grant_provider ON gateway_grant (provider, state);
CREATE INDEX gateway_grant_case ON gateway_grant (case_id);

-- Requests and rows a grant and a day, added up over the nodes.
CREATE TABLE gateway_quota (
  grant_id TEXT   NOT NULL,
  day      TEXT   NOT NULL, -- 2026-11-21 in the city's time
  requests BIGINT NOT NULL,
  rows_out BIGINT NOT NULL,
  PRIMARY KEY (grant_id, day)
);

-- Claims tried against verify, as keyed digests only, so that the same question
-- asked again costs nothing and guesses are counted.
CREATE TABLE gateway_claim (
  client   TEXT   NOT NULL, -- body
  resource TEXT   NOT NULL, -- code
  subject  TEXT   NOT NULL, -- digest of the key values
  item     TEXT   NOT NULL,
  claim    TEXT   NOT NULL, -- digest of the claimed value
  at       BIGINT NOT NULL,
  PRIMARY KEY (client, resource, subject, item, claim)
);
CREATE INDEX gateway_claim_at ON gateway_claim (at);
CREATE TABLE gateway_guess (
  client   TEXT   NOT NULL,
  resource TEXT   NOT NULL,
  subject  TEXT   NOT NULL,
  item     TEXT   NOT NULL,
  tried    BIGINT NOT NULL, -- different claims in the window
  since    BIGINT NOT NULL, -- begin of the window
  PRIMARY KEY (client, resource, subject, item)
);
CREATE INDEX gateway_guess_since ON gateway_guess (since);

-- Groups that statistics answered, a consumer and a resource.
CREATE TABLE gateway_ledger (
  client   TEXT   NOT NULL,
  resource TEXT   NOT NULL,
  version  BIGINT NOT NULL,
  PRIMARY KEY (client, resource)
);
CREATE TABLE gateway_group (
  client    TEXT   NOT NULL,
  resource  TEXT   NOT NULL,
  predicate TEXT   NOT NULL, -- canonical conditions of the group
  size      BIGINT NOT NULL, -- persons (or rows) in it when answered
  answers   TEXT   NOT NULL, -- JSON: measure -> value as answered
  grant_id  TEXT   NOT NULL,
  at        BIGINT NOT NULL,
  PRIMARY KEY (client, resource, predicate)
);
CREATE INDEX gateway_group_size ON gateway_group (client, resource, size);

-- What each obtain handed out, for watermarks and for resuming.
CREATE TABLE gateway_release (
  id       TEXT   PRIMARY KEY,
  grant_id TEXT   NOT NULL,
  client   TEXT   NOT NULL,
  resource TEXT   NOT NULL,
  format   TEXT   NOT NULL,
  at       BIGINT NOT NULL,
  by_name  TEXT   NOT NULL
);
CREATE INDEX gateway_release_at ON gateway_release (resource, at);

-- The usage log: data-service entries of the audit log, for the provider and the
-- consumer of the grant. One row a grant and step of the projection holds all
-- lines of that step, so that a busy service pays for few rows.
CREATE TABLE gateway_usage (
  until    BIGINT NOT NULL, -- the step ended before this audit entry
  grant_id TEXT   NOT NULL,
  provider TEXT   NOT NULL,
  consumer TEXT   NOT NULL,
  resource TEXT   NOT NULL,
  mode     TEXT   NOT NULL,
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  last_seq BIGINT NOT NULL,
  lines    BYTEA  NOT NULL, -- "<seq> <entry in canonical form>\n" each
  PRIMARY KEY (until, grant_id, provider, consumer)
);
-- +only postgres
-- Deflating the lines would cost more than all the rest of the step.
ALTER TABLE gateway_usage ALTER COLUMN lines SET STORAGE EXTERNAL;
-- +end
CREATE INDEX gateway_usage_grant ON gateway_usage (grant_id, until);
CREATE INDEX gateway_usage_provider ON gateway_usage (provider, until);
CREATE INDEX gateway_usage_consumer ON gateway_usage (consumer, until);
CREATE INDEX gateway_usage_at ON gateway_usage (last_at);
-- Its sums a day of the city.
CREATE TABLE gateway_usage_day (
  day      TEXT   NOT NULL, -- 2026-11-21
  grant_id TEXT   NOT NULL,
  provider TEXT   NOT NULL,
  consumer TEXT   NOT NULL,
  outcome  TEXT   NOT NULL,
  resource TEXT   NOT NULL,
  mode     TEXT   NOT NULL,
  requests BIGINT NOT NULL,
  rows_out BIGINT NOT NULL,
  PRIMARY KEY (day, grant_id, provider, consumer, outcome)
);
CREATE INDEX gateway_usage_day_provider ON gateway_usage_day (provider, day);
CREATE INDEX gateway_usage_day_consumer ON gateway_usage_day (consumer, day);
CREATE TABLE gateway_cursor (
  name TEXT   PRIMARY KEY,
  seq  BIGINT NOT NULL
);
-- How far a body has acknowledged its feed.
CREATE TABLE gateway_receipt (
  body TEXT   NOT NULL,
  side TEXT   NOT NULL, -- provider, consumer
  seq  BIGINT NOT NULL,
  at   BIGINT NOT NULL,
  by_name TEXT NOT NULL,
  PRIMARY KEY (body, side)
);

-- +goose Down
DROP TABLE gateway_receipt;
DROP TABLE gateway_cursor;
DROP TABLE gateway_usage_day;
DROP TABLE gateway_usage;
DROP TABLE gateway_release;
DROP TABLE gateway_group;
DROP TABLE gateway_ledger;
DROP TABLE gateway_guess;
DROP TABLE gateway_claim;
DROP TABLE gateway_quota;
DROP TABLE gateway_grant;
DROP TABLE gateway_clock;
