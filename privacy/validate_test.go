package privacy

import (
	"testing"
)

var validatorCases = []struct {
	kind Kind
	in   string
	want Verdict
}{
	{KindResidentID, "11010519491231002X", Verdict{}},
	{KindResidentID, "440524188001010014", Verdict{}},
	{KindResidentID, "350102199001010016", Verdict{}},
	{KindResidentID, "350500198512311245", Verdict{}},
	{KindResidentID, "440604200002290037", Verdict{}},
	{KindResidentID, "350800197006152212", Verdict{}},
	{KindResidentID, "11010519491231002x", bad(LowerCase)},
	{KindResidentID, "110105194912310021", bad(WrongCheckDigit)},
	{KindResidentID, "11010519491331002X", bad(WrongDate)},
	{KindResidentID, "110105190002290019", bad(WrongDate)}, // 1900 was no leap year
	{KindResidentID, "01010519491231002X", bad(WrongRegion)},
	{KindResidentID, "1101051949123100X2", bad(WrongCharacter)},
	{KindResidentID, "110105194912310", bad(WrongDate)}, // read as fifteen digits: month 49
	{KindResidentID, "110105491231002", Verdict{Warning: LegacyLength}},
	{KindResidentID, "11010549123100X", bad(WrongCharacter)},
	{KindResidentID, "1101054912310", bad(WrongLength)},
	{KindResidentID, "", bad(WrongLength)},
	{KindUSCC, "91350100M000100Y43", Verdict{}},
	{KindUSCC, "11350100000000019N", Verdict{}},
	{KindUSCC, "12350500MB00000278", Verdict{}},
	{KindUSCC, "91440600MA00000317", Verdict{}},
	{KindUSCC, "51350800MJ0000042P", Verdict{}},
	{KindUSCC, "91350100M000100Y44", bad(WrongCheckDigit)},
	{KindUSCC, "91350100m000100Y43", bad(LowerCase)},
	{KindUSCC, "91350100I000100Y43", bad(WrongCharacter)},
	{KindUSCC, "91350100M000100Y4", bad(WrongLength)},
	{KindUSCC, "9135O100M000100Y43", bad(WrongCharacter)},
	{KindPhone, "13800138000", Verdict{}},
	{KindPhone, "19912345678", Verdict{}},
	{KindPhone, "12012345678", bad(WrongPrefix)},
	{KindPhone, "1380013800", bad(WrongLength)},
	{KindPhone, "1380013800a", bad(WrongCharacter)},
	{KindPhone, "0591-87654321", Verdict{}},
	{KindPhone, "02087654321", Verdict{}},
	{KindPhone, "05918-7654321", bad(WrongForm)},
	{KindBankCard, "6222020000000000000", Verdict{}},
	{KindBankCard, "6222020000000000001", bad(WrongCheckDigit)},
	{KindBankCard, "6217000000000000004", Verdict{}},
	{KindBankCard, "4111111111111111", Verdict{Warning: UnusualCard}},
	{KindBankCard, "411111111111", bad(WrongLength)},
	{KindPlate, "闽A12345", Verdict{}},
	{KindPlate, "闽AD12345", Verdict{}},
	{KindPlate, "粤E12345F", Verdict{}},
	{KindPlate, "粤Z1234港", Verdict{}},
	{KindPlate, "闽A1234挂", Verdict{}},
	{KindPlate, "闽A1234挂5", bad(WrongLength)},
	{KindPlate, "闽I12345", bad(WrongCharacter)},
	{KindPlate, "闽A1234O", bad(WrongCharacter)},
	{KindPlate, "闽AL12345", bad(WrongForm)},
	{KindPlate, "国A12345", bad(WrongPrefix)},
	{KindEmail, "li.na@fuzhou.gov.cn", Verdict{}},
	{KindEmail, "li..na@fuzhou.gov.cn", bad(WrongForm)},
	{KindEmail, "lina@fuzhou", bad(WrongForm)},
	{KindEmail, "li na@fuzhou.cn", bad(WrongCharacter)},
	{KindPassport, "E12345678", Verdict{}},
	{KindPassport, "EA1234567", Verdict{}},
	{KindPassport, "EI1234567", bad(WrongPrefix)},
	{KindPassport, "G1234567", bad(WrongLength)},
}

func TestValidators(t *testing.T) {
	for _, c := range validatorCases {
		if got := Validate(c.kind, c.in); got != c.want {
			t.Errorf("%s %q: %v (%s), want %v (%s)", c.kind, c.in, got, got.Flaw.EN(), c.want, c.want.Flaw.EN())
		}
		if got := Validate(c.kind, []byte(c.in)); got != c.want {
			t.Errorf("%s %q as bytes: %v, want %v", c.kind, c.in, got, c.want)
		}
	}
}

func TestValidatorsAllocateNothing(t *testing.T) {
	b := []byte("11010519491231002X")
	if n := testing.AllocsPerRun(100, func() {
		ResidentID(b)
		USCC("91350100M000100Y43")
		Phone("13800138000")
		BankCard("6217000000000000004")
		Plate("闽A1234挂")
		Email("li.na@fuzhou.gov.cn")
	}); n != 0 {
		t.Errorf("%v allocations, want none", n)
	}
}

func TestPermitsAndUpgrade(t *testing.T) {
	withCheck := func(s string) string { return s + string(idCheckDigit(s)) }
	for _, c := range []struct {
		id   string
		want Flaw
	}{
		{withCheck("81000019900101001"), Sound},
		{withCheck("83000019900101001"), Sound},
		{withCheck("81010019900101001"), UnusualPermit},
		{withCheck("93515619900101001"), Sound}, // issued in Fujian
		{withCheck("90015619900101001"), UnknownRegion},
		{withCheck("99999919900101001"), UnknownRegion},
	} {
		if v := ResidentID(c.id); !v.OK() || v.Warning != c.want {
			t.Errorf("%s: %v, want warning %v", c.id, v, c.want)
		}
	}
	id, ok := UpgradeResidentID("110105491231002")
	if !ok || id != "11010519491231002X" {
		t.Errorf("upgrade gave %q %v", id, ok)
	}
	f, ok := ReadResidentID("110105491231002")
	if !ok || f != (IDFacts{Region: "110105", Year: 1949, Month: 12, Day: 31}) {
		t.Errorf("facts %+v", f)
	}
	if _, ok := ReadResidentID("350102199001010010"); ok {
		t.Error("facts of an unsound number")
	}
}
