package identity

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/emmansun/gmsm/sm3"

	"gongshu/internal/db"
	"gongshu/internal/errs"
)

// APIClient is a department's business system that calls the data service. It
// has no rights of its own: grants name it.
type APIClient struct {
	ID        string
	Name      string
	System    string // the business system it belongs to
	Body      string // body id
	BodyName  string
	District  string // division code of the body
	Level     string // level of the body
	State     string // Active or Disabled
	Signed    bool   // every request must carry an HMAC-SM3 signature
	Addresses []netip.Prefix
	CreatedAt time.Time
	CreatedBy string
}

// ClientKey is a key of a client as pages show it; the secret part is not kept.
type ClientKey struct {
	ID        string // public part, the start of the key
	Client    string
	CreatedAt time.Time
	CreatedBy string
	ExpiresAt time.Time // zero: no end set
	RevokedAt time.Time // zero: live
	UsedAt    time.Time // zero: never; follows the use within a minute
}

// Live reports whether the key works at t.
func (k ClientKey) Live(t time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || t.Before(k.ExpiresAt))
}

// IssuedKey is a key at the one moment when it can be seen.
type IssuedKey struct {
	ClientKey
	Key           string // bearer key: gsk_<id>_<secret>
	SigningSecret string // for HMAC-SM3 signatures, 64 hexadecimal digits
}

// NewClient is what CreateClientTx needs.
type NewClient struct {
	Name, System                    string
	Body, BodyName, District, Level string
	Signed                          bool
	Addresses                       []netip.Prefix
	By                              string
}

// ParseAddresses reads a list of addresses and CIDR ranges separated by spaces,
// commas or lines; errs.Invalid names the first that is neither.
func ParseAddresses(text string) ([]netip.Prefix, error) {
	fields := strings.FieldsFunc(text, func(r rune) bool {
		return r == ',' || r == '，' || r == ';' || r == ' ' || r == '\n' || r == '\r' || r == '\t'
	})
	if len(fields) > 100 {
		return nil, errs.New(errs.Invalid, errs.T("来源地址至多 100 项", "At most 100 source addresses")).In("addresses")
	}
	var out []netip.Prefix
	for _, f := range fields {
		if addr, err := netip.ParseAddr(f); err == nil {
			addr = addr.Unmap().WithZone("")
			out = append(out, netip.PrefixFrom(addr, addr.BitLen()))
			continue
		}
		p, err := netip.ParsePrefix(f)
		if err != nil {
			return nil, errs.Newf(errs.Invalid, "“%s”不是地址或网段（如 10.1.2.0/24）", "%q is neither an address nor a range (such as 10.1.2.0/24)", f).In("addresses")
		}
		if p.Bits() == 0 {
			return nil, errs.Newf(errs.Invalid, "网段 %s 等于不限制；不限制请留空", "The range %s means anywhere; leave the list empty for that", f).In("addresses")
		}
		out = append(out, p.Masked())
	}
	return out, nil
}

// CreateClientTx makes a client without keys.
func (s *Service) CreateClientTx(ctx context.Context, tx *db.Tx, in NewClient) (APIClient, error) {
	name, err := cleanName(in.Name)
	if err != nil {
		return APIClient{}, err
	}
	if in.Body == "" {
		return APIClient{}, errs.New(errs.Invalid, errs.T("请选择客户端所属单位", "Choose the body that the client belongs to")).In("body")
	}
	c := APIClient{ID: db.NewID(), Name: name, System: strings.TrimSpace(in.System), Body: in.Body, BodyName: in.BodyName,
		District: in.District, Level: in.Level, State: Active, Signed: in.Signed, Addresses: in.Addresses,
		CreatedAt: s.now(), CreatedBy: in.By}
	if err := insertClient(ctx, tx, c); err != nil {
		return APIClient{}, err
	}
	return c, s.clientsChanged(ctx, tx)
}

// ClientChange is what UpdateClientTx changes; nil fields stay.
type ClientChange struct {
	Name, System, State *string
	Signed              *bool
	Addresses           *[]netip.Prefix
}

// UpdateClientTx changes a client; it takes effect here when the transaction has
// committed, on other nodes within a second.
func (s *Service) UpdateClientTx(ctx context.Context, tx *db.Tx, id string, change ClientChange) error {
	c, err := clientByID(ctx, tx, id)
	if err != nil {
		return err
	}
	if change.Name != nil {
		if c.Name, err = cleanName(*change.Name); err != nil {
			return err
		}
	}
	if change.System != nil {
		c.System = strings.TrimSpace(*change.System)
	}
	if change.State != nil {
		if *change.State != Active && *change.State != Disabled {
			return errs.New(errs.Invalid, errs.T("客户端状态不正确", "No such state of a client")).In("state")
		}
		c.State = *change.State
	}
	if change.Signed != nil {
		c.Signed = *change.Signed
	}
	if change.Addresses != nil {
		c.Addresses = *change.Addresses
	}
	if err := updateClient(ctx, tx, c); err != nil {
		return err
	}
	return s.clientsChanged(ctx, tx)
}

