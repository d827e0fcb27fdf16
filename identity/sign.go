package identity

import (
	"crypto/hmac"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// SignatureScheme is the word that starts a signed Authorization header.
const SignatureScheme = "GONGSHU-HMAC-SM3"

// Signature is what a signed request carries in its Authorization header; see
// docs/api-signing.md.
type Signature struct {
	Key       string // key id
	Timestamp int64  // Unix seconds
	Nonce     string // 16 to 64 of letters, digits, - and _
	Digest    string // SM3 of the body, 64 hexadecimal digits
	MAC       string // 64 hexadecimal digits
}

// ParseSignature reads an Authorization header of the form
//
//	GONGSHU-HMAC-SM3 Credential=…, Timestamp=…, Nonce=…, Digest=…, Signature=…
//
// with each part once, in any order. errs.Unauthenticated names the part that is wrong.
func ParseSignature(header string) (Signature, error) {
	var sig Signature
	rest, ok := strings.CutPrefix(header, SignatureScheme+" ")
	if !ok || len(header) > 1024 {
		return sig, badSignature("Authorization")
	}
	seen := map[string]bool{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, ok := strings.Cut(strings.TrimSpace(part), "=")
		if !ok || seen[name] {
			return sig, badSignature(name)
		}
		seen[name] = true
		switch name {
		case "Credential":
			sig.Key, ok = value, wordOf(value, 1, 40)
		case "Timestamp":
			n, err := strconv.ParseInt(value, 10, 64)
			sig.Timestamp, ok = n, err == nil && n > 0 && n < 1<<40 && strconv.FormatInt(n, 10) == value
		case "Nonce":
			sig.Nonce, ok = value, wordOf(value, 16, 64)
		case "Digest":
			sig.Digest, ok = value, hex64(value)
		case "Signature":
			sig.MAC, ok = value, hex64(value)
		default:
			ok = false
		}
		if !ok {
			return sig, badSignature(name)
		}
	}
	if len(seen) != 5 {
		return sig, badSignature("Authorization")
	}
	return sig, nil
}

// String is the header that ParseSignature reads.
func (s Signature) String() string {
	return SignatureScheme + " Credential=" + s.Key + ", Timestamp=" + strconv.FormatInt(s.Timestamp, 10) +
		", Nonce=" + s.Nonce + ", Digest=" + s.Digest + ", Signature=" + s.MAC
}

func badSignature(part string) *errs.Error {
	if len(part) > 40 {
		part = part[:40]
	}
	return errs.Newf(errs.Unauthenticated, "签名请求头的 %[1]q 部分缺失、重复或格式不正确", "The part %[1]q of the signed Authorization header is missing, repeated or malformed",
		strings.ToValidUTF8(part, "?")).In("Authorization")
}

func wordOf(s string, least, most int) bool {
	if len(s) < least || len(s) > most {
		return false
	}
	for _, r := range s {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_') {
			return false
		}
	}
	return true
}

func hex64(s string) bool {
	if len(s) != 64 {
		return false
	}
	for _, r := range s {
		if !(r >= '0' && r <= '9' || r >= 'a' && r <= 'f') {
			return false
		}
	}
	return true
}

// CanonicalRequest is the text that is signed: scheme, method, path as sent,
// query sorted by name and value, timestamp, nonce, body digest, and every header
// whose name starts with X-Gongshu- (purpose, user, case: what the law wants on
// record must not be changed on the way), each on a line.
func CanonicalRequest(method string, u *url.URL, header http.Header, sig Signature) string {
	var b strings.Builder
	for _, line := range []string{SignatureScheme, method, u.EscapedPath(), canonicalQuery(u.Query()),
		strconv.FormatInt(sig.Timestamp, 10), sig.Nonce, sig.Digest} {
		b.WriteString(line)
		b.WriteByte('\n')
	}
	var names []string
	for name := range header {
		if strings.HasPrefix(strings.ToLower(name), "x-gongshu-") {
			names = append(names, name)
		}
	}
	slices.SortFunc(names, func(a, b string) int { return strings.Compare(strings.ToLower(a), strings.ToLower(b)) })
	for _, name := range names {
		for _, value := range header[name] {
			b.WriteString(strings.ToLower(name))
			b.WriteByte(':')
			b.WriteString(strings.TrimSpace(value))
			b.WriteByte('\n')
		}
	}
	return b.String()
}

func canonicalQuery(q url.Values) string {
	var pairs []string
	for name, values := range q {
		for _, v := range values {
			pairs = append(pairs, escape(name)+"="+escape(v))
		}
	}
	slices.Sort(pairs)
	return strings.Join(pairs, "&")
}

