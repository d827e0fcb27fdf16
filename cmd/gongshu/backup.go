package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"os/user"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"modernc.org/sqlite"

	"gongshu/audit"
	"gongshu/internal/blob"
	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// backupCmd copies a whole platform while it runs (QZ-3.1.8, LY-24).
//
// All stores are copied as they stood at one moment: the control store's write
// lock is held for the instant in which a reading transaction begins on each of
// them, and the copies are made from those. No batch is then in the warehouse that
// the control store does not know of; what was under way is settled at the next
// start, as after a power cut. Objects never change once written, so they are copied
// afterwards.
type backupCmd struct {
	stores
	Out string `help:"Backup file to write; the keys go into a second file beside it, FILE.keys." required:"" type:"path" short:"o"`
}

// restoreCmd builds a data directory out of a backup and verifies it.
type restoreCmd struct {
	File     string `arg:"" help:"Backup to restore." type:"existingfile"`
	Data     string `help:"Data directory to make; it must not exist or be empty." required:"" env:"GONGSHU_DATA" type:"path"`
	Keys     string `help:"File with the keys; FILE.keys beside the backup by default." type:"path"`
	Database string `help:"Empty PostgreSQL database for a backup of PostgreSQL." env:"GONGSHU_DATABASE" placeholder:"URL"`
	Objects  string `help:"Empty object store for the objects: a folder, or s3://…; a folder in the data directory by default." env:"GONGSHU_OBJECTS" placeholder:"URL"`
}

// manifest is the last file of a backup: what it holds, and the state of the log.
type manifest struct {
	Format  string         `json:"format"`
	Program string         `json:"program"`
	Made    time.Time      `json:"made"`
	Log     string         `json:"log"`  // name
	Size    int64          `json:"size"` // of the newest checkpoint
	Root    string         `json:"root"`
	Files   []manifestFile `json:"files"`
}

type manifestFile struct {
	Name   string `json:"name"`
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256"`
}

const (
	backupFormat = "gongshu-backup/1"
	dumpFile     = "database.dump"
)

func (c backupCmd) Run(ctx context.Context, g *globals) (err error) {
	d, err := openExisting(ctx, c.stores)
	if err != nil {
		return err
	}
	defer d.Close()
	keys, err := audit.ReadKeys(c.path("keys"))
	if err != nil {
		return err
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys})
	if err != nil {
		return err
	}
	defer log.Close()
	if _, err := log.Append(ctx, commandEntry("audit.log.backup", log, audit.Note{Key: "file", Value: filepath.Base(c.Out)})); err != nil {
		return err
	}
	head, err := log.Checkpoint(ctx)
	if err != nil {
		return err
	}
	m := manifest{Format: backupFormat, Program: version, Made: time.Now().UTC(), Log: head.Origin, Size: head.Size, Root: head.Root.String()}
	temporary, err := os.MkdirTemp(filepath.Dir(c.Out), ".backup-*")
	if err != nil {
		return errs.Newf(errs.Invalid, "无法写入 %s", "cannot write %s", c.Out).In("--out").Because(err)
	}
	defer os.RemoveAll(temporary)
	copies, err := copyStores(ctx, c.stores, d, temporary)
	if err != nil {
		return err
	}
	if err := writeWhole(c.Out, func(w io.Writer) error {
		out := tar.NewWriter(w)
		for _, name := range copies {
			if err := packFile(out, filepath.Join(temporary, name), name, &m); err != nil {
				return err
			}
		}
		if err := packObjects(ctx, out, c.objectsURL(), &m); err != nil {
			return err
		}
		if err := packFolder(ctx, out, c.path("open"), "open", &m); err != nil {
			return err
		}
		text, err := json.MarshalIndent(m, "", "  ")
		if err != nil {
			return err
		}
		if err := out.WriteHeader(&tar.Header{Name: "manifest.json", Mode: 0o600, Size: int64(len(text)), ModTime: m.Made}); err != nil {
			return err
		}
		if _, err := out.Write(text); err != nil {
			return err
		}
		return out.Close()
	}); err != nil {
		return err
	}
	if err := writeWhole(c.Out+".keys", func(w io.Writer) error {
		out := tar.NewWriter(w)
		if err := packFolder(ctx, out, c.path("keys"), "keys", &manifest{}); err != nil {
			return err
		}
		return out.Close()
	}); err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.out, errs.Tf("已备份到 %[1]s（%[2]d 个文件，日志 %[3]d 条）；密钥在 %[1]s.keys，请与备份分开保管",
		"backed up to %[1]s (%[2]d files, a log of %[3]d entries); the keys are in %[1]s.keys: keep them apart from the backup", c.Out, len(m.Files), m.Size).In(g.Lang))
	return err
}

