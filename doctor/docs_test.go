package doctor_test

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/doctor"
)

var update = flag.Bool("update", false, "write docs/doctor.md")

const docs = "../docs/doctor.md"

// TestDocsAreFresh: docs/doctor.md is the introduction and every finding.
func TestDocsAreFresh(t *testing.T) {
	introduction, err := os.ReadFile("testdata/introduction.md")
	if err != nil {
		t.Fatal(err)
	}
	page := string(introduction) + findings()
	if *update {
		if err := os.WriteFile(docs, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(page, string(got)); diff != "" {
		t.Errorf("docs/doctor.md (-want +got; 'make generate' rewrites it):\n%s", diff)
	}
}

func findings() string {
	var w bytes.Buffer
	for _, k := range doctor.Kinds() {
		fmt.Fprintf(&w, "\n### `%s`\n\n%s\n\n%s\n\nWhat helps: %s.\n", k.ID, sentence(k.Title), k.Meaning, strings.TrimSuffix(k.Remedy, "."))
		if len(k.Commands) > 0 {
			fmt.Fprintf(&w, "\n```\n%s\n```\n", strings.Join(k.Commands, "\n"))
		}
		fmt.Fprintf(&w, "\nSource: %s\n", k.Source)
	}
	return w.String()
}

func sentence(title string) string { return strings.ToUpper(title[:1]) + title[1:] + "." }

// TestFieldsInTheDocs: the page names every field of the answer in JSON.
func TestFieldsInTheDocs(t *testing.T) {
	page, err := os.ReadFile(docs)
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(page), "\n## In scripts\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for _, v := range []any{doctor.Report{}, doctor.Counts{}, doctor.Finding{}, doctor.Check{}, doctor.Gap{}} {
		for _, field := range reflect.VisibleFields(reflect.TypeOf(v)) {
			name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
			if !strings.Contains(section, "`"+name+"`") {
				t.Errorf("%T.%s: `%s` is not in 'In scripts'", v, field.Name, name)
			}
		}
	}
}
