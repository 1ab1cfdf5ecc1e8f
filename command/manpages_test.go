package command

import (
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"weir/packaging"
)

// TestDefaultConfiguration checks that the file of the package is one that weir
// takes, as it is and with every key in force, and that no key is missing.
func TestDefaultConfiguration(t *testing.T) {
	plain, err := parseConfig("weir.yaml", []byte(packaging.Configuration))
	if err != nil || plain.Data != "/var/lib/weir" || plain.Listen != nil || plain.Known != nil {
		t.Errorf("as it is: %+v, %v", plain, err)
	}
	all, err := parseConfig("weir.yaml", []byte(uncommented(packaging.Configuration)))
	if err != nil {
		t.Fatalf("with every key: %v\n%s", err, uncommented(packaging.Configuration))
	}
	if _, err := parseListen(all.Listen); err != nil {
		t.Error(err)
	}
	if _, err := parseRetention(all.Retention); err != nil {
		t.Error(err)
	}
	if _, err := parseMetricsAddr(all.Metrics); err != nil {
		t.Error(err)
	}
	if all.Retention != defaultRetention || !slices.Equal(all.Listen, defaultListen()) || all.Scope.Keep != defaultQuarantine || all.Log != (logOptions{Format: logFormats[0]}) {
		t.Errorf("a default is not the program's: %+v", all)
	}
	var documented []string
	for _, b := range configurationBlocks(packaging.Configuration) {
		documented = append(documented, b.key)
		if len(b.prose) == 0 {
			t.Errorf("nothing is said of %s", b.key)
		}
	}
	for _, k := range configKeys {
		if !slices.Contains(documented, k.name) {
			t.Errorf("packaging/weir.yaml does not have the key %s", k.name)
		}
	}
	if len(documented) != len(configKeys) {
		t.Errorf("packaging/weir.yaml has %q, the program %d keys", documented, len(configKeys))
	}
}

// TestManPages checks that every command has a page with all its flags and
// examples, and that roff finds nothing wrong with them.
func TestManPages(t *testing.T) {
	dir := t.TempDir()
	if out, errs, status := weir(t, "", "man-pages", dir); status != exitOK || out+errs != "" {
		t.Fatalf("status %d, %s%s", status, out, errs)
	}
	groff, _ := exec.LookPath("groff")
	for _, d := range commands() {
		if d.hidden {
			continue
		}
		name := filepath.Join(dir, "man1", "weir-"+d.name+".1")
		text, err := os.ReadFile(name)
		if err != nil {
			t.Error(err)
			continue
		}
		for _, f := range d.flags {
			if !strings.Contains(string(text), manText(dashed(f.Names()[0]))) {
				t.Errorf("%s lacks --%s", name, f.Names()[0])
			}
		}
		for _, e := range d.examples {
			if !strings.Contains(string(text), manLine(e.line)) {
				t.Errorf("%s lacks the example %s", name, e.line)
			}
		}
	}
	pages, err := filepath.Glob(filepath.Join(dir, "man?", "*"))
	if err != nil || len(pages) < 20 {
		t.Fatalf("%d pages, %v", len(pages), err)
	}
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		checkRoff(t, page, string(text))
		if groff == "" {
			continue // checkRoff has looked at what can go wrong here
		}
		if out, err := exec.Command(groff, "-k", "-man", "-Tutf8", "-ww", "-z", "-P-c", page).CombinedOutput(); err != nil || len(out) > 0 {
			t.Errorf("groff finds in %s: %v\n%s", filepath.Base(page), err, out)
		}
	}
}

// checkRoff looks for lines that would be taken for requests, and for macros
// that are none.
func checkRoff(t *testing.T, page, text string) {
	t.Helper()
	macros := []string{".TH", ".SH", ".SS", ".TP", ".PP", ".RS", ".RE", ".nf", ".fi", ".br", `.\"`}
	open := 0
	for n, line := range strings.Split(text, "\n") {
		switch {
		case strings.HasPrefix(line, "'"):
			t.Errorf("%s:%d: a line begins with a quote", page, n+1)
		case strings.HasPrefix(line, "."):
			word, _, _ := strings.Cut(line, " ")
			if !slices.Contains(macros, word) {
				t.Errorf("%s:%d: no macro %q", page, n+1, word)
			}
			switch word {
			case ".nf", ".RS":
				open++
			case ".fi", ".RE":
				open--
			}
		}
	}
	if open != 0 {
		t.Errorf("%s: blocks are not closed", page)
	}
}
