//lint:file-ignore SA1019 classic JSON is what every Grafana from 10 on loads.

package dashboards

import (
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/cog/plugins"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

var update = flag.Bool("update", false, "write the rendered dashboards")

func renderedPath(b board) string { return filepath.Join("grafana", b.uid+".json") }

// TestDashboardsAreRendered: what is committed is what the code says.
func TestDashboardsAreRendered(t *testing.T) {
	files := map[string]bool{}
	for _, b := range boards() {
		raw, err := b.render()
		if err != nil {
			t.Fatal(err)
		}
		path := renderedPath(b)
		files[path] = true
		if *update {
			if err := os.WriteFile(path, raw, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		was, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(string(was), string(raw)); diff != "" {
			t.Errorf("%s is stale: run make generate (-want +got):\n%s", path, diff)
		}
	}
	found, err := filepath.Glob("grafana/*.json")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range found {
		if !files[path] {
			t.Errorf("%s is of no dashboard: remove it", path)
		}
	}
}

// parsed reads the committed dashboard as Grafana's own schema has it, which
// refuses unknown keys.
func parsed(t *testing.T, b board) dashboard.Dashboard {
	t.Helper()
	plugins.RegisterDefaultPlugins()
	raw, err := os.ReadFile(renderedPath(b))
	if err != nil {
		t.Fatal(err)
	}
	if err := strictly(raw); err != nil {
		t.Fatalf("%s: %v", b.uid, err)
	}
	var d dashboard.Dashboard
	if err := json.Unmarshal(raw, &d); err != nil {
		t.Fatalf("%s: %v", b.uid, err)
	}
	return d
}

// strictly returns what the schema refuses. Without errors the library returns
// an empty list of them, which is not nil, and gives up on the panel: what it
// read is of no use.
func strictly(raw []byte) error {
	err := new(dashboard.Dashboard).UnmarshalJSONStrict(raw)
	if list, ok := err.(cog.BuildErrors); ok && len(list) == 0 {
		return nil
	}
	return err
}

func TestDashboardsFitGrafanasSchema(t *testing.T) {
	uids := map[string]bool{}
	for _, b := range boards() {
		d := parsed(t, b)
		if uids[b.uid] || *d.Uid != b.uid || *d.Title == "" || *d.Description == "" || *d.Editable {
			t.Errorf("%s: uid, title, description or editable is wrong", b.uid)
		}
		uids[b.uid] = true
		checkPanels(t, b, d)
	}
	raw, err := os.ReadFile(renderedPath(fleet()))
	if err != nil {
		t.Fatal(err)
	}
	misspelt := strings.Replace(string(raw), `"gridPos"`, `"gridPosition"`, 1)
	if err := strictly([]byte(misspelt)); err == nil {
		t.Error("a misspelt key is taken: this test is blind")
	}
}

// checkPanels: ids are unique, panels don't overlap, each says what it shows, in
// which unit, and asks the data source that the viewer chose.
func checkPanels(t *testing.T, b board, d dashboard.Dashboard) {
	t.Helper()
	ids := map[uint32]bool{}
	taken := map[[2]uint32]string{}
	titles := map[string]bool{}
	for _, item := range d.Panels {
		if row := item.RowPanel; row != nil {
			place(t, b, ids, taken, row.Id, *row.Title, *row.GridPos)
			continue
		}
		p := item.Panel
		title := *p.Title
		place(t, b, ids, taken, *p.Id, title, *p.GridPos)
		if p.Description == nil || !strings.HasSuffix(*p.Description, ".") && !strings.HasSuffix(*p.Description, "helps") {
			t.Errorf("%s: %s: no sentence describes it", b.uid, title)
		}
		if p.FieldConfig.Defaults.Unit == nil {
			t.Errorf("%s: %s: no unit", b.uid, title)
		}
		if *p.Datasource.Uid != "${datasource}" || len(p.Targets) == 0 {
			t.Errorf("%s: %s: data source %s, %d queries", b.uid, title, *p.Datasource.Uid, len(p.Targets))
		}
		titles[title] = true
	}
	if len(titles) < 10 {
		t.Errorf("%s: %d panels: this test is blind", b.uid, len(titles))
	}
}

func place(t *testing.T, b board, ids map[uint32]bool, taken map[[2]uint32]string, id uint32, title string, at dashboard.GridPos) {
	t.Helper()
	if id == 0 || ids[id] {
		t.Errorf("%s: %s: id %d is taken", b.uid, title, id)
	}
	ids[id] = true
	if at.X+at.W > gridWidth || at.W == 0 || at.H == 0 {
		t.Errorf("%s: %s: at %+v", b.uid, title, at)
	}
	for x := at.X; x < at.X+at.W; x++ {
		for y := at.Y; y < at.Y+at.H; y++ {
			if other := taken[[2]uint32{x, y}]; other != "" {
				t.Errorf("%s: %s lies over %s", b.uid, title, other)
				return
			}
			taken[[2]uint32{x, y}] = title
		}
	}
}

// TestRowsFillTheGrid: Grafana would move panels up into holes.
func TestRowsFillTheGrid(t *testing.T) {
	for _, b := range boards() {
		for _, r := range b.rows {
			width := uint32(0)
			for _, p := range r.panels {
				width += p.width
			}
			if width != gridWidth {
				t.Errorf("%s: %s: panels are %d wide, want %d", b.uid, r.title, width, gridWidth)
			}
		}
	}
}

func TestVariablesAndAnnotations(t *testing.T) {
	want := map[string][]string{
		"fanlight-fleet":    {"datasource", "cluster", "instance", "domain"},
		"fanlight-group":    {"datasource", "cluster", "instance", "domain", "group"},
		"fanlight-host":     {"datasource", "cluster", "instance", "domain"},
		"fanlight-pipeline": {"datasource", "cluster", "instance", "exporter"},
	}
	for _, b := range boards() {
		d := parsed(t, b)
		var names []string
		for _, v := range d.Templating.List {
			names = append(names, v.Name)
		}
		if diff := cmp.Diff(want[b.uid], names); diff != "" {
			t.Errorf("%s: variables (-want +got):\n%s", b.uid, diff)
		}
		var marks []string
		for _, a := range d.Annotations.List {
			marks = append(marks, a.Name)
		}
		if diff := cmp.Diff([]string{"Joins", "Leaves", "Querier changes"}, marks); diff != "" {
			t.Errorf("%s: annotations (-want +got):\n%s", b.uid, diff)
		}
		raw, err := json.Marshal(d)
		if err != nil {
			t.Fatal(err)
		}
		for _, token := range []string{"HOST", "DOMAIN", "GROUP", "EXPORTER", "MEMBERS", "QUERIERS", "UNACCOUNTED"} {
			if strings.Contains(string(raw), token) {
				t.Errorf("%s: %s is left in a query", b.uid, token)
			}
		}
	}
}