// commandEntry is the entry of a command line's work.
func commandEntry(action string, log *audit.Log, notes ...audit.Note) audit.Entry {
	who := "?"
	if u, err := user.Current(); err == nil {
		who = u.Username
	}
	return audit.Entry{ActorKind: "system", Actor: "command:" + who, Action: action, TargetKind: "log", Target: log.Origin(), Medium: "file", Notes: notes}
}

// copyStores makes copies of the databases in dir, all of one moment, and returns
// their names.
func copyStores(ctx context.Context, s stores, control *db.DB, dir string) ([]string, error) {
	if control.Dialect == db.Postgres {
		return []string{dumpFile}, dumpPostgres(ctx, s, filepath.Join(dir, dumpFile))
	}
	type target struct{ name, url string }
	targets := []target{{"control.db", s.databaseURL()}, {"warehouse.db", s.warehouseURL()}, {"open.db", s.openURL()}}
	// Areas may keep further files beside these, such as the rows of the open store.
	others, err := filepath.Glob(s.path("*.db"))
	if err != nil {
		return nil, err
	}
	for _, file := range others {
		if name := filepath.Base(file); !slices.ContainsFunc(targets, func(t target) bool { return t.name == name }) {
			targets = append(targets, target{name, "sqlite:" + file})
		}
	}
	var names []string
	var conns []*sql.Conn
	defer func() {
		for _, conn := range conns {
			conn.ExecContext(context.WithoutCancel(ctx), "ROLLBACK")
			conn.Close()
		}
	}()
	lock, err := control.SQL().BeginTx(ctx, nil) // BEGIN IMMEDIATE
	if err != nil {
		return nil, db.Classify(err)
	}
	defer lock.Rollback()
	for _, t := range targets {
		file, ok := strings.CutPrefix(t.url, "sqlite:")
		if !ok {
			return nil, errs.Newf(errs.Unsupported, "控制库与 %s 不在同一种数据库，请分别备份", "the control store and %s are on different databases; back them up apart", t.name)
		}
		if _, err := os.Stat(file); errors.Is(err, fs.ErrNotExist) {
			continue
		}
		handle, err := sql.Open("sqlite", db.SQLiteDSN(file, "NORMAL"))
		if err != nil {
			return nil, err
		}
		defer handle.Close()
		conn, err := handle.Conn(ctx)
		if err != nil {
			return nil, err
		}
		conns, names = append(conns, conn), append(names, t.name)
		// The snapshot begins with the first read.
		for _, statement := range []string{"BEGIN DEFERRED", "SELECT count(*) FROM sqlite_master"} {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return nil, fmt.Errorf("%s: %w", t.name, err)
			}
		}
	}
	if err := lock.Rollback(); err != nil {
		return nil, err
	}
	for i, conn := range conns {
		if err := conn.Raw(func(raw any) error {
			source, ok := raw.(interface {
				NewBackup(string) (*sqlite.Backup, error)
			})
			if !ok {
				return errors.New("the database driver makes no backups")
			}
			b, err := source.NewBackup(filepath.Join(dir, names[i]))
			if err != nil {
				return err
			}
			more := true
			for more && err == nil {
				if err = ctx.Err(); err == nil {
					more, err = b.Step(1000)
				}
			}
			return errors.Join(err, b.Finish())
		}); err != nil {
			return nil, fmt.Errorf("copy %s: %w", names[i], err)
		}
	}
	return names, nil
}