// escape is RFC 3986 percent-encoding of everything but unreserved characters.
func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }

// Sign computes the signature of a request with a signing secret (64 hexadecimal
// digits, as shown when the key was issued); clients in Go may use it as it is.
func Sign(secret, method string, u *url.URL, header http.Header, sig Signature) (Signature, error) {
	key, err := hex.DecodeString(secret)
	if err != nil || len(key) != sm3.Size {
		return sig, errors.New("identity: a signing secret has 64 hexadecimal digits")
	}
	sig.MAC = hex.EncodeToString(hmacSM3(key, []byte(CanonicalRequest(method, u, header, sig))))
	return sig, nil
}

// SM3Hex is the digest that a signed request states of its body.
func SM3Hex(body []byte) string {
	sum := sm3.Sum(body)
	return hex.EncodeToString(sum[:])
}

// Authenticate finds the API client behind a request: `Authorization: Bearer
// gsk_…`, or a signed header. For a signed request with a body, r.Body is replaced
// by a reader that fails at its end when the body is not the one that was signed:
// act on a body only when it has been read to its end without error. addr is the
// caller's address as the front knows it. Errors are those of ByKey, and
// errs.Unauthenticated for a signature that is wrong, out of its time window, or
// seen before.
func (s *Service) Authenticate(r *http.Request, addr netip.Addr) (*Caller, error) {
	header := r.Header.Get("Authorization")
	if key, ok := strings.CutPrefix(header, "Bearer "); ok {
		return s.ByKey(strings.TrimSpace(key), addr)
	}
	if header == "" {
		return nil, errs.New(errs.Unauthenticated, errs.T("请求未携带接口密钥（Authorization: Bearer …）", "The request carries no API key (Authorization: Bearer …)"))
	}
	sig, err := ParseSignature(header)
	if err != nil {
		return nil, err
	}
	return s.bySignature(r, sig, addr)
}

func (s *Service) bySignature(r *http.Request, sig Signature, addr netip.Addr) (*Caller, error) {
	t := s.clients.Load()
	caller, known := t.byID[sig.Key]
	if !known {
		return nil, t.unknown()
	}
	mac, _ := hex.DecodeString(sig.MAC)
	if !hmac.Equal(mac, hmacSM3(caller.signing, []byte(CanonicalRequest(r.Method, r.URL, r.Header, sig)))) {
		return nil, errs.New(errs.Unauthenticated, errs.T("签名与请求内容不符，请按接口签名文档核对待签文本", "The signature does not match the request; compare the signed text with the signing document"))
	}
	now := s.now()
	at := time.Unix(sig.Timestamp, 0)
	if off := now.Sub(at); off > s.limits.SignatureSkew || off < -s.limits.SignatureSkew {
		return nil, errs.Newf(errs.Unauthenticated, "签名时间与服务器时间 %[1]s 相差超过 %[2]d 分钟，请校准时钟", "The signature's time is more than %[2]d minutes from the server's %[1]s; set the clock",
			now.UTC().Format(time.RFC3339), int(s.limits.SignatureSkew/time.Minute))
	}
	if err := s.admit(caller, addr); err != nil {
		return nil, err
	}
	var fresh bool
	err := s.db.InTx(r.Context(), func(tx *db.Tx) (err error) {
		fresh, err = takeNonce(r.Context(), tx, sig.Key, sig.Nonce, at.Add(2*s.limits.SignatureSkew))
		return err
	})
	if err != nil {
		return nil, err
	}
	if !fresh {
		return nil, errs.New(errs.Unauthenticated, errs.T("该签名请求已提交过，重发时请更换随机串", "This signed request has been sent before; use a new nonce to send it again"))
	}
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = &checkedBody{body: r.Body, sum: sm3.New(), want: sig.Digest}
	} else if sig.Digest != SM3Hex(nil) {
		return nil, bodyMismatch()
	}
	return caller, nil
}

func bodyMismatch() *errs.Error {
	return errs.New(errs.Unauthenticated, errs.T("请求体与签名中的摘要不符", "The body is not the one whose digest was signed"))
}

// checkedBody reads a signed body and fails at its end when it is another one.
type checkedBody struct {
	body io.ReadCloser
	sum  hash.Hash
	want string
	err  error
}

func (c *checkedBody) Read(p []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.body.Read(p)
	c.sum.Write(p[:n])
	if err == io.EOF && !hmac.Equal([]byte(hex.EncodeToString(c.sum.Sum(nil))), []byte(c.want)) {
		err = bodyMismatch()
	}
	c.err = err
	return n, err
}

func (c *checkedBody) Close() error { return c.body.Close() }
