package operation

import (
	"io/fs"

	"gongshu/identity"
)

// LoadFrom and Refusal open the engine to tests with policies of their own.
func LoadFrom(files fs.FS) (*Policies, error) { return loadFrom(files) }

func (set *Policies) Refusal(a identity.Actor, action Action, t Target) error {
	d, err := set.Decide(a, action, t)
	if err != nil {
		return err
	}
	return set.refusal(a, action, t, d)
}