// dumpPostgres calls pg_dump, which reads all schemas of the database in one
// snapshot.
func dumpPostgres(ctx context.Context, s stores, out string) error {
	for _, url := range []string{s.warehouseURL(), s.openURL()} {
		if url != s.databaseURL() {
			return errs.Newf(errs.Unsupported, "数据仓库或开放库在另一个数据库，请用数据库自带工具分别备份",
				"the warehouse or the open store is in another database; back it up with that database's tools")
		}
	}
	return postgresTool(ctx, "pg_dump", "--format=custom", "--compress=1", "--no-owner", "--no-privileges", "--file="+out, s.databaseURL())
}

func postgresTool(ctx context.Context, name string, args ...string) error {
	tool, err := exec.LookPath(name)
	if err != nil {
		found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/" + name)
		if len(found) == 0 {
			return errs.Newf(errs.Unavailable, "备份 PostgreSQL 需要 %s，请安装 PostgreSQL 客户端工具", "a backup of PostgreSQL needs %s; install the PostgreSQL client tools", name).Because(err)
		}
		tool = found[len(found)-1]
	}
	cmd := exec.CommandContext(ctx, tool, args...)
	if out, err := cmd.CombinedOutput(); err != nil {
		return errs.Newf(errs.Unavailable, "%s 未成功", "%s failed", name).Because(fmt.Errorf("%w: %s", err, bytes.TrimSpace(out)))
	}
	return nil
}

