package dashboards

import (
	"github.com/grafana/grafana-foundation-sdk/go/bargauge"
	"github.com/grafana/grafana-foundation-sdk/go/cog"
	"github.com/grafana/grafana-foundation-sdk/go/common"
	"github.com/grafana/grafana-foundation-sdk/go/dashboard"
	prom "github.com/grafana/grafana-foundation-sdk/go/prometheus"
	statpanel "github.com/grafana/grafana-foundation-sdk/go/stat"
	tablepanel "github.com/grafana/grafana-foundation-sdk/go/table"
	"github.com/grafana/grafana-foundation-sdk/go/timeseries"
)

// builder makes the panel of its kind; Grafana's types have no common one.
func (p panel) builder(id, height uint32) cog.Builder[dashboard.Panel] {
	switch p.kind {
	case stat:
		return p.stat(id, height)
	case table:
		return p.table(id, height)
	case bars:
		return p.bars(id, height)
	}
	return p.graph(id, height)
}

func (p panel) graph(id, height uint32) cog.Builder[dashboard.Panel] {
	b := timeseries.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Datasource(prometheus).
		Span(p.width).Height(height).Unit(p.unit).Min(0).
		LineWidth(1).FillOpacity(8).ShowPoints(common.VisibilityModeNever).
		Tooltip(common.NewVizTooltipOptionsBuilder().Mode(common.TooltipDisplayModeMulti).Sort(common.SortOrderDescending)).
		Legend(common.NewVizLegendOptionsBuilder().ShowLegend(true).DisplayMode(common.LegendDisplayModeList).Placement(common.LegendPlacementBottom))
	for i, q := range p.queries {
		b.WithTarget(q.target(i).Range())
	}
	return b
}

func (p panel) stat(id, height uint32) cog.Builder[dashboard.Panel] {
	b := statpanel.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Datasource(prometheus).
		Span(p.width).Height(height).Unit(p.unit).Thresholds(p.thresholds()).
		GraphMode(common.BigValueGraphModeArea).ColorMode(common.BigValueColorModeValue).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	for i, q := range p.queries {
		b.WithTarget(q.target(i).Range())
	}
	return b
}

func (p panel) bars(id, height uint32) cog.Builder[dashboard.Panel] {
	b := bargauge.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Datasource(prometheus).
		Span(p.width).Height(height).Unit(p.unit).Min(0).Max(p.most).Thresholds(p.thresholds()).
		Orientation(common.VizOrientationHorizontal).DisplayMode(common.BarGaugeDisplayModeBasic).
		ReduceOptions(common.NewReduceDataOptionsBuilder().Calcs([]string{"lastNotNull"}))
	for i, q := range p.queries {
		b.WithTarget(q.target(i).Instant())
	}
	return b
}

// table puts the queries side by side: one row for each set of labels.
func (p panel) table(id, height uint32) cog.Builder[dashboard.Panel] {
	b := tablepanel.NewPanelBuilder().Id(id).Title(p.title).Description(p.help).Datasource(prometheus).
		Span(p.width).Height(height).Unit(p.unit).
		Footer(common.NewTableFooterOptionsBuilder().Show(false).Reducer([]string{"sum"}))
	names := map[string]string{}
	for i, q := range p.queries {
		b.WithTarget(q.target(i).Instant().Format(prom.PromQueryFormatTable))
		names["Value #"+refID(i)] = q.legend
	}
	if len(p.queries) == 1 {
		names = map[string]string{"Value": p.queries[0].legend}
	}
	return b.
		WithTransformation(dashboard.DataTransformerConfig{Id: "merge", Options: map[string]any{}}).
		WithTransformation(dashboard.DataTransformerConfig{Id: "organize", Options: map[string]any{
			"excludeByName": map[string]bool{"Time": true}, "renameByName": names,
		}})
}

// thresholds turn what is bad red; the first one has no value, which stands for
// the least there is.
func (p panel) thresholds() cog.Builder[dashboard.ThresholdsConfig] {
	steps := []dashboard.Threshold{{Color: "green"}}
	if p.bad > 0 {
		steps = append(steps, dashboard.Threshold{Value: ptr(p.bad), Color: "red"})
	}
	return dashboard.NewThresholdsConfigBuilder().Mode(dashboard.ThresholdsModeAbsolute).Steps(steps)
}

func (q query) target(i int) *prom.DataqueryBuilder {
	return prom.NewDataqueryBuilder().Datasource(prometheus).RefId(refID(i)).Expr(q.promQL()).LegendFormat(q.legend)
}

// refID names the i-th query: A, B, …
func refID(i int) string { return string(rune('A' + i)) }
