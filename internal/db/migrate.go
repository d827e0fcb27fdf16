package db

import (
	"bytes"
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"testing/fstest"

	"github.com/pressly/goose/v3"
)

// One file an area: NNNN_area.sql, goose format.
//
//go:embed migrations/*.sql
var migrations embed.FS

// Migrate brings the schema to the newest version.
func (d *DB) Migrate(ctx context.Context) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return d.MigrateFrom(ctx, files, "db_migration")
}

// MigrateFrom applies the goose files at the root of files and keeps the
// versions in table, so that a second store (warehouse, open store) can have a
// history of its own. Lines from "-- +only sqlite" or "-- +only postgres" to
// "-- +end" count on that database alone.
func (d *DB) MigrateFrom(ctx context.Context, files fs.FS, table string) error {
	own, err := forDialect(files, d.Dialect)
	if err != nil {
		return err
	}
	dialect := goose.DialectSQLite3
	if d.Dialect == Postgres {
		dialect = goose.DialectPostgres
	}
	provider, err := goose.NewProvider(dialect, d.write, own, goose.WithTableName(table), goose.WithAllowOutofOrder(true))
	if errors.Is(err, goose.ErrNoMigrations) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("migrations: %w", err)
	}
	if _, err := provider.Up(ctx); err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	return nil
}

func forDialect(files fs.FS, dialect Dialect) (fs.FS, error) {
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return nil, err
	}
	own := fstest.MapFS{}
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return nil, err
		}
		var out bytes.Buffer
		only := Dialect("")
		for i, line := range strings.SplitAfter(string(text), "\n") {
			word := strings.TrimSpace(line)
			switch {
			case strings.HasPrefix(word, "-- +only "):
				if only != "" {
					return nil, fmt.Errorf("%s:%d: +only inside +only", name, i+1)
				}
				only = Dialect(strings.TrimSpace(strings.TrimPrefix(word, "-- +only ")))
				if only != SQLite && only != Postgres {
					return nil, fmt.Errorf("%s:%d: unknown database %q", name, i+1, only)
				}
			case word == "-- +end":
				only = ""
			case only == "" || only == dialect:
				out.WriteString(line)
			}
		}
		if only != "" {
			return nil, fmt.Errorf("%s: +only %s has no +end", name, only)
		}
		own[name] = &fstest.MapFile{Data: out.Bytes()}
	}
	return own, nil
}
