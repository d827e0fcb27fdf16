package identity

import (
	"math"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"gongshu/internal/errs"
)

// Rules of secrets, locks and sessions. The duty is that of GB/T 22239-2019
// 8.1.4.1 (identity: complexity, regular change, limits on failures, time-out),
// the numbers are the city's practice.

// Lengths of a secret in characters; administrators take longer ones.
const (
	SecretMin      = 10
	SecretMinAdmin = 12
	SecretMax      = 128
	secretHistory  = 5 // the last five may not be taken again
	keysPerClient  = 5 // live keys at once, so that rotation can overlap
	nameMax        = 100
)

// poor are words that dictionaries try first; a secret that contains one after
// folding is refused.
var poor = []string{
	"password", "passw0rd", "p@ssw0rd", "p@ssword", "123456", "654321", "qwerty", "1qaz2wsx", "1q2w3e", "admin",
	"abcdef", "abc123", "letmein", "welcome", "iloveyou", "woaini", "88888", "66666", "111111", "000000", "gongshu",
	"fuzhou", "quanzhou", "foshan", "longyan", "zhengwu", "dashuju",
}

// checkSecret applies the rules to a chosen secret and names every one it breaks.
func checkSecret(login, name, plain string, post Post) error {
	var problems []errs.Problem
	add := func(code, zh, en string) {
		problems = append(problems, errs.Problem{Field: "secret", Code: code, Text: errs.T(zh, en)})
	}
	length, least := utf8.RuneCountInString(plain), SecretMin
	if post.Admin() {
		least = SecretMinAdmin
	}
	if length < least {
		problems = append(problems, errs.Problem{Field: "secret", Code: "short", Text: errs.Tf("口令至少 %d 个字符", "The password needs at least %d characters", least)})
	}
	if length > SecretMax {
		problems = append(problems, errs.Problem{Field: "secret", Code: "long", Text: errs.Tf("口令至多 %d 个字符", "The password takes at most %d characters", SecretMax)})
	}
	if !utf8.ValidString(plain) || strings.IndexFunc(plain, unicode.IsControl) >= 0 {
		add("characters", "口令含有不可用的字符", "The password contains characters that cannot be used")
	}
	if classes(plain) < 3 {
		add("classes", "口令须含大写字母、小写字母、数字、其他符号中的至少三类", "The password needs three of: capitals, small letters, digits, other signs")
	}
	folded := strings.ToLower(plain)
	for _, own := range []string{login, name} {
		if own = strings.ToLower(own); utf8.RuneCountInString(own) >= 2 && strings.Contains(folded, own) {
			add("own_name", "口令不得包含登录名或姓名", "The password may not contain your login or name")
			break
		}
	}
	for _, word := range poor {
		if strings.Contains(folded, word) {
			add("poor", "口令包含常被猜中的字串，请更换", "The password contains a string that is guessed first; take another")
			break
		}
	}
	if repeats(plain) {
		add("repeats", "口令不得多为重复或连续的字符", "The password may not be mostly repeated or consecutive characters")
	}
	if len(problems) == 0 {
		return nil
	}
	return errs.New(errs.Invalid, problems[0].Text).In("secret").With(problems...)
}

func classes(s string) int {
	var upper, lower, digit, other int
	for _, r := range s {
		switch {
		case r >= 'A' && r <= 'Z':
			upper = 1
		case r >= 'a' && r <= 'z':
			lower = 1
		case r >= '0' && r <= '9':
			digit = 1
		default:
			other = 1
		}
	}
	return upper + lower + digit + other
}

// repeats reports whether more than half of the steps from one character to the
// next are 0, +1 or -1.
func repeats(s string) bool {
	runes := []rune(s)
	if len(runes) < 2 {
		return false
	}
	dull := 0
	for i := 1; i < len(runes); i++ {
		if d := runes[i] - runes[i-1]; d >= -1 && d <= 1 {
			dull++
		}
	}
	return dull*2 > len(runes)-1
}

// loginDelay is how long a login name is refused after n failures in a row.
func (l Limits) loginDelay(n int) time.Duration {
	switch over := n - l.LockAfter; {
	case over >= 0:
		return doubled(l.Lock, over, l.LockMax)
	case over == -1:
		return 8 * time.Second
	case over == -2:
		return 2 * time.Second
	}
	return 0
}

// addrDelay is how long an address is refused after n failures within the window.
func (l Limits) addrDelay(n int) time.Duration {
	if over := n - l.AddrAfter; over >= 0 {
		return doubled(time.Minute, over, l.AddrWindow)
	}
	return 0
}

func doubled(first time.Duration, times int, most time.Duration) time.Duration {
	if times > 20 {
		return most
	}
	return min(first*time.Duration(math.Exp2(float64(times))), most)
}

// cleanLogin folds and checks a login name: 3 to 64 of letters, digits, and . _ - @.
func cleanLogin(login string) (string, error) {
	login = strings.ToLower(strings.TrimSpace(login))
	ok := len(login) >= 3 && len(login) <= 64
	for _, r := range login {
		if !(r >= 'a' && r <= 'z' || r >= '0' && r <= '9' || strings.ContainsRune("._-@", r)) {
			ok = false
		}
	}
	if !ok {
		return "", errs.New(errs.Invalid, errs.T("登录名为 3 至 64 位字母、数字或 . _ - @", "A login name has 3 to 64 letters, digits or . _ - @")).In("login")
	}
	return login, nil
}

func cleanName(name string) (string, error) {
	name = strings.TrimSpace(name)
	if n := utf8.RuneCountInString(name); n < 1 || n > nameMax || strings.IndexFunc(name, unicode.IsControl) >= 0 {
		return "", errs.Newf(errs.Invalid, "名称为 1 至 %d 个字符", "A name has 1 to %d characters", nameMax).In("name")
	}
	return name, nil
}

// ended tells whether and why a session no longer counts.
func (l Limits) ended(s Session, now time.Time) (why string, ended bool) {
	switch {
	case !s.EndedAt.IsZero():
		return s.EndedWhy, true
	case now.Sub(s.SeenAt) > l.Idle:
		return "idle", true
	case now.Sub(s.CreatedAt) > l.Absolute:
		return "absolute", true
	}
	return "", false
}

func sessionOver(why string) *errs.Error {
	switch why {
	case "idle":
		return errs.New(errs.Unauthenticated, errs.T("长时间未操作，会话已结束，请重新登录；已保存的草稿不受影响", "The session ended because it was not used; log in again. Saved drafts are kept"))
	case "absolute":
		return errs.New(errs.Unauthenticated, errs.T("会话已达最长时限，请重新登录", "The session reached its longest time; log in again"))
	case "disabled":
		return errs.New(errs.Unauthenticated, errs.T("账号已停用，会话已结束", "The account was disabled and its sessions ended"))
	case "factor":
		return errs.New(errs.Unauthenticated, errs.T("两步验证已被重置，会话已结束，请重新登录", "The second factor was reset and the session ended; log in again"))
	case "secret":
		return errs.New(errs.Unauthenticated, errs.T("口令已更换，请重新登录", "The password was changed; log in again"))
	}
	return errs.New(errs.Unauthenticated, errs.T("会话已结束，请重新登录", "The session has ended; log in again"))
}
