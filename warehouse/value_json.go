package warehouse

import "encoding/json"

// MarshalJSON writes the value so that a Filter can be kept with a grant.
func (v Value) MarshalJSON() ([]byte, error) {
	switch v.Kind {
	case Null:
		return []byte("null"), nil
	case String:
		return json.Marshal(v.S)
	case Floating:
		return json.Marshal(struct {
			F float64 `json:"f"`
		}{v.Float()})
	}
	return json.Marshal(struct {
		N int64 `json:"n,string"`
	}{v.N})
}

// UnmarshalJSON reads what MarshalJSON wrote.
func (v *Value) UnmarshalJSON(b []byte) error {
	*v = Value{}
	if len(b) > 0 && b[0] == '"' {
		v.Kind = String
		return json.Unmarshal(b, &v.S)
	}
	var o struct {
		N *int64   `json:"n,string"`
		F *float64 `json:"f"`
	}
	if err := json.Unmarshal(b, &o); err != nil {
		return err
	}
	switch {
	case o.N != nil:
		*v = NumberValue(*o.N)
	case o.F != nil:
		*v = FloatValue(*o.F)
	}
	return nil
}
