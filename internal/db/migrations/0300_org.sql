-- +goose Up
-- Spaces of districts and counties on the one platform (FZM-11, LY-7).
CREATE TABLE org_space (
  district  TEXT PRIMARY KEY,        -- division code
  name      TEXT NOT NULL,
  opened_at BIGINT NOT NULL,
  opened_by TEXT NOT NULL
);

CREATE TABLE org_body (
  id         TEXT PRIMARY KEY,
  name       TEXT NOT NULL UNIQUE,
  short      TEXT NOT NULL,
  uscc       TEXT,                   -- unique where known
  kind       TEXT NOT NULL,
  role       TEXT NOT NULL,          -- department, authority, operator, applicant
  level      TEXT NOT NULL,          -- province, city, district, county
  district   TEXT NOT NULL,          -- division code
  parent     TEXT NOT NULL,          -- body id or ''
  state      TEXT NOT NULL,          -- active, closed
  phone      TEXT NOT NULL,
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL,
  closed_at  BIGINT NOT NULL
);
CREATE UNIQUE INDEX org_body_uscc ON org_body (uscc);
CREATE INDEX org_body_district ON org_body (district);

-- People: officials. id is the account's.
CREATE TABLE org_person (
  id         TEXT PRIMARY KEY REFERENCES identity_account (id),
  login      TEXT NOT NULL,
  name       TEXT NOT NULL,
  body       TEXT NOT NULL REFERENCES org_body (id),
  title      TEXT NOT NULL,
  staff_no   TEXT NOT NULL,
  phone      TEXT NOT NULL,
  email      TEXT NOT NULL,
  state      TEXT NOT NULL,          -- active, disabled
  created_at BIGINT NOT NULL,
  created_by TEXT NOT NULL
);
CREATE INDEX org_person_body ON org_person (body);

-- Posts held. A holding is proposed by one person and confirmed by another.
CREATE TABLE org_holding (
  id          TEXT PRIMARY KEY,
  body        TEXT NOT NULL REFERENCES org_body (id),
  post        TEXT NOT NULL,
  person      TEXT NOT NULL REFERENCES org_person (id),
  state       TEXT NOT NULL,         -- proposed, held, ended, declined
  since       BIGINT NOT NULL,       -- day from which it is held
  until       BIGINT NOT NULL,       -- 0 while held
  takes_over  TEXT NOT NULL,         -- holding that ends when this one begins, or ''
  reason      TEXT NOT NULL,
  proposed_by TEXT NOT NULL,
  proposed_at BIGINT NOT NULL,
  decided_by  TEXT NOT NULL,
  decided_at  BIGINT NOT NULL,
  answer      TEXT NOT NULL
);
CREATE INDEX org_holding_person ON org_holding (person, state);
CREATE INDEX org_holding_body ON org_holding (body, post, state);

-- What a body files with the authority (FZM-34, LY-5, LY-26, FS-6, FS-40.2); a
-- new version at each change, none is changed.
CREATE TABLE org_filing (
  id             TEXT PRIMARY KEY,
  body           TEXT NOT NULL REFERENCES org_body (id),
  version        BIGINT NOT NULL,
  office         TEXT NOT NULL,      -- data office
  leader         TEXT NOT NULL,      -- leader in charge: name, post, phone
  leader_title   TEXT NOT NULL,
  leader_phone   TEXT NOT NULL,
  contact        TEXT NOT NULL,      -- daily contact
  contact_title  TEXT NOT NULL,
  contact_phone  TEXT NOT NULL,
  procedures     TEXT NOT NULL,      -- title and number of the rules
  rules          TEXT NOT NULL,
  accountability TEXT NOT NULL,
  filed_at       BIGINT NOT NULL,
  filed_by       TEXT NOT NULL,
  filed_name     TEXT NOT NULL,
  received_at    BIGINT NOT NULL,
  received_by    TEXT NOT NULL,
  UNIQUE (body, version)
);

-- +goose Down
DROP TABLE org_filing;
DROP TABLE org_holding;
DROP TABLE org_person;
DROP TABLE org_body;
DROP TABLE org_space;
