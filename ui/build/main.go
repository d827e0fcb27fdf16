// Command build bundles the browser's files from ui/src and ui/node_modules into
// ui/dist: hashed names, .br and .gz beside each, and manifest.json. Run it from
// the module's root after `npm ci --prefix ui`: go run ./ui/build
package main

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/andybalholm/brotli"
	"github.com/evanw/esbuild/pkg/api"
)

func main() {
	if err := run("ui"); err != nil {
		fmt.Fprintln(os.Stderr, "ui/build:", err)
		os.Exit(1)
	}
}

func run(root string) error {
	if _, err := os.Stat(filepath.Join(root, "node_modules", "@tabler", "core")); err != nil {
		return errors.New("the packages are not installed; run: npm ci --prefix " + root)
	}
	out := filepath.Join(root, "dist")
	result := api.Build(api.BuildOptions{
		EntryPointsAdvanced: []api.EntryPoint{
			{InputPath: filepath.Join(root, "src", "app.js"), OutputPath: "app"},
			{InputPath: filepath.Join(root, "src", "app.css"), OutputPath: "app"},
		},
		Outdir:            out,
		Bundle:            true,
		Splitting:         true,
		Format:            api.FormatESModule,
		MinifyWhitespace:  true,
		MinifySyntax:      true,
		MinifyIdentifiers: true,
		EntryNames:        "[name]-[hash]",
		ChunkNames:        "[name]-[hash]",
		AssetNames:        "[name]-[hash]",
		Target:            api.ES2020,
		Engines:           []api.Engine{{Name: api.EngineChrome, Version: "86"}, {Name: api.EngineFirefox, Version: "78"}, {Name: api.EngineSafari, Version: "14"}},
		LegalComments:     api.LegalCommentsEndOfFile,
		Metafile:          true,
		Loader:            map[string]api.Loader{".svg": api.LoaderDataURL},
		LogLevel:          api.LogLevelWarning,
	})
	if len(result.Errors) > 0 {
		return errors.New(result.Errors[0].Text)
	}
	if err := empty(out); err != nil {
		return err
	}
	manifest := map[string]string{}
	for _, f := range result.OutputFiles {
		name := filepath.Base(f.Path)
		if err := write(out, name, f.Contents); err != nil {
			return err
		}
		ext := filepath.Ext(name)
		logical := strings.TrimSuffix(name, ext)
		if i := strings.LastIndexByte(logical, '-'); i > 0 {
			logical = logical[:i]
		}
		manifest[logical+ext] = name
	}
	raw, err := json.MarshalIndent(manifest, "", "  ")
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(out, "manifest.json"), append(raw, '\n'), 0o644)
}

// empty removes what an earlier build left, but for the file that keeps the
// folder in the repository.
func empty(dir string) error {
	entries, err := os.ReadDir(dir)
	if errors.Is(err, os.ErrNotExist) {
		return os.MkdirAll(dir, 0o755)
	}
	if err != nil {
		return err
	}
	for _, e := range entries {
		if e.Name() == ".gitkeep" {
			continue
		}
		if err := os.RemoveAll(filepath.Join(dir, e.Name())); err != nil {
			return err
		}
	}
	return nil
}

func write(dir, name string, raw []byte) error {
	if err := os.WriteFile(filepath.Join(dir, name), raw, 0o644); err != nil {
		return err
	}
	var gz, br bytes.Buffer
	z, err := gzip.NewWriterLevel(&gz, gzip.BestCompression)
	if err != nil {
		return err
	}
	for _, c := range []io.WriteCloser{z, brotli.NewWriterLevel(&br, brotli.BestCompression)} {
		if _, err := c.Write(raw); err != nil {
			return err
		}
		if err := c.Close(); err != nil {
			return err
		}
	}
	if err := os.WriteFile(filepath.Join(dir, name+".gz"), gz.Bytes(), 0o644); err != nil {
		return err
	}
	if err := os.WriteFile(filepath.Join(dir, name+".br"), br.Bytes(), 0o644); err != nil {
		return err
	}
	fmt.Printf("%-28s %8d bytes, %7d as br, %7d as gz\n", name, len(raw), br.Len(), gz.Len())
	return nil
}
