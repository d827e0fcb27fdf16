package main

import (
	"bufio"
	"compress/gzip"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"gongshu/audit"
	"gongshu/internal/db"
	"gongshu/internal/errs"
	"gongshu/internal/jobs"
	"gongshu/profile"
	"gongshu/ui"
	"gongshu/workday"
)

// auditCmd exports the log and verifies it without a server.
type auditCmd struct {
	Export auditExportCmd `cmd:"" help:"Write the log, or a span of time of it, to a file that anybody can verify with the public key."`
	Verify auditVerifyCmd `cmd:"" help:"Verify an export, or the log in a data directory; the first bad entry is named."`
	Keygen auditKeygenCmd `cmd:"" help:"Make the signing keys of a log before its first start."`
	Rotate auditRotateCmd `cmd:"" help:"Replace the signing keys of a log whose nodes are stopped; the old keys sign over the new."`
}

type auditExportCmd struct {
	stores
	Out  string `help:"File to write; ends in .gz to be compressed." required:"" type:"path" short:"o"`
	From string `help:"First day, 2026-11-22; the beginning by default."`
	To   string `help:"Last day, 2026-11-22; up to now by default."`
}

func (c auditExportCmd) Run(ctx context.Context, g *globals) (err error) {
	var r audit.ExportRange
	if r.From, err = day("--from", c.From); err != nil {
		return err
	}
	if r.To, err = day("--to", c.To); err != nil {
		return err
	}
	if !r.To.IsZero() {
		r.To = r.To.AddDate(0, 0, 1)
	}
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
	// The export is itself on record before it exists.
	if _, err := log.Append(ctx, commandEntry("audit.log.export", log, audit.Note{Key: "from", Value: c.From}, audit.Note{Key: "to", Value: c.To})); err != nil {
		return err
	}
	info, err := log.Plan(ctx, r)
	if err != nil {
		return err
	}
	if err := writeWhole(c.Out, func(w io.Writer) error { return log.Export(ctx, w, info) }); err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.out, errs.Tf("已导出第 %[1]d 至 %[2]d 条到 %[3]s；用 gongshu audit verify %[3]s --key 公钥文件 离线核验",
		"exported entries %[1]d to %[2]d to %[3]s; verify offline with gongshu audit verify %[3]s --key PUBLIC-KEY-FILE", info.From, info.To-1, c.Out).In(g.Lang))
	return err
}

