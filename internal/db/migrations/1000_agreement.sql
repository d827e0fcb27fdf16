-- +goose Up
CREATE TABLE agreement_agreement (
  id           TEXT PRIMARY KEY,
  number       TEXT NOT NULL UNIQUE,
  version      BIGINT NOT NULL,
  kind         TEXT NOT NULL,
  case_id      TEXT NOT NULL,
  case_no      TEXT NOT NULL,
  resource     TEXT NOT NULL,
  state        TEXT NOT NULL,             -- signing, effective, declined, superseded, ended
  template     TEXT NOT NULL,
  template_sum TEXT NOT NULL,
  terms        TEXT NOT NULL,
  body         TEXT NOT NULL,             -- the words, as signed
  digest       TEXT NOT NULL,             -- SM3 of the words
  created_at   BIGINT NOT NULL,
  effective_at BIGINT NOT NULL DEFAULT 0,
  ended_at     BIGINT NOT NULL DEFAULT 0,
  reason       TEXT NOT NULL DEFAULT ''
);
CREATE INDEX agreement_agreement_case ON agreement_agreement (case_id, version);

CREATE TABLE agreement_party (
  agreement TEXT NOT NULL REFERENCES agreement_agreement (id),
  relation  TEXT NOT NULL,
  body      TEXT NOT NULL,
  body_name TEXT NOT NULL,
  signs     BOOLEAN NOT NULL,
  PRIMARY KEY (agreement, relation)
);
CREATE INDEX agreement_party_body ON agreement_party (body);

CREATE TABLE agreement_signature (
  agreement   TEXT NOT NULL REFERENCES agreement_agreement (id),
  relation    TEXT NOT NULL,
  signer      TEXT NOT NULL,
  signer_name TEXT NOT NULL,
  post        TEXT NOT NULL,
  at          BIGINT NOT NULL,
  note        TEXT NOT NULL,              -- signed note: what was accepted, by whom, when; Ed25519 and SM2 lines
  PRIMARY KEY (agreement, relation)
);

-- +goose Down
DROP TABLE agreement_signature;
DROP TABLE agreement_party;
DROP TABLE agreement_agreement;
