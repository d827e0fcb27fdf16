package errs_test

import (
	"errors"
	"fmt"
	"testing"

	"gongshu/internal/errs"
)

func TestKindSurvivesWrapping(t *testing.T) {
	cause := errors.New("disk full")
	err := fmt.Errorf("store batch: %w", errs.Newf(errs.Unavailable, "存储已满", "the store is full").In("file").By("FZM-29").Because(cause))
	if errs.KindOf(err) != errs.Unavailable || !errors.Is(err, cause) {
		t.Fatalf("kind %q, cause kept %v", errs.KindOf(err), errors.Is(err, cause))
	}
	if got, want := err.Error(), "store batch: unavailable in file: the store is full (FZM-29): disk full"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	if errs.KindOf(nil) != "" || errs.KindOf(cause) != errs.Internal {
		t.Error("nil must have no kind and a foreign error must be internal")
	}
}

func TestTextChoosesLanguage(t *testing.T) {
	text := errs.Tf("第 %d 行", "row %d", 3)
	for lang, want := range map[string]string{"zh": "第 3 行", "en": "row 3", "en-GB": "row 3", "": "第 3 行", "fr": "第 3 行"} {
		if got := text.In(lang); got != want {
			t.Errorf("%q: got %q, want %q", lang, got, want)
		}
	}
}

func TestWordingsNeedNotUseEveryArgument(t *testing.T) {
	text := errs.Tf("不是%[2]s", "is no %s", "date", "日期")
	if text.ZH != "不是日期" || text.EN != "is no date" {
		t.Errorf("got %+v", text)
	}
	if text := errs.Tf("不是%s，100%%", "100%% no", "日期"); text.ZH != "不是日期，100%" || text.EN != "100% no" {
		t.Errorf("got %+v", text)
	}
}
