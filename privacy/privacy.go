// Package privacy knows personal data when it sees it and makes it less
// personal: validators of identifiers, recognisers of personal columns, masks,
// k-anonymity and disclosure control. It is pure: no storage, no clock, no
// network. Secrets enter through the Keys interface.
package privacy

// Kind names a kind of personal (or organisational) identifier. The values are
// the platform's fixed vocabulary and are stored in the catalog.
type Kind string

// The kinds. KindNone means "not personal as far as can be seen".
const (
	KindNone       Kind = ""
	KindName       Kind = "name"
	KindResidentID Kind = "resident_id"
	KindPhone      Kind = "phone"
	KindAddress    Kind = "address"
	KindBankCard   Kind = "bank_card"
	KindPlate      Kind = "plate"
	KindEmail      Kind = "email"
	KindPassport   Kind = "passport"
	KindBirthDate  Kind = "birth_date"
	KindUSCC       Kind = "uscc"
)

// Kinds lists every kind but KindNone, in the order of screens.
func Kinds() []Kind {
	return []Kind{KindName, KindResidentID, KindPhone, KindAddress, KindBankCard,
		KindPlate, KindEmail, KindPassport, KindBirthDate, KindUSCC}
}

// Personal says whether the kind is about a natural person. A USCC is an
// organisation's; a plate is counted as personal because most are.
func (k Kind) Personal() bool { return k != KindNone && k != KindUSCC }

// Direct says whether one value of the kind singles out a person by itself.
func (k Kind) Direct() bool {
	switch k {
	case KindResidentID, KindPhone, KindBankCard, KindPlate, KindEmail, KindPassport:
		return true
	}
	return false
}

// Text is what validators and masks read: text in either of Go's two forms.
type Text interface{ ~string | ~[]byte }