func packFolder(ctx context.Context, out *tar.Writer, folder, name string, m *manifest) error {
	return filepath.WalkDir(folder, func(file string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile, or the folder was never made
		}
		if err != nil || entry.IsDir() {
			return err
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		inside, err := filepath.Rel(folder, file)
		if err != nil {
			return err
		}
		inside = path.Join(name, filepath.ToSlash(inside))
		// The witness belongs to the running node.
		if inside == "keys/witness" || inside == "keys/witness.new" {
			return nil
		}
		if err := packFile(out, file, inside, m); !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}

func packFile(out *tar.Writer, file, name string, m *manifest) error {
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return pack(out, f, info.Size(), info.ModTime(), name, m)
}

func pack(out *tar.Writer, from io.ReaderAt, size int64, at time.Time, name string, m *manifest) error {
	if err := out.WriteHeader(&tar.Header{Name: name, Mode: 0o600, Size: size, ModTime: at}); err != nil {
		return err
	}
	digest := sha256.New()
	if _, err := io.Copy(io.MultiWriter(out, digest), io.NewSectionReader(from, 0, size)); err != nil {
		return err
	}
	m.Files = append(m.Files, manifestFile{name, size, hex.EncodeToString(digest.Sum(nil))})
	return nil
}

// packObjects packs the object store, wherever it is, as the folder objects.
func packObjects(ctx context.Context, out *tar.Writer, address string, m *manifest) error {
	bucket, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return err
	}
	defer bucket.Close()
	return bucket.List(ctx, "", func(name string) error {
		source, err := bucket.Get(ctx, name)
		if errors.Is(err, fs.ErrNotExist) {
			return nil // removed meanwhile
		}
		if err != nil {
			return err
		}
		defer source.Close()
		return pack(out, source, source.Size(), m.Made, "objects/"+name, m)
	})
}

// moveObjects takes a restored folder of objects to the object store at an address,
// which must be empty.
func moveObjects(ctx context.Context, folder, address string) error {
	to, err := blob.OpenBucket(ctx, address)
	if err != nil {
		return err
	}
	defer to.Close()
	if err := to.List(ctx, "", func(name string) error {
		return errs.Newf(errs.Conflict, "%[1]s 中已有文件（%[2]s），恢复不会覆盖已有数据", "%[1]s is not empty, it holds %[2]s; a restore overwrites nothing", address, name).In("--objects")
	}); err != nil {
		return err
	}
	from, err := blob.OpenBucket(ctx, folder)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := from.List(ctx, "", func(name string) error {
		source, err := from.Get(ctx, name)
		if err != nil {
			return err
		}
		defer source.Close()
		return to.Put(ctx, name, io.NewSectionReader(source, 0, source.Size()))
	}); err != nil {
		return err
	}
	return os.RemoveAll(folder)
}

func (c restoreCmd) Run(ctx context.Context, g *globals) (err error) {
	if entries, err := os.ReadDir(c.Data); err == nil && len(entries) > 0 {
		return errs.Newf(errs.Conflict, "%s 不是空目录，恢复不会覆盖已有数据", "%s is not empty; a restore overwrites nothing", c.Data).In("--data")
	}
	if c.Keys == "" {
		c.Keys = c.File + ".keys"
	}
	if _, err := os.Stat(c.Keys); err != nil {
		return errs.Newf(errs.Invalid, "缺少密钥文件 %s；没有密钥无法解开备份中的文件", "the key file %s is missing; without the keys the objects of the backup cannot be opened", c.Keys).In("--keys").Because(err)
	}
	work := strings.TrimRight(c.Data, "/") + ".restoring"
	if err := os.RemoveAll(work); err != nil {
		return err
	}
	if err := os.MkdirAll(work, 0o700); err != nil {
		return errs.Newf(errs.Invalid, "无法建立数据目录 %s", "cannot make the data directory %s", c.Data).In("--data").Because(err)
	}
	defer os.RemoveAll(work)
	m, err := unpackBackup(ctx, c.File, work)
	if err != nil {
		return err
	}
	if _, err := unpack(ctx, c.Keys, work, "keys/"); err != nil {
		return err
	}
	s := stores{Data: work, Database: c.Database}
	dump := slices.ContainsFunc(m.Files, func(f manifestFile) bool { return f.Name == dumpFile })
	switch {
	case dump && c.Database == "":
		return errs.Newf(errs.Invalid, "这是 PostgreSQL 的备份，请用 --database 给出一个空数据库", "this is a backup of PostgreSQL; give an empty database with --database").In("--database")
	case !dump && c.Database != "":
		return errs.Newf(errs.Invalid, "这是内置数据库的备份，不能恢复到 PostgreSQL", "this is a backup of the embedded database and cannot be restored into PostgreSQL").In("--database")
	case dump:
		if err := postgresTool(ctx, "pg_restore", "--exit-on-error", "--single-transaction", "--no-owner", "--no-privileges", "--dbname="+c.Database, filepath.Join(work, dumpFile)); err != nil {
			return err
		}
		if err := os.Remove(filepath.Join(work, dumpFile)); err != nil {
			return err
		}
	}
	report, err := verifyRestored(ctx, s, m)
	if err != nil {
		return err
	}
	if c.Objects != "" {
		if err := moveObjects(ctx, s.path("objects"), c.Objects); err != nil {
			return err
		}
	}
	if err := os.Remove(c.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(work, c.Data); err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.out, errs.Tf("已恢复到 %[1]s：%[2]d 个文件摘要相符，审计日志 %[3]d 条核验通过",
		"restored to %[1]s: %[2]d files agree with their digests, the audit log of %[3]d entries verifies", c.Data, len(m.Files), report.To).In(g.Lang))
	return err
}

// verifyRestored checks the log of what was unpacked against the manifest, and
// puts the restore itself on record.
func verifyRestored(ctx context.Context, s stores, m manifest) (audit.Report, error) {
	d, err := openExisting(ctx, s)
	if err != nil {
		return audit.Report{}, err
	}
	defer d.Close()
	keys, err := audit.ReadKeys(s.path("keys"))
	if err != nil {
		return audit.Report{}, err
	}
	known, _, err := audit.ParseVerifiers(strings.Join(keys.VerifierKeys(), "\n"))
	if err != nil {
		return audit.Report{}, err
	}
	report, err := audit.VerifyStore(ctx, d, audit.VerifyOptions{Known: known})
	if err != nil {
		return report, err
	}
	if !report.OK() || report.Sealed < m.Size {
		e := errs.Newf(errs.Conflict, "恢复出的审计日志核验不通过（备份时 %[1]d 条，恢复出 %[2]d 条）", "the restored audit log does not verify (%[1]d entries at the backup, %[2]d restored)", m.Size, report.Sealed)
		for _, f := range report.Faults {
			e = e.With(errs.Problem{Field: "log", Text: f.Text})
		}
		return report, e
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys, Witness: s.path("keys", "witness")})
	if err != nil {
		return report, err
	}
	defer log.Close()
	if _, err := log.Append(ctx, commandEntry("audit.log.restore", log, audit.Note{Key: "made", Value: m.Made}, audit.Note{Key: "size", Value: m.Size})); err != nil {
		return report, err
	}
	_, err = log.Checkpoint(ctx)
	return report, err
}

