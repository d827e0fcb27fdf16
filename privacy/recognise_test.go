package privacy

import (
	"fmt"
	"strings"
	"testing"
)

// heldOut are columns that were written down before the rules were tried on them
// and that the rules were not fitted to.
var heldOut = []struct {
	column string
	values []string
	want   Kind
}{
	{"申请人身份证号码", []string{"350102199001010016", "350500198512311245"}, KindResidentID},
	{"SFZH", nil, KindResidentID},
	{"applicant_id_card", []string{"440604200002290037"}, KindResidentID},
	{"证件号码", []string{"350800197006152212", "11010519491231002X", "350102199001010016"}, KindResidentID},
	{"证件类型", []string{"居民身份证", "护照"}, KindNone},
	{"备注", []string{"350102199001010016", "350500198512311245", "440604200002290037"}, KindResidentID},
	{"户主姓名", []string{"陈志强", "林美华", "欧阳修远"}, KindName},
	{"法定代表人", []string{"黄建国", "吴丽"}, KindName},
	{"col3", []string{"王伟", "李静怡", "张志远", "陈晓东", "刘洋", "欧阳娜"}, KindName},
	{"姓名", []string{"12", "15", "18", "22", "31", "40"}, KindNone},
	{"街道名称", []string{"东街", "鼓西路", "温泉街", "华大路", "五凤街", "洪山镇"}, KindNone},
	{"法人单位数", []string{"12", "30"}, KindNone},
	{"单位名称", []string{"福州市民政局", "福州市公安局"}, KindNone},
	{"颜色", []string{"黄色", "白色", "金色", "蓝色", "安全色"}, KindNone},
	{"联系人手机", []string{"13800138000", "18912345678"}, KindPhone},
	{"contactPhone", []string{"0591-87654321"}, KindPhone},
	{"tel", nil, KindPhone},
	{"手机品牌", []string{"华为", "小米"}, KindNone},
	{"字段一", []string{"13800138000", "13900139000", "18612345678"}, KindPhone},
	{"流水号", []string{"20260101000123", "20260101000124", "20260101000125"}, KindNone},
	{"序号", []string{"1", "2", "3"}, KindNone},
	{"家庭住址", []string{"福建省福州市鼓楼区东街8号3栋201室"}, KindAddress},
	{"所在位置", []string{"福州市鼓楼区五四路158号环球广场", "福州市台江区江滨西大道100号", "福州市晋安区福新路12号"}, KindAddress},
	{"网址", []string{"www.fuzhou.gov.cn"}, KindNone},
	{"IP地址", []string{"10.0.0.1"}, KindNone},
	{"收款银行账号", []string{"6217000000000000004"}, KindBankCard},
	{"号码", []string{"6217000000000000004", "6222020000000000000"}, KindBankCard},
	{"订单编号", []string{"6217000000000000001", "6217000000000000002", "6217000000000000003", "6217000000000000004", "6217000000000000005"}, KindNone},
	{"号牌号码", []string{"闽A12345", "闽AD12345"}, KindPlate},
	{"车牌颜色", []string{"蓝", "绿"}, KindNone},
	{"vehicle", []string{"闽A12345", "闽C8K888", "粤E12345F"}, KindPlate},
	{"电子邮箱", []string{"li.na@fuzhou.gov.cn"}, KindEmail},
	{"notes", []string{"a@b.cn", "x.y@z.com", "none"}, KindEmail},
	{"护照号", []string{"E12345678"}, KindPassport},
	{"出生年月", []string{"199001", "198512"}, KindBirthDate},
	{"登记日期", []string{"2020-01-01", "2021-05-06"}, KindNone},
	{"统一社会信用代码", []string{"91350100M000100Y43"}, KindUSCC},
	{"code", []string{"91350100M000100Y43", "11350100000000019N", "12350500MB00000278"}, KindUSCC},
	{"PM2.5", []string{"35", "40", "28"}, KindNone},
	{"年收入", []string{"120000", "85000"}, KindNone},
	{"区划代码", []string{"350102", "350103"}, KindNone},
	{"村委会代码", []string{"350102001001", "350102001002", "350102001003"}, KindNone},
	{"手机号码", []string{"138****8000", "139****9000"}, KindPhone},
}

func TestRecogniserOnHeldOutColumns(t *testing.T) {
	for _, c := range heldOut {
		f := Recognise(c.column, c.values)
		got := f.Kind
		if f.Confidence < Proposed {
			got = KindNone
		}
		if got != c.want {
			t.Errorf("%s %v: %+v, want %q", c.column, c.values, f, c.want)
		}
		if f.Confidence < 0 || f.Confidence > 1 || f.Matched > f.Sampled {
			t.Errorf("%s: impossible finding %+v", c.column, f)
		}
	}
}

// TestRareIdentifiers: a few identifiers in a column of something else are found.
func TestRareIdentifiers(t *testing.T) {
	values := make([]string, 100)
	for i := range values {
		values[i] = fmt.Sprintf("事项 %d 已办结", i)
	}
	values[7], values[40], values[77] = "350102199001010016", "350500198512311245", "440604200002290037"
	if f := Recognise("办理结果", values); f.Kind != KindResidentID || f.Matched != 3 || f.Confidence < Proposed || f.Confidence > 0.6 {
		t.Errorf("%+v", f)
	}
}

func TestScanText(t *testing.T) {
	text := "来电人13800138000（车闽AD12345，身份证11010519491231002X）反映 li.na@fuzhou.gov.cn。卡6217000000000000004；单号12345678901234567890；2026-11-21；粤Z1234港；护照E12345678"
	var got []string
	for _, s := range ScanText(text) {
		got = append(got, string(s.Kind)+"="+text[s.Start:s.End])
	}
	want := "phone=13800138000 plate=闽AD12345 resident_id=11010519491231002X email=li.na@fuzhou.gov.cn bank_card=6217000000000000004 plate=粤Z1234港 passport=E12345678"
	if strings.Join(got, " ") != want {
		t.Errorf("got  %s\nwant %s", strings.Join(got, " "), want)
	}
}

func FuzzScanText(f *testing.F) {
	f.Add("身份证11010519491231002X，闽A12345")
	f.Add("\xe9\x97\xbd\xffA12345 a@b.c")
	f.Fuzz(func(t *testing.T, s string) {
		at := 0
		for _, sp := range ScanText(s) {
			if sp.Start < at || sp.End <= sp.Start || sp.End > len(s) || sp.Kind == KindNone {
				t.Fatalf("span %+v of %q", sp, s)
			}
			at = sp.End
		}
		Recognise(s, []string{s, s, s})
	})
}
