//lint:file-ignore SA1019 classic JSON is what every Grafana from 10 on loads.

package dashboards

import (
	"encoding/json"
	"fmt"

	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
)

// schemaVersion is that of Grafana 10.4: newer ones migrate it when they load it.
const schemaVersion = 39

// tag is what the dashboards have in common; their links go by it.
const tag = "fanlight"

// prometheus is the data source that the viewer chooses.
var prometheus = common.DataSourceRef{Type: ptr("prometheus"), Uid: ptr("${datasource}")}

func ptr[T any](v T) *T { return &v }

// render writes the dashboard as Grafana's classic JSON.
func (b board) render() ([]byte, error) {
	d := dashboard.NewDashboardBuilder(b.title).
		Uid(b.uid).Description(b.help).Tags([]string{tag}).
		Readonly().Tooltip(dashboard.DashboardCursorSyncCrosshair).
		Time("now-1h", "now").Refresh("30s").Timezone("browser").
		WithVariable(dashboard.NewDatasourceVariableBuilder("datasource").Label("Data source").Type("prometheus")).
		Link(dashboard.NewDashboardLinkBuilder("Fanlight").Type(dashboard.DashboardLinkTypeDashboards).
			Tags([]string{tag}).AsDropdown(true).IncludeVars(true).KeepTime(true))
	for _, v := range b.variables {
		d.WithVariable(v.builder())
	}
	for _, a := range b.annotations() {
		d.Annotation(a.builder())
	}
	id := uint32(0)
	for _, r := range b.rows {
		id++
		d.WithRow(dashboard.NewRowBuilder(r.title).Id(id))
		for _, p := range r.panels {
			id++
			d.WithPanel(p.builder(id, r.height))
		}
	}
	built, err := d.Build()
	if err != nil {
		return nil, fmt.Errorf("build %s: %w", b.uid, err)
	}
	built.SchemaVersion = schemaVersion
	raw, err := json.MarshalIndent(built, "", "  ")
	return append(raw, '\n'), err
}

// builder makes "all" match series without the label, too.
func (v variable) builder() cog.Builder[dashboard.VariableModel] {
	q := fmt.Sprintf("label_values(%s, %s)", v.of, v.label)
	all := dashboard.VariableOption{
		Selected: ptr(true),
		Text:     dashboard.StringOrArrayOfString{ArrayOfString: []string{"All"}},
		Value:    dashboard.StringOrArrayOfString{ArrayOfString: []string{"$__all"}},
	}
	return dashboard.NewQueryVariableBuilder(v.label).Label(v.shown).
		Query(dashboard.StringOrMap{String: &q}).Definition(q).Datasource(prometheus).
		Refresh(dashboard.VariableRefreshOnTimeRangeChanged).Sort(dashboard.VariableSortNaturalAsc).
		IncludeAll(true).AllValue(".*").Multi(true).Current(all)
}

func (a annotation) builder() cog.Builder[dashboard.AnnotationQuery] {
	return dashboard.NewAnnotationQueryBuilder().
		Name(a.name).Datasource(prometheus).Enable(true).IconColor(a.color).
		Expr(a.expr).TitleFormat(a.name).TextFormat(a.text).Step(annotationStep)
}