// BodyChangedTx carries a body's new name, division and level into its clients.
func (s *Service) BodyChangedTx(ctx context.Context, tx *db.Tx, body, name, district, level string) error {
	n, err := updateClientBodies(ctx, tx, body, name, district, level)
	if err != nil || n == 0 {
		return err
	}
	return s.clientsChanged(ctx, tx)
}

// IssueKeyTx makes a key for a client. The result is the only sight of it; the
// store keeps its SM3 digest. expires zero sets no end. At most five keys of a
// client are live at once, so that rotation can overlap.
func (s *Service) IssueKeyTx(ctx context.Context, tx *db.Tx, client, by string, expires time.Time) (IssuedKey, error) {
	now := s.now()
	if !expires.IsZero() && !expires.After(now) {
		return IssuedKey{}, errs.New(errs.Invalid, errs.T("密钥到期日须在今天之后", "A key expires after today")).In("expires")
	}
	if _, err := clientByID(ctx, tx, client); err != nil {
		return IssuedKey{}, err
	}
	keys, err := keysOf(ctx, tx, client)
	if err != nil {
		return IssuedKey{}, err
	}
	live := 0
	for _, k := range keys {
		if k.Live(now) {
			live++
		}
	}
	if live >= keysPerClient {
		return IssuedKey{}, errs.Newf(errs.Conflict, "一个客户端至多同时有 %d 把有效密钥，请先停用旧密钥", "A client has at most %d live keys; revoke an old one first", keysPerClient)
	}
	k := IssuedKey{ClientKey: ClientKey{ID: keyID(), Client: client, CreatedAt: now, CreatedBy: by, ExpiresAt: expires}}
	k.Key = keyPrefix + k.ID + "_" + newToken()
	k.SigningSecret = hex.EncodeToString(s.signingSecret(k.ID))
	if err := insertKey(ctx, tx, k.ClientKey, digestToken(k.Key)); err != nil {
		return IssuedKey{}, err
	}
	return k, s.clientsChanged(ctx, tx)
}

// RevokeKeyTx ends a key for good.
func (s *Service) RevokeKeyTx(ctx context.Context, tx *db.Tx, client, key string) error {
	n, err := revokeKey(ctx, tx, client, key, s.now())
	if err != nil {
		return err
	}
	if n == 0 {
		return errs.New(errs.NotFound, errs.T("该密钥不存在或已停用", "There is no such key, or it is revoked"))
	}
	return s.clientsChanged(ctx, tx)
}

func (s *Service) clientsChanged(ctx context.Context, tx *db.Tx) error {
	if err := bumpChange(ctx, tx); err != nil {
		return err
	}
	tx.AfterCommit(func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if err := s.LoadClients(ctx); err != nil {
			// The old table may let in what has just been shut out: let nobody in
			// until Run has read the new one.
			s.clients.Store(&clientTable{stale: err})
		}
	})
	return nil
}

// Client returns a client by id; errs.NotFound when there is none.
func (s *Service) Client(ctx context.Context, id string) (APIClient, error) {
	return clientByID(ctx, s.db.Read(), id)
}

// ClientTx is Client within a transaction.
func (s *Service) ClientTx(ctx context.Context, tx *db.Tx, id string) (APIClient, error) {
	return clientByID(ctx, tx, id)
}

// Clients returns the clients of a body, or of all bodies when body is "", by name.
func (s *Service) Clients(ctx context.Context, body string) ([]APIClient, error) {
	return clientsOf(ctx, s.db.Read(), body)
}

// Keys returns the keys of a client, newest first.
func (s *Service) Keys(ctx context.Context, client string) ([]ClientKey, error) {
	return keysOf(ctx, s.db.Read(), client)
}

const keyPrefix = "gsk_"

const keyAlphabet = "abcdefghjkmnpqrstuvwxyz23456789"

func keyID() string {
	b := make([]byte, 10)
	for i := range b {
		b[i] = keyAlphabet[randomBelow(len(keyAlphabet))]
	}
	return string(b)
}

// signingSecret derives the secret with which a key's requests are signed from
// the server's own key, so that the database never holds it.
func (s *Service) signingSecret(key string) []byte {
	return hmacSM3(s.key, []byte("gongshu-signing-secret\x00"+key))
}

func hmacSM3(key, message []byte) []byte {
	const block = sm3.BlockSize
	if len(key) > block {
		sum := sm3.Sum(key)
		key = sum[:]
	}
	var inner, outer [block]byte
	copy(inner[:], key)
	copy(outer[:], key)
	for i := range inner {
		inner[i] ^= 0x36
		outer[i] ^= 0x5c
	}
	h := sm3.New()
	h.Write(inner[:])
	h.Write(message)
	sum := h.Sum(nil)
	h.Reset()
	h.Write(outer[:])
	h.Write(sum)
	return h.Sum(nil)
}

// String shows a client in logs without anything secret.
func (c APIClient) String() string { return fmt.Sprintf("client %s (%s)", c.ID, c.Name) }

// ClientsTx returns the clients of a body within a transaction.
func (s *Service) ClientsTx(ctx context.Context, tx *db.Tx, body string) ([]APIClient, error) {
	return clientsOf(ctx, tx, body)
}
