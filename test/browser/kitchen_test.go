package browser_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gongshu/test/browser"
	"gongshu/ui"
	"gongshu/ui/kitchen"
)

// pictures is where screenshots of a run are kept.
func pictures() string {
	if dir := os.Getenv("SCREENSHOTS"); dir != "" {
		return dir
	}
	return filepath.Join("..", "..", "test-results", "screens")
}

func start(t *testing.T) *browser.Browser {
	t.Helper()
	b, err := browser.Open(context.Background(), pictures())
	if errors.Is(err, browser.ErrNoBrowser) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// TestKitchen looks at every component at both widths.
func TestKitchen(t *testing.T) {
	if !ui.AssetsBuilt() {
		t.Skip("the bundle is not built: npm ci --prefix ui && go run ./ui/build")
	}
	server := kitchen.Server()
	defer server.Close()
	b := start(t)
	for _, path := range []string{"/", "/forms", "/portal", "/error"} {
		for name, width := range map[string]int{"desk": browser.Desk, "phone": browser.Phone} {
			file := "kitchen/" + strings.Trim(strings.Replace(path, "/", "page-", 1), "-") + "-" + name
			report, err := b.Look(server.URL+path+"?lang=zh", width, file)
			if err != nil {
				t.Fatal(err)
			}
			for _, fault := range report.Faults {
				t.Errorf("%s at %s: %s", path, name, fault)
			}
			if report.Bytes == 0 || report.Bytes > 200_000 {
				t.Errorf("%s at %s: %d bytes over the wire, must be under 200,000", path, name, report.Bytes)
			}
		}
	}
}
