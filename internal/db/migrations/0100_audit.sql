-- +goose Up
-- The log is append-only: triggers at the end refuse every change but the few
-- that the program makes by design, so that a slip in SQL cannot rewrite it.
-- Whoever switches the triggers off is found by the verifier.

-- How many entries there are; its row lock orders the writers of all nodes.
CREATE TABLE audit_head (
  id   INTEGER PRIMARY KEY CHECK (id = 1),
  size BIGINT NOT NULL
);
INSERT INTO audit_head (id, size) VALUES (1, 0);

-- One row an entry; seq is dense and is the index of the leaf in the tree.
-- content is canonical JSON, NULL once retention has pruned it; leaf stays.
-- +only sqlite
CREATE TABLE audit_entry (
  seq     INTEGER PRIMARY KEY,
  leaf    BLOB NOT NULL,
  content TEXT
);
-- +end
-- +only postgres
CREATE TABLE audit_entry (
  seq     BIGINT PRIMARY KEY,
  leaf    BYTEA NOT NULL,
  content TEXT
);
-- +end

-- How far the Merkle tree reaches, and which node integrates until when.
CREATE TABLE audit_tree (
  id     INTEGER PRIMARY KEY CHECK (id = 1),
  size   BIGINT NOT NULL,
  holder TEXT NOT NULL DEFAULT '',
  until  BIGINT NOT NULL DEFAULT 0
);
INSERT INTO audit_tree (id, size) VALUES (1, 0);

-- Hash tiles of height 8; data is 1 to 256 hashes of 32 bytes.
CREATE TABLE audit_tile (
  level BIGINT NOT NULL,
  n     BIGINT NOT NULL,
  data  BYTEA NOT NULL,
  PRIMARY KEY (level, n)
);

-- Every checkpoint that was signed.
CREATE TABLE audit_checkpoint (
  size BIGINT PRIMARY KEY,
  at   BIGINT NOT NULL,
  note TEXT NOT NULL
);

-- Search aids over full blocks of 256 entries: the span of time of a block and
-- which values occur in it. Derived from the entries.
CREATE TABLE audit_block (
  n        BIGINT PRIMARY KEY,
  first_at BIGINT NOT NULL,
  last_at  BIGINT NOT NULL,
  fields   BIGINT NOT NULL -- version of the fields that audit_index has for it
);
CREATE TABLE audit_index (
  field TEXT NOT NULL,
  value TEXT NOT NULL,
  block BIGINT NOT NULL,
  PRIMARY KEY (field, value, block)
);

-- Contents of entries before until may be pruned; raised only together with an
-- entry that says so.
CREATE TABLE audit_prune (
  id    INTEGER PRIMARY KEY CHECK (id = 1),
  until BIGINT NOT NULL
);
INSERT INTO audit_prune (id, until) VALUES (1, 0);

-- +only sqlite
-- +goose StatementBegin
CREATE TRIGGER audit_entry_update BEFORE UPDATE ON audit_entry
WHEN NOT (NEW.seq = OLD.seq AND NEW.leaf = OLD.leaf AND NEW.content IS NULL
  AND OLD.seq < (SELECT until FROM audit_prune WHERE id = 1))
BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_entry_delete BEFORE DELETE ON audit_entry
BEGIN SELECT RAISE(ABORT, 'audit_entry is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head WHEN NEW.size < OLD.size
BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head
BEGIN SELECT RAISE(ABORT, 'audit_head only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_tree_update BEFORE UPDATE ON audit_tree WHEN NEW.size < OLD.size
BEGIN SELECT RAISE(ABORT, 'audit_tree only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_tree_delete BEFORE DELETE ON audit_tree
BEGIN SELECT RAISE(ABORT, 'audit_tree only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_tile_update BEFORE UPDATE ON audit_tile
WHEN NOT (NEW.level = OLD.level AND NEW.n = OLD.n AND length(NEW.data) >= length(OLD.data)
  AND substr(NEW.data, 1, length(OLD.data)) = OLD.data)
BEGIN SELECT RAISE(ABORT, 'audit_tile only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_tile_delete BEFORE DELETE ON audit_tile
BEGIN SELECT RAISE(ABORT, 'audit_tile only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_update BEFORE UPDATE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_checkpoint_delete BEFORE DELETE ON audit_checkpoint
BEGIN SELECT RAISE(ABORT, 'audit_checkpoint is append-only'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_prune_update BEFORE UPDATE ON audit_prune WHEN NEW.until < OLD.until
BEGIN SELECT RAISE(ABORT, 'audit_prune only grows'); END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_prune_delete BEFORE DELETE ON audit_prune
BEGIN SELECT RAISE(ABORT, 'audit_prune only grows'); END;
-- +goose StatementEnd
-- +end
-- +only postgres
-- +goose StatementBegin
CREATE FUNCTION audit_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  RAISE EXCEPTION '% is append-only', TG_TABLE_NAME USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION audit_entry_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.seq = OLD.seq AND NEW.leaf = OLD.leaf AND NEW.content IS NULL
     AND OLD.seq < (SELECT until FROM audit_prune WHERE id = 1) THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit_entry is append-only' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE FUNCTION audit_tile_guard() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  IF NEW.level = OLD.level AND NEW.n = OLD.n AND length(NEW.data) >= length(OLD.data)
     AND substring(NEW.data FROM 1 FOR length(OLD.data)) = OLD.data THEN
    RETURN NEW;
  END IF;
  RAISE EXCEPTION 'audit_tile only grows' USING ERRCODE = 'restrict_violation';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_entry_update BEFORE UPDATE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_entry_guard();
CREATE TRIGGER audit_entry_delete BEFORE DELETE ON audit_entry FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_entry_truncate BEFORE TRUNCATE ON audit_entry FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_update BEFORE UPDATE ON audit_head FOR EACH ROW WHEN (NEW.size < OLD.size) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_delete BEFORE DELETE ON audit_head FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_head_truncate BEFORE TRUNCATE ON audit_head FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_tree_update BEFORE UPDATE ON audit_tree FOR EACH ROW WHEN (NEW.size < OLD.size) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_tree_delete BEFORE DELETE ON audit_tree FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_tree_truncate BEFORE TRUNCATE ON audit_tree FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_tile_update BEFORE UPDATE ON audit_tile FOR EACH ROW EXECUTE FUNCTION audit_tile_guard();
CREATE TRIGGER audit_tile_delete BEFORE DELETE ON audit_tile FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_tile_truncate BEFORE TRUNCATE ON audit_tile FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_checkpoint_change BEFORE UPDATE OR DELETE ON audit_checkpoint FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_checkpoint_truncate BEFORE TRUNCATE ON audit_checkpoint FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_prune_update BEFORE UPDATE ON audit_prune FOR EACH ROW WHEN (NEW.until < OLD.until) EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_prune_delete BEFORE DELETE ON audit_prune FOR EACH ROW EXECUTE FUNCTION audit_refuse();
CREATE TRIGGER audit_prune_truncate BEFORE TRUNCATE ON audit_prune FOR EACH STATEMENT EXECUTE FUNCTION audit_refuse();
-- +end

-- +goose Down
DROP TABLE audit_prune;
DROP TABLE audit_index;
DROP TABLE audit_block;
DROP TABLE audit_checkpoint;
DROP TABLE audit_tile;
DROP TABLE audit_tree;
DROP TABLE audit_entry;
DROP TABLE audit_head;
-- +only postgres
DROP FUNCTION audit_tile_guard();
DROP FUNCTION audit_entry_guard();
DROP FUNCTION audit_refuse();
-- +end
