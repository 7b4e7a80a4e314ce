package fanlight_test

import (
	"go/build"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/fanlight-io/fanlight/"

// allowed says which of our packages each one may import. Tests of a package may
// use its own test helpers (a subdirectory) besides.
var allowed = map[string][]string{
	"bpf":          {},
	"snoop":        {},
	"lab":          {},
	"bytesize":     {},
	"doctor":       {},
	"groupname":    {},
	"groupplan":    {"groupname"},
	"redact":       {"bpf"},
	"exporters":    {"redact", "bytesize"},
	"observe":      {"bpf", "snoop", "redact"},
	"history":      {"redact", "bytesize"},
	"collector":    {"bpf", "snoop", "redact", "bytesize", "groupname", "observe"},
	"dashboards":   {"redact"},
	"live":         {"bpf", "redact", "collector"},
	"cmd/fanlight": {"bpf", "snoop", "lab", "redact", "exporters", "history", "collector", "doctor", "groupname", "groupplan", "live", "observe"},
}

// everywhere may be imported by tests of any package.
var everywhere = []string{"lab", "lab/labtest", "lab/frame", "bpf/bpftest", "redact/redacttest"}

// TestImports fails on an arrow between packages that the table lacks. It reads
// the files themselves, so that the test cache sees when they change.
func TestImports(t *testing.T) {
	for _, dir := range packageDirs(t) {
		pkg, err := build.ImportDir(dir, 0)
		if err != nil {
			t.Fatal(err)
		}
		owner := ownerOf(dir)
		may, known := allowed[owner]
		if !known && !strings.HasPrefix(dir, "test") && dir != "." {
			t.Errorf("%s: not in the table of packages", dir)
		}
		if strings.HasPrefix(dir, "test") {
			continue // harnesses: nothing imports them
		}
		for _, path := range pkg.Imports {
			name, ours := strings.CutPrefix(path, module)
			if ours && ownerOf(name) != owner && !slices.Contains(may, name) {
				t.Errorf("%s imports %s", dir, name)
			}
		}
		for _, path := range slices.Concat(pkg.TestImports, pkg.XTestImports) {
			name, ours := strings.CutPrefix(path, module)
			if ours && ownerOf(name) != owner && !slices.Contains(may, name) && !slices.Contains(everywhere, name) {
				t.Errorf("tests of %s import %s", dir, name)
			}
		}
	}
}

// ownerOf returns the package of the table that a directory belongs to.
func ownerOf(dir string) string {
	dir = filepath.ToSlash(dir)
	for owner := range allowed {
		if dir == owner || strings.HasPrefix(dir, owner+"/") {
			return owner
		}
	}
	return dir
}

func packageDirs(t *testing.T) []string {
	t.Helper()
	var dirs []string
	err := filepath.WalkDir(".", func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && path != "." && (strings.HasPrefix(d.Name(), ".") || d.Name() == "testdata") {
			return fs.SkipDir
		}
		if !d.IsDir() && strings.HasSuffix(path, ".go") {
			dirs = append(dirs, filepath.Dir(path))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}
