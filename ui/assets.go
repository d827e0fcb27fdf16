package ui

import (
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"

	"gongshu/internal/web"
)

//go:embed all:dist
var dist embed.FS

// StaticPath is where the browser finds the bundled files.
const StaticPath = "/static/"

// manifest maps the name of a bundled file to its hashed name; empty when the
// bundle was not built.
var manifest = readManifest()

func readManifest() map[string]string {
	m := map[string]string{}
	raw, err := dist.ReadFile("dist/manifest.json")
	if err != nil {
		return m
	}
	if json.Unmarshal(raw, &m) != nil {
		return map[string]string{}
	}
	return m
}

// Asset gives the address of a bundled file ("app.css", "app.js"), "" when the
// bundle was not built: pages then work unstyled.
func Asset(name string) string {
	if hashed := manifest[name]; hashed != "" {
		return StaticPath + hashed
	}
	return ""
}

// Assets serves the bundle under StaticPath, precompressed and cached for good.
func Assets() http.Handler {
	files, err := fs.Sub(dist, "dist")
	if err != nil {
		panic(err)
	}
	return http.StripPrefix(StaticPath, web.Static(files))
}

// AssetsBuilt says whether the bundle is inside this binary; where it is not,
// the program warns at start: run `go run ./ui/build`.
func AssetsBuilt() bool { return Asset("app.css") != "" && Asset("app.js") != "" }

const logoMark = `<rect width="32" height="32" rx="7" fill="#0c3f78"/>` +
	`<path d="M8 8.2h16v3.4h-6.2v4.2h-3.6v-4.2H8z" fill="#fff"/>` +
	`<path d="M7 17.6h18v2.6H7z" fill="#8fc1f3"/><path d="M7 21.6h18v2.6H7z" fill="#e9b44c"/>`

func logoAddress() string {
	svg := `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32">` + logoMark + `</svg>`
	return "data:image/svg+xml;base64," + base64.StdEncoding.EncodeToString([]byte(svg))
}
