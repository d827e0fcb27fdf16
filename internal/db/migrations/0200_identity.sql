-- +goose Up
-- Accounts. secret is an argon2id string; never a plain word.
CREATE TABLE identity_account (
  id            TEXT PRIMARY KEY,
  login         TEXT NOT NULL UNIQUE,  -- lower case
  name          TEXT NOT NULL,
  kind          TEXT NOT NULL,         -- official, public
  state         TEXT NOT NULL,         -- active, disabled
  secret        TEXT NOT NULL,
  secret_at     BIGINT NOT NULL,
  must_change   BOOLEAN NOT NULL,
  initial_until BIGINT NOT NULL,       -- end of a one-time secret, 0 when none is set
  created_at    BIGINT NOT NULL,
  created_by    TEXT NOT NULL,
  last_login_at BIGINT NOT NULL
);

-- Secrets that may not be taken again.
CREATE TABLE identity_old_secret (
  account TEXT NOT NULL REFERENCES identity_account (id),
  secret  TEXT NOT NULL,
  at      BIGINT NOT NULL,
  PRIMARY KEY (account, at, secret)
);

-- Failed log-ins in a row, by login name (also of names that do not exist, so
-- that a lock tells nothing) and by address.
CREATE TABLE identity_attempt (
  subject TEXT PRIMARY KEY,            -- login:… or addr:…
  failed  BIGINT NOT NULL,
  until   BIGINT NOT NULL,             -- refused until then
  at      BIGINT NOT NULL
);

-- Sessions. token is the digest of what the cookie carries.
CREATE TABLE identity_session (
  id         TEXT PRIMARY KEY,
  token      TEXT NOT NULL UNIQUE,
  account    TEXT NOT NULL REFERENCES identity_account (id),
  holding    TEXT NOT NULL,            -- the holding acted under, '' before a choice
  factor     TEXT NOT NULL,            -- '', wanted, missing, given
  addr       TEXT NOT NULL,
  agent      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  seen_at    BIGINT NOT NULL,
  ended_at   BIGINT NOT NULL,
  ended_why  TEXT NOT NULL             -- '', logout, ended, secret, disabled, lapsed
);
CREATE INDEX identity_session_account ON identity_session (account, ended_at);

-- Second factors. sealed is the shared secret under the master key; step is the
-- newest time step of which a code was used.
CREATE TABLE identity_factor (
  account    TEXT PRIMARY KEY REFERENCES identity_account (id),
  sealed     TEXT NOT NULL,
  step       BIGINT NOT NULL,
  created_at BIGINT NOT NULL,          -- 0 until a first code confirms it
  used_at    BIGINT NOT NULL
);
CREATE TABLE identity_recovery (
  account TEXT NOT NULL REFERENCES identity_account (id),
  digest  TEXT NOT NULL,
  used_at BIGINT NOT NULL,             -- 0 = still good
  PRIMARY KEY (account, digest)
);

-- API clients and their keys. digest is SM3 of the key; the signing secret is
-- derived from the server's own key and is not stored.
CREATE TABLE identity_client (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL,
  system     TEXT NOT NULL,            -- business system that it belongs to
  body       TEXT NOT NULL,
  body_name  TEXT NOT NULL,
  district   TEXT NOT NULL,
  level      TEXT NOT NULL,
  state      TEXT NOT NULL,            -- active, disabled
  signed     BOOLEAN NOT NULL,         -- every request must be signed
  addresses  TEXT NOT NULL,            -- JSON list of CIDR, [] = anywhere
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX identity_client_body ON identity_client (body);
CREATE TABLE identity_key (
  id         TEXT PRIMARY KEY,         -- public part of the key
  client     TEXT NOT NULL REFERENCES identity_client (id),
  digest     TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  expires_at BIGINT NOT NULL,          -- 0 = no end set
  revoked_at BIGINT NOT NULL,
  used_at    BIGINT NOT NULL
);
CREATE INDEX identity_key_client ON identity_key (client);

-- Nonces of signed requests within the time window.
CREATE TABLE identity_nonce (
  key_id TEXT NOT NULL,
  nonce  TEXT NOT NULL,
  until  BIGINT NOT NULL,
  PRIMARY KEY (key_id, nonce)
);
CREATE INDEX identity_nonce_until ON identity_nonce (until);

-- Raised by every change to clients and keys; nodes that see it move read again.
CREATE TABLE identity_change (
  id  BIGINT PRIMARY KEY,
  seq BIGINT NOT NULL
);
INSERT INTO identity_change (id, seq) VALUES (1, 1);

-- +goose Down
DROP TABLE identity_change;
DROP TABLE identity_nonce;
DROP TABLE identity_key;
DROP TABLE identity_client;
DROP TABLE identity_recovery;
DROP TABLE identity_factor;
DROP TABLE identity_session;
DROP TABLE identity_attempt;
DROP TABLE identity_old_secret;
DROP TABLE identity_account;
