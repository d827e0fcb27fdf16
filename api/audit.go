package api

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/tlog"

	"gongshu/audit"
	"gongshu/internal/errs"
	"gongshu/internal/web"
)

// Proofs answers everything under /audit/: what anybody may have in order to
// hold the log to its word. It is C2SP tlog-tiles (checkpoint, hash tiles) with
// proofs for readers that do not want to compute them. Entries themselves are
// not among it: they leave only through the auditor's export (FS-40).
func Proofs(log *audit.Log) http.Handler {
	p := proofs{log}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /audit/checkpoint", p.checkpoint)
	mux.HandleFunc("GET /audit/checkpoints", p.checkpoints)
	mux.HandleFunc("GET /audit/key", p.key)
	mux.HandleFunc("GET /audit/tile/{path...}", p.tile)
	mux.HandleFunc("GET /audit/proof/inclusion", p.inclusion)
	mux.HandleFunc("GET /audit/proof/consistency", p.consistency)
	mux.Handle("/audit/", web.Unrouted(mux, errs.T("没有这个地址，公开的只有检查点、瓦片和证明", "there is no such address; public are the checkpoint, the tiles and the proofs")))
	return mux
}

type proofs struct{ log *audit.Log }

// checkpoint is the newest signed tree head, a signed note.
func (p proofs) checkpoint(w http.ResponseWriter, r *http.Request) {
	c, err := p.log.Latest(r.Context())
	if err != nil {
		web.WriteProblem(w, r, err)
		return
	}
	w.Header().Set("Cache-Control", "no-cache")
	writeText(w, c.Note)
}

// key is the public keys; who keeps them elsewhere can verify without trusting
// this server.
func (p proofs) key(w http.ResponseWriter, r *http.Request) {
	writeText(w, strings.Join(p.log.VerifierKeys(), "\n")+"\n")
}

func writeText(w http.ResponseWriter, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(text)))
	_, _ = w.Write([]byte(text))
}

type checkpointJSON struct {
	Size int64  `json:"size"`
	Root string `json:"root"`
	At   string `json:"at"`
	Note string `json:"note"`
}

// checkpoints is the history, the newest first: ?before=SIZE&limit=N (1 to 1,000).
func (p proofs) checkpoints(w http.ResponseWriter, r *http.Request) {
	before, err := number(r, "before", 0)
	if err == nil {
		var limit int64
		if limit, err = number(r, "limit", 100); err == nil {
			var list []audit.Checkpoint
			if list, err = p.log.Checkpoints(r.Context(), before, int(min(max(limit, 1), 1000))); err == nil {
				out := []checkpointJSON{}
				for _, c := range list {
					out = append(out, checkpointJSON{c.Size, c.Root.String(), c.At.Format("2006-01-02T15:04:05.000Z"), c.Note})
				}
				writeJSON(w, map[string]any{"checkpoints": out})
				return
			}
		}
	}
	web.WriteProblem(w, r, err)
}

// tile serves /audit/tile/<level>/<number>[.p/<width>] as C2SP tlog-tiles names it.
func (p proofs) tile(w http.ResponseWriter, r *http.Request) {
	path := r.PathValue("path")
	if strings.HasPrefix(path, "entries/") {
		web.WriteProblem(w, r, errs.New(errs.Forbidden, errs.T("日志内容不公开，仅审计管理员可导出", "entries are not public; the auditor exports them")).By("FS-40"))
		return
	}
	// tlog's own paths carry the height, which C2SP fixes at 8 and leaves out.
	t, err := tlog.ParseTilePath("tile/8/" + path)
	if err != nil || t.L < 0 {
		web.WriteProblem(w, r, errs.New(errs.NotFound, errs.T("没有这个瓦片", "there is no such tile")))
		return
	}
	data, err := p.log.Tile(r.Context(), int64(t.L), t.N, t.W)
	if err != nil {
		web.WriteProblem(w, r, err)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/octet-stream")
	h.Set("Cache-Control", "public, max-age=31536000, immutable")
	h.Set("Content-Length", strconv.Itoa(len(data)))
	_, _ = w.Write(data)
}

type proofJSON struct {
	Origin     string   `json:"origin"`
	Seq        *int64   `json:"seq,omitempty"`
	Leaf       string   `json:"leaf,omitempty"`
	From       int64    `json:"from,omitempty"`
	Size       int64    `json:"size"`
	Proof      []string `json:"proof"`
	Checkpoint string   `json:"checkpoint,omitempty"`
}

// inclusion proves that an entry is in the log: ?seq=N[&size=N].
func (p proofs) inclusion(w http.ResponseWriter, r *http.Request) {
	seq, err := number(r, "seq", -1)
	if err == nil && seq < 0 {
		err = errs.New(errs.Invalid, errs.T("缺少条目编号", "which entry? give seq")).In("seq")
	}
	var size int64
	if err == nil {
		size, err = number(r, "size", 0)
	}
	if err != nil {
		web.WriteProblem(w, r, err)
		return
	}
	used, leaf, proof, err := p.log.Inclusion(r.Context(), seq, size)
	if err != nil {
		web.WriteProblem(w, r, err)
		return
	}
	out := proofJSON{Origin: p.log.Origin(), Seq: &seq, Leaf: leaf.String(), Size: used, Proof: hashes(proof)}
	p.attach(r, &out)
	writeJSON(w, out)
}

// consistency proves that an earlier log is a prefix of a later one: ?from=N[&to=N].
func (p proofs) consistency(w http.ResponseWriter, r *http.Request) {
	from, err := number(r, "from", 0)
	var to int64
	if err == nil {
		to, err = number(r, "to", 0)
	}
	if err == nil && to == 0 {
		var c audit.Checkpoint
		c, err = p.log.Latest(r.Context())
		to = c.Size
	}
	var proof tlog.TreeProof
	if err == nil {
		proof, err = p.log.Consistency(r.Context(), from, to)
	}
	if err != nil {
		web.WriteProblem(w, r, err)
		return
	}
	out := proofJSON{Origin: p.log.Origin(), From: from, Size: to, Proof: hashes(proof)}
	p.attach(r, &out)
	writeJSON(w, out)
}

// attach adds the signed checkpoint of the proof's size where there is one.
func (p proofs) attach(r *http.Request, out *proofJSON) {
	if list, err := p.log.Checkpoints(r.Context(), out.Size+1, 1); err == nil && len(list) == 1 && list[0].Size == out.Size {
		out.Checkpoint = list[0].Note
	}
}

func hashes[T ~[]tlog.Hash](list T) []string {
	out := []string{}
	for _, h := range list {
		out = append(out, base64.StdEncoding.EncodeToString(h[:]))
	}
	return out
}

func number(r *http.Request, name string, absent int64) (int64, error) {
	text := r.URL.Query().Get(name)
	if text == "" {
		return absent, nil
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0, errs.New(errs.Invalid, errs.T(fmt.Sprintf("%s 应为不小于 0 的整数", name), fmt.Sprintf("%s is a whole number of 0 or more", name))).In(name)
	}
	return n, nil
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-cache")
	_ = json.NewEncoder(w).Encode(v)
}
