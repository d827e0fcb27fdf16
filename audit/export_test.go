package audit_test

import "golang.org/x/mod/sumdb/tlog"

func leafHash(content string) []byte {
	h := tlog.RecordHash([]byte(content))
	return h[:]
}
