package faults

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/pquerna/otp/totp"

	"gongshu/clause"
	"gongshu/privacy"
	"gongshu/test/program"
)

var (
	shownSecret  = regexp.MustCompile(`(?:[A-Z2-7]{4} ){7}[A-Z2-7]{4}`)
	shownCode    = regexp.MustCompile(`[A-HJ-NP-Z2-9]{5}-[A-HJ-NP-Z2-9]{5}`)
	shownKey     = regexp.MustCompile(`gsk_[0-9a-z]+_[0-9A-Za-z_-]+`)
	shownSigning = regexp.MustCompile(`(?:签名密钥|Signing secret)(?s:.{0,400}?)<code[^>]*>([^<]{20,})</code>`)
)

// TestPlantedSecrets lives through what makes secrets, and sends personal data in and
// asks for it, on the whole program; then it reads every file that the program keeps,
// and all that it has written of itself. Passwords, keys, second factors and recovery
// codes stand nowhere; personal data stands where the rows are and nowhere else, not
// in the log, the problem rows, the raw files, or on the way that it was asked for.
func TestPlantedSecrets(t *testing.T) {
	clause.Covers(t, "FS-40", "FS-41", "LY-21")
	if testing.Short() {
		t.Skip("builds the demo city")
	}
	s := program.Start(t, built(t), "serve")
	demo := s.Demo()
	planted := map[string]string{} // what it is, by its text
	plant := func(what, value string) {
		t.Helper()
		if len(value) < 8 {
			t.Fatalf("no %s was made: %q", what, value)
		}
		planted[value] = what
	}
	account := func(login string) *program.Visitor {
		t.Helper()
		v := program.Visit(t, s.Base)
		for _, a := range demo.Accounts {
			if a.Login == login {
				v.LogIn(a.Login, a.Password)
				return v
			}
		}
		t.Fatalf("no account %s", login)
		return nil
	}
	post := func(v *program.Visitor, path string, form url.Values) string {
		t.Helper()
		_, status, page := v.Post(path, form)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %.800s", path, status, page)
		}
		return page
	}

	// A password, a second factor and its recovery codes.
	v := account("health.steward")
	old := ""
	for _, a := range demo.Accounts {
		if a.Login == "health.steward" {
			old = a.Password
		}
	}
	const password = "Zhong-Zhi-83 planted words"
	post(v, "/console/account/password", url.Values{"old": {old}, "secret": {password}, "again": {password}})
	v = program.Visit(t, s.Base)
	v.LogIn("health.steward", password)
	plant("password", password)
	page := post(v, "/console/account/factor", url.Values{"do": {"add"}, "old": {password}})
	secret := strings.ReplaceAll(shownSecret.FindString(page), " ", "")
	plant("TOTP secret", secret)
	code, err := totp.GenerateCode(secret, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	codes := shownCode.FindAllString(post(v, "/console/account/factor/new", url.Values{"code": {code}}), -1)
	if len(codes) < 10 {
		t.Fatalf("recovery codes: %v", codes)
	}
	for _, c := range codes {
		plant("recovery code", c)
		plant("recovery code without its hyphen", strings.ReplaceAll(c, "-", ""))
	}

	// An API key and the secret that signs requests.
	_, _, page = v.Get("/console/clients/new")
	form := url.Values{"name": {"planted client"}, "system": {"planted system"}}
	if m := regexp.MustCompile(`name="body"[^>]*value="([^"]+)"|name="body"(?s:.*?)<option value="([^"]+)"`).FindStringSubmatch(page); m != nil {
		form.Set("body", m[1]+m[2])
	}
	at, status, page := v.Post("/console/clients/new", form)
	if status != http.StatusOK || !strings.Contains(at, "/console/clients/") {
		t.Fatalf("new client: %d at %s %.800s", status, at, page)
	}
	at, _, _ = strings.Cut(at, "?")
	page = post(v, at+"/keys", url.Values{})
	plant("API key", shownKey.FindString(page))
	if m := shownSigning.FindStringSubmatch(page); m != nil {
		plant("signing secret", m[1])
	} else {
		t.Errorf("no signing secret was shown")
	}

	// Personal data in a sound row, in a bad one, and in a question.
	resident := func(serial int) string {
		for _, check := range "0123456789X" {
			if id := fmt.Sprintf("35010219830228%03d%c", serial, check); privacy.ResidentID(id).OK() {
				return id
			}
		}
		t.Fatal("no check digit fits")
		return ""
	}
	sound, bad, asked := resident(811), resident(822), resident(833)
	const phone, wrongPhone = "13955501234", "13955509876"
	rows := map[string]bool{sound: true, phone: true}
	plant("resident ID of a sound row", sound)
	plant("resident ID of a bad row", bad)
	plant("resident ID asked for", asked)
	plant("phone in a sound row", phone)
	plant("phone in a bad row", wrongPhone)
	key := ""
	for _, c := range demo.Clients {
		if c.ID == demo.Delivery.Client {
			key = c.Key
		}
	}
	head, _, _ := strings.Cut(demo.Delivery.CSV, "\n")
	call := func(path, body string, headers map[string]string) (int, string) {
		t.Helper()
		req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.Base+path, strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		for k, v := range headers {
			req.Header.Set(k, v)
		}
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		var b bytes.Buffer
		if _, err := b.ReadFrom(res.Body); err != nil {
			t.Fatal(err)
		}
		return res.StatusCode, b.String()
	}
	status, answer := call("/api/v1/resources/"+strings.ReplaceAll(demo.Delivery.Resource, "/", "-")+"/batches",
		head+"\nP-1,"+sound+","+phone+",三级,2024-01-02\nP-2,"+bad+","+wrongPhone+",三级,2024-13-02\n",
		map[string]string{"Authorization": "Bearer " + key, "X-Gongshu-Secrecy": "declared", "Content-Disposition": `attachment; filename="planted-file-name.csv"`})
	if status != http.StatusCreated || !strings.Contains(answer, `"accepted":1`) || !strings.Contains(answer, `"rejected":1`) {
		t.Fatalf("batch: %d %s", status, answer)
	}
	asks := 0
	for _, g := range demo.Grants {
		if g.Mode != "verify" && g.Mode != "query" || !strings.Contains(string(g.Example), "公民身份号码") {
			continue
		}
		asks++
		body := regexp.MustCompile(`"公民身份号码": ?"[^"]*"`).ReplaceAllString(string(g.Example), `"公民身份号码":"`+asked+`"`)
		body = regexp.MustCompile(`"姓名": ?"[^"]*"`).ReplaceAllString(body, `"姓名":"`+phone+`"`)
		if status, answer := call("/api/v1/resources/"+strings.ReplaceAll(g.Resource, "/", "-")+"/"+g.Mode, body, g.Headers); status >= 500 {
			t.Errorf("%s: %d %s", g.Mode, status, answer)
		}
	}
	if asks == 0 {
		t.Error("nobody asked for a resident")
	}
	// Where a person meant a password and wrote it elsewhere.
	program.Visit(t, s.Base).Post("/console/login", url.Values{"login": {"health.steward"}, "secret": {password + "?"}})
	log := s.Log()
	s.Stop()

	// The search finds what is there, so that it means something where it finds nothing.
	found := map[string][]string{}
	look := func(name string, content []byte, want string) {
		forms := [][]byte{[]byte(want), []byte(hex.EncodeToString([]byte(want))), []byte(strings.TrimRight(base64.StdEncoding.EncodeToString([]byte(want)), "="))}
		for _, f := range forms {
			if bytes.Contains(content, f) {
				found[want] = append(found[want], name)
				return
			}
		}
	}
	files := map[string][]byte{"the program's output": []byte(log)}
	err = filepath.WalkDir(s.Data, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || d.Name() == "demo.json" { // the demo's own words are made to be read
			return err
		}
		name, err := filepath.Rel(s.Data, path)
		if err == nil {
			files[name], err = os.ReadFile(path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range files {
		look(name, content, "planted-file-name.csv")
		for want := range planted {
			look(name, content, want)
		}
	}
	if len(found["planted-file-name.csv"]) == 0 {
		t.Error("the search finds nothing at all")
	}
	for want, what := range planted {
		for _, name := range found[want] {
			if !rows[want] || !strings.HasPrefix(name, "warehouse.db") {
				t.Errorf("%s stands in %s", what, name)
			}
		}
		if rows[want] && len(found[want]) == 0 {
			t.Errorf("%s is not found where the rows are", what)
		}
	}
	t.Logf("%d planted values, %d files", len(planted), len(files))
}
