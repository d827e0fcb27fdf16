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

// Walk hands the members of a canonical form, or of an object within one, to
// member in their order: the name without quotes, the value as it stands (see
// [Text]). Both are parts of content. It is false when content is not an object
// in canonical form; it costs a fraction of [ParseEntry] and proves nothing.
func Walk(content []byte, member func(name, value []byte)) bool {
	b := content
	if len(b) < 2 || b[0] != '{' {
		return false
	}
	if len(b) == 2 {
		return b[1] == '}'
	}
	b = b[1:]
	for {
		name, rest, ok := cutString(b)
		if !ok || len(rest) == 0 || rest[0] != ':' {
			return false
		}
		value := rest[1:]
		n := skip(value)
		if n <= 0 {
			return false
		}
		member(name, value[:n])
		b = value[n:]
		if len(b) == 1 && b[0] == '}' {
			return true
		}
		if b[0] != ',' {
			return false
		}
		b = b[1:]
	}
}

// Text is the text of a string that [Walk] gave, a part of it or an unescaped
// copy; nil for a value of another kind.
func Text(value []byte) []byte {
	if len(value) < 2 || value[0] != '"' {
		return nil
	}
	if bytes.IndexByte(value, '\\') < 0 {
		return value[1 : len(value)-1]
	}
	var plain string
	if json.Unmarshal(value, &plain) != nil {
		return nil
	}
	return []byte(plain)
}

// scanKeys cuts the keys out of a canonical form; false when it is not one.
func scanKeys(content []byte) (k keys, ok bool) {
	ok = Walk(content, func(name, value []byte) {
		if value[0] == '"' {
			k.set(name, Text(value))
		}
	})
	return k, ok && k.at != 0
}

func (k *keys) set(key, value []byte) {
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
		if t, err := time.Parse(TimeFormat, string(value)); err == nil {
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
	end := bytes.IndexByte(b[1:], '"') + 1
	if end > 0 && bytes.IndexByte(b[1:end], '\\') < 0 {
		return b[1:end], b[end+1:], true
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