// unpackBackup unpacks the archive into dir and compares every file with the
// manifest, which comes last.
func unpackBackup(ctx context.Context, file, dir string) (manifest, error) {
	bad := func(zh, en string) (manifest, error) {
		return manifest{}, errs.New(errs.Invalid, errs.T("备份文件损坏："+zh, "the backup is damaged: "+en)).In("file")
	}
	found, err := unpack(ctx, file, dir, "")
	if err != nil {
		return manifest{}, err
	}
	text, err := os.ReadFile(filepath.Join(dir, "manifest.json"))
	if err != nil {
		return bad("没有清单，文件可能不完整", "there is no manifest, the file may be cut off")
	}
	var m manifest
	if err := json.Unmarshal(text, &m); err != nil || m.Format != backupFormat {
		return bad("清单无法识别", "the manifest cannot be read")
	}
	if err := os.Remove(filepath.Join(dir, "manifest.json")); err != nil {
		return manifest{}, err
	}
	delete(found, "manifest.json")
	for _, want := range m.Files {
		if got, ok := found[want.Name]; !ok || got != want {
			return bad(want.Name+" 缺失或摘要不符", want.Name+" is missing or differs from its digest")
		}
		delete(found, want.Name)
	}
	for name := range found {
		return bad("多出 "+name, name+" does not belong to it")
	}
	return m, nil
}

func unpack(ctx context.Context, file, dir, prefix string) (map[string]manifestFile, error) {
	damaged := func(err error) error {
		return errs.Newf(errs.Invalid, "%s 不是备份文件或已损坏", "%s is no backup or is damaged", filepath.Base(file)).In("file").Because(err)
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	found := map[string]manifestFile{}
	in := tar.NewReader(f)
	for {
		h, err := in.Next()
		if err == io.EOF {
			return found, nil
		}
		if err != nil {
			return nil, damaged(err)
		}
		if err := ctx.Err(); err != nil {
			return nil, err
		}
		if h.Typeflag != tar.TypeReg || !fs.ValidPath(h.Name) || !strings.HasPrefix(h.Name, prefix) {
			return nil, damaged(fmt.Errorf("entry %q", h.Name))
		}
		if err := root.MkdirAll(path.Dir(h.Name), 0o700); err != nil {
			return nil, err
		}
		out, err := root.OpenFile(h.Name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, damaged(err)
		}
		digest := sha256.New()
		n, err := io.Copy(io.MultiWriter(out, digest), in)
		if err != nil {
			out.Close()
			return nil, damaged(err)
		}
		if err := errors.Join(out.Sync(), out.Close()); err != nil {
			return nil, err
		}
		found[h.Name] = manifestFile{h.Name, n, hex.EncodeToString(digest.Sum(nil))}
	}
}