// writeWhole writes a file beside its place and moves it there when it is whole.
func writeWhole(path string, write func(io.Writer) error) (err error) {
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return errs.Newf(errs.Invalid, "无法写入 %s", "cannot write %s", path).In("--out").Because(err)
	}
	defer func() {
		if err != nil {
			f.Close()
			os.Remove(f.Name())
		}
	}()
	if strings.HasSuffix(path, ".gz") {
		z := gzip.NewWriter(f)
		if err := errors.Join(write(z), z.Close()); err != nil {
			return err
		}
	} else if err := write(f); err != nil {
		return err
	}
	if err := errors.Join(f.Chmod(0o600), f.Sync(), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// openExisting opens the control store of a data directory that is there; it
// makes and migrates nothing.
func openExisting(ctx context.Context, s stores) (*db.DB, error) {
	if s.Database == "" {
		if _, err := os.Stat(s.path("control.db")); err != nil {
			return nil, errs.Newf(errs.NotFound, "%s 不是公数的数据目录", "%s is not a data directory of Gongshu", s.Data).In("--data").Because(err)
		}
	}
	return db.Open(ctx, s.databaseURL())
}

func day(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.ParseInLocation(time.DateOnly, text, workday.Zone)
	if err != nil {
		return time.Time{}, errs.Newf(errs.Invalid, "日期应写作 2026-11-22", "a date is written 2026-11-22").In(flag)
	}
	return t, nil
}

type auditVerifyCmd struct {
	File       string   `arg:"" optional:"" help:"Export to verify." type:"existingfile"`
	Key        string   `help:"File with the log's public keys, as kept elsewhere (keys/log.pub)." type:"existingfile" placeholder:"PUB"`
	Checkpoint []string `help:"Files with checkpoints kept elsewhere; the log must agree with each." type:"existingfile" placeholder:"FILE"`
	Data       string   `help:"Data directory whose log to verify in place of a file." type:"existingdir" placeholder:"DIR"`
	Database   string   `help:"Control store, where it is not in the data directory." env:"GONGSHU_DATABASE" placeholder:"URL"`
}

func (c auditVerifyCmd) Run(ctx context.Context, g *globals) error {
	if (c.File == "") == (c.Data == "") {
		return errs.Newf(errs.Invalid, "请给出导出文件，或用 --data 指明数据目录（二者取一）", "give an export file, or a data directory with --data, one of the two")
	}
	s := stores{Data: c.Data, Database: c.Database}
	path := c.Key
	if path == "" {
		if c.Data == "" {
			return errs.Newf(errs.Invalid, "请用 --key 给出公钥文件", "give the public key file with --key").In("--key")
		}
		path = s.path("keys", audit.PublicFile)
		fmt.Fprintln(g.err, errs.T("提示：公钥取自被核验的目录本身；独立核验应使用另处保存的公钥",
			"note: the public key is taken from the directory that is verified; for an independent check give one kept elsewhere").In(g.Lang))
	}
	text, err := os.ReadFile(path)
	if err != nil {
		return errs.Newf(errs.Invalid, "无法读取公钥文件", "the public key file cannot be read").In("--key").Because(err)
	}
	var o audit.VerifyOptions
	if o.Known, _, err = audit.ParseVerifiers(string(text)); err != nil {
		return err
	}
	for _, name := range c.Checkpoint {
		text, err := os.ReadFile(name)
		if err != nil {
			return errs.Newf(errs.Invalid, "无法读取检查点文件", "the checkpoint file cannot be read").In("--checkpoint").Because(err)
		}
		o.Earlier = append(o.Earlier, string(text))
	}
	began := time.Now()
	var report audit.Report
	if c.File != "" {
		report, err = verifyFile(c.File, o)
	} else {
		var d *db.DB
		if d, err = openExisting(ctx, s); err != nil {
			return err
		}
		defer d.Close()
		report, err = audit.VerifyStore(ctx, d, o)
	}
	if err != nil {
		return err
	}
	return printReport(g, report, time.Since(began))
}

func verifyFile(path string, o audit.VerifyOptions) (audit.Report, error) {
	f, err := os.Open(path)
	if err != nil {
		return audit.Report{}, err
	}
	defer f.Close()
	in := bufio.NewReader(f)
	if head, err := in.Peek(2); err == nil && head[0] == 0x1f && head[1] == 0x8b {
		z, err := gzip.NewReader(in)
		if err != nil {
			return audit.Report{}, errs.Newf(errs.Invalid, "压缩文件损坏", "the compressed file is damaged").Because(err)
		}
		return audit.VerifyExport(z, o)
	}
	return audit.VerifyExport(in, o)
}

func printReport(g *globals, r audit.Report, took time.Duration) error {
	fmt.Fprintln(g.out, errs.Tf("日志 %[1]s：第 %[2]d 至 %[3]d 条，其中 %[4]d 条有内容，%[5]d 条内容已到期清理；%[6]d 个签名检查点相符，最近一个覆盖到第 %[7]d 条；用时 %[8]s",
		"log %[1]s: entries %[2]d to %[3]d, %[4]d with content, %[5]d pruned by retention; %[6]d signed checkpoints agree, the newest covers up to entry %[7]d; took %[8]s",
		r.Origin, r.From, r.To-1, r.Entries, r.Pruned, r.Checkpoints, r.Sealed-1, took.Round(time.Millisecond)).In(g.Lang))
	if r.OK() {
		_, err := fmt.Fprintln(g.out, errs.T("核验通过：没有条目被改动、删除、插入或移位", "verified: no entry was edited, deleted, put in or moved").In(g.Lang))
		return err
	}
	for _, f := range r.Faults {
		fmt.Fprintln(g.out, "  ✗", f.Text.In(g.Lang))
	}
	if first := r.FirstBad(); first >= 0 {
		return errs.Newf(errs.Conflict, "核验不通过，首个有问题的是第 %d 条", "the log does not verify; the first bad entry is %d", first).By("QZ-3.1.8")
	}
	return errs.Newf(errs.Conflict, "核验不通过：条目本身无误，但检查点、哈希瓦片或索引被改动", "the log does not verify: the entries stand, but a checkpoint, a hash tile or an index was altered").By("QZ-3.1.8")
}

type auditKeygenCmd struct {
	Data string `help:"Data directory that gets the keys." default:"data" env:"GONGSHU_DATA" type:"path"`
	Name string `help:"Name of the log: letters, digits, dots, dashes; a random one by default."`
}

func (c auditKeygenCmd) Run(g *globals) error {
	dir := filepath.Join(c.Data, "keys")
	if _, err := os.Stat(filepath.Join(dir, audit.PublicFile)); err == nil {
		return errs.Newf(errs.Conflict, "%s 中已有密钥，不会覆盖", "%s holds keys already; they are not overwritten", dir).In("--data")
	}
	keys, err := audit.LoadKeys(dir, c.Name)
	if err != nil {
		return err
	}
	fmt.Fprintln(g.out, strings.Join(keys.VerifierKeys(), "\n"))
	return nil
}

// auditRotateCmd replaces the signing keys. It may be run again after a failure.
type auditRotateCmd struct {
	stores
}

func (c auditRotateCmd) Run(ctx context.Context, g *globals) error {
	d, err := openExisting(ctx, c.stores)
	if err != nil {
		return err
	}
	defer d.Close()
	keys, err := audit.ReadKeys(c.path("keys"))
	if err != nil {
		return err
	}
	next, err := audit.NextKeys(c.path("keys"))
	if err != nil {
		return err
	}
	log, err := audit.Open(ctx, d, audit.Options{Keys: keys, Next: next, Witness: c.path("keys", "witness")})
	if err != nil {
		return err
	}
	defer log.Close()
	if err := log.Rotate(ctx, commandEntry("audit.log.rotate", log)); err != nil {
		return err
	}
	if err := audit.InstallKeys(c.path("keys")); err != nil {
		return err
	}
	_, err = fmt.Fprintln(g.out, errs.Tf("日志签名密钥已更换，旧密钥已对更换条目签名；请把 %[1]s 复制到其他节点后再启动，并另行备份。新公钥：\n%[2]s",
		"the signing keys of the log were replaced, and the old ones signed over that; copy %[1]s to the other nodes before they start, and back it up. The new public keys:\n%[2]s",
		c.path("keys"), strings.Join(next.VerifierKeys()[:len(next.Signers())], "\n")).In(g.Lang))
	return err
}

// notices are the lines that every page shows while the log does not take
// entries or was found altered: states that users must know of.
func (a *app) notices(ctx context.Context) []ui.Notice {
	var list []ui.Notice
	state := a.log.State()
	if !state.OK {
		list = append(list, ui.Notice{Tone: ui.Bad, Text: ui.T(ctx, "audit.notice_down")})
	}
	if state.Tampered >= 0 {
		list = append(list, ui.Notice{Tone: ui.Bad, Text: ui.T(ctx, "audit.notice_tampered", "Seq", state.Tampered)})
	}
	return list
}

// pruneLog removes the contents of entries older than the profile keeps them
// (QZ-3.1.8: three years; LY-24: half a year at least).
func (a *app) pruneLog(ctx context.Context, _ jobs.Job) error {
	now := a.now()
	months := profile.LogMonths.At(a.profile, now).V
	_, err := a.log.Prune(ctx, now.AddDate(0, -months, 0))
	return err
}
