package main

import (
	"bytes"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// door says what a package may import besides the standard library.
type door struct {
	weir []string // packages of ours
	libs []string // module paths
}

// doors keeps imports running downward only, and each library behind one
// package, so that replacing or upgrading one touches one folder.
var doors = map[string]door{
	".":         {weir: []string{"command"}},
	"flow":      {},
	"store":     {[]string{"flow"}, []string{"github.com/cockroachdb/pebble/v2", "github.com/klauspost/compress", "github.com/cespare/xxhash/v2", "golang.org/x/sys"}},
	"index":     {[]string{"flow", "store"}, []string{"github.com/RoaringBitmap/roaring/v2"}},
	"query":     {[]string{"flow", "store", "index"}, nil},
	"retention": {[]string{"store"}, nil},
	"collector": {[]string{"flow"}, []string{"github.com/netsampler/goflow2/v2", "github.com/gopacket/gopacket", "golang.org/x/sys"}},
	"command": {
		[]string{"flow", "store", "index", "query", "retention", "collector", "bench", "testdata", "packaging"},
		[]string{"github.com/urfave/cli/v2", "go.yaml.in/yaml/v3", "golang.org/x/term", "golang.org/x/sys",
			"github.com/schollz/progressbar/v3"},
	},
	"command/mmdb":    {[]string{"flow"}, []string{"github.com/oschwald/maxminddb-golang/v2"}},
	"command/parquet": {nil, []string{"github.com/parquet-go/parquet-go"}},
	// yaml: its test reads the alert rules in docs.
	"command/metrics": {[]string{"flow"}, []string{"github.com/prometheus/client_golang", "go.yaml.in/yaml/v3"}},
	"bench":           {weir: []string{"flow"}},
	// A program: it reads captures to send them, and processes' CPU clocks.
	"bench/compare": {[]string{"flow", "collector"}, []string{"golang.org/x/sys"}},
	"testdata":      {},
	"packaging":     {}, // what an installed weir comes with
}

// testLibs are libraries that tests, and only tests, may import anywhere.
// parquet-go: what weir writes is read back with it.
var testLibs = []string{"pgregory.net/rapid", "github.com/parquet-go/parquet-go"}

const (
	maxLines     = 500 // past that a second concept waits to leave the file
	maxTestLines = 800
)

// sources calls fn for every Go file of this module that builds here.
func sources(t *testing.T, fn func(dir, path string)) {
	t.Helper()
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			if path != "." && (strings.HasPrefix(d.Name(), ".") || strings.HasPrefix(d.Name(), "_") || d.Name() == "weir-data") {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(path) != ".go" {
			return nil
		}
		dir := filepath.Dir(path)
		ok, err := build.Default.MatchFile(dir, d.Name())
		if err == nil && ok {
			fn(filepath.ToSlash(dir), path)
		}
		return err
	})
	if err != nil {
		t.Fatalf("walk the module: %v", err)
	}
}

func TestImports(t *testing.T) {
	seen := map[string]bool{}
	sources(t, func(dir, path string) {
		d, known := doorOf(dir)
		if !known {
			t.Errorf("%s: package %s is not in the table of imports", path, dir)
			return
		}
		seen[topDir(dir)] = true
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			t.Errorf("parse %s: %v", path, err)
			return
		}
		for _, spec := range file.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			if err != nil {
				t.Errorf("%s: import %s: %v", path, spec.Path.Value, err)
			} else if !d.allows(dir, imported, strings.HasSuffix(path, "_test.go")) {
				t.Errorf("%s: package %s may not import %s", path, dir, imported)
			}
		}
	})
	for _, dir := range []string{".", "flow", "store", "index", "query", "retention", "collector", "command"} {
		if !seen[dir] {
			t.Errorf("package %s has no source", dir)
		}
	}
}

// doorOf returns the door of the package in dir: its own, or that of the folder
// at the top that it lies in.
func doorOf(dir string) (door, bool) {
	for d := dir; d != "."; d = filepath.ToSlash(filepath.Dir(d)) {
		if own, known := doors[d]; known {
			return own, true
		}
	}
	own, known := doors[dir]
	return own, known
}

func topDir(dir string) string {
	top, _, _ := strings.Cut(dir, "/")
	return top
}

// allows reports whether a file of the package in dir may import a path. Tests
// may also use what other packages of ours offer.
func (d door) allows(dir, imported string, test bool) bool {
	if ours, ok := strings.CutPrefix(imported, "weir/"); ok {
		top := topDir(ours)
		return top == topDir(dir) || slices.Contains(d.weir, top) || test
	}
	first, _, _ := strings.Cut(imported, "/")
	if !strings.Contains(first, ".") {
		return true // standard library
	}
	libs := d.libs
	if test {
		libs = append(slices.Clone(libs), testLibs...)
	}
	return slices.ContainsFunc(libs, func(lib string) bool {
		return imported == lib || strings.HasPrefix(imported, lib+"/")
	})
}

func TestFilesAreShort(t *testing.T) {
	sources(t, func(_, path string) {
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
			return
		}
		most := maxLines
		if strings.HasSuffix(path, "_test.go") {
			most = maxTestLines
		}
		if n := bytes.Count(text, []byte("\n")); n >= most {
			t.Errorf("%s has %d lines, want fewer than %d", path, n, most)
		}
	})
}

func TestNoInitFunctions(t *testing.T) {
	sources(t, func(_, path string) {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Errorf("parse %s: %v", path, err)
			return
		}
		for _, decl := range file.Decls {
			if fn, ok := decl.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == "init" {
				t.Errorf("%s has an init function: nothing runs before main", path)
			}
		}
	})
}
