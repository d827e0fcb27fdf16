package audit

import (
	"bytes"
	"encoding/json"
	"time"

	"gongshu/internal/db"
)

// keys are the values of an entry that searches go by, cut out of its canonical
// form without parsing the whole.
type keys struct {
	at                                                  int64 // milliseconds
	actorName, bodyName                                 []byte
	action, actor, body, kase, grant, outcome, resource []byte
	target                                              []byte // the body that owns the target
}

type fieldValue struct {
	field string
	value []byte
}

// fields are the values by the names that the index has for them; people and
// bodies are found by id and by name.
func (k *keys) fields() [10]fieldValue {
	return [10]fieldValue{
		{"actor", k.actor}, {"actor", k.actorName}, {"body", k.body}, {"body", k.bodyName}, {"body", k.target}, {"action", k.action},
		{"resource", k.resource}, {"case", k.kase}, {"grant", k.grant}, {"outcome", k.outcome},
	}
}

// scanKeys walks over the top level of a canonical form; false when it is not
// one. The values are parts of content, or unescaped copies.
func scanKeys(content []byte) (k keys, ok bool) {
	b := content
	if len(b) < 2 || b[0] != '{' {
		return k, false
	}
	b = b[1:]
	for {
		key, rest, ok := cutString(b)
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return k, false
		}
		value := rest[1:]
		if len(value) > 0 && value[0] == '"' {
			text, after, ok := cutString(value)
			if !ok {
				return k, false
			}
			k.set(key, text)
			b = after
		} else {
			n := skip(value)
			if n <= 0 {
				return k, false
			}
			b = value[n:]
		}
		if len(b) == 1 && b[0] == '}' {
			return k, k.at != 0
		}
		if len(b) == 0 || b[0] != ',' {
			return k, false
		}
		b = b[1:]
	}
}

func (k *keys) set(key, value []byte) {
	if bytes.IndexByte(value, '\\') >= 0 {
		var plain string
		if json.Unmarshal(append(append([]byte{'"'}, value...), '"'), &plain) != nil {
			return
		}
		value = []byte(plain)
	}
	switch string(key) {
	case "action":
		k.action = value
	case "actor":
		k.actor = value
	case "actor_name":
		k.actorName = value
	case "body_name":
		k.bodyName = value
	case "at":
		if t, err := time.Parse(timeFormat, string(value)); err == nil {
			k.at = db.Ms(t)
		}
	case "body":
		k.body = value
	case "case":
		k.kase = value
	case "grant":
		k.grant = value
	case "outcome":
		k.outcome = value
	case "resource":
		k.resource = value
	case "target_body":
		k.target = value
	}
}

// cutString takes a JSON string off the front: what stands between its quotes,
// still escaped, and the rest.
func cutString(b []byte) (inner, rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		return nil, nil, false
	}
	for i := 1; i < len(b); i++ {
		switch b[i] {
		case '\\':
			i++
		case '"':
			return b[1:i], b[i+1:], true
		}
	}
	return nil, nil, false
}

// skip is the length of a number, a word, a list or an object at the front.
func skip(b []byte) int {
	depth := 0
	for i := 0; i < len(b); i++ {
		switch b[i] {
		case '"':
			_, rest, ok := cutString(b[i:])
			if !ok {
				return -1
			}
			i = len(b) - len(rest) - 1
		case '{', '[':
			depth++
		case '}', ']':
			if depth == 0 {
				return i
			}
			depth--
		case ',':
			if depth == 0 {
				return i
			}
		}
	}
	return -1
}
