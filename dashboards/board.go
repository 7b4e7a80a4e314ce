package dashboards

import "strings"

// A board is one dashboard: rows of panels, all about what its variables choose.
type board struct {
	uid, title, help string
	scope            string // HOST, DOMAIN or GROUP: the finest that its variables choose
	variables        []variable
	rows             []row
}

// A row is a line of panels of one height, in units of Grafana's grid; their
// widths add up to gridWidth.
type row struct {
	title  string
	height uint32
	panels []panel
}

const gridWidth = 24

// A panel answers one question.
type panel struct {
	kind    kind
	title   string
	unit    string // as Grafana calls it
	width   uint32
	help    string // what is shown, and what to make of it
	queries []query
	bad     float64 // from where on a value is bad; 0 for panels that don't judge
	most    float64 // end of the scale of bars
}

type kind uint8

const (
	graph kind = iota // lines over time
	stat              // the sum of now, large
	table             // rows of now
	bars              // bars of now
)

// A query is PromQL with $ variables of Grafana. In expr, HOST, DOMAIN, GROUP and
// EXPORTER stand for the label matchers that the variables choose, UNACCOUNTED
// for the loss equation.
type query struct {
	expr   string
	legend string // with {{label}}; in a table, the name of the column
}

var matchers = strings.NewReplacer(
	"HOST", `cluster=~"$cluster",instance=~"$instance"`,
	"DOMAIN", `cluster=~"$cluster",instance=~"$instance",domain=~"$domain"`,
	"GROUP", `cluster=~"$cluster",instance=~"$instance",domain=~"$domain",group=~"$group"`,
	"EXPORTER", `cluster=~"$cluster",instance=~"$instance",exporter=~"$exporter"`,
)

// books is the loss equation of each exporter; AT stands for the time.
const books = `(sum by (cluster, instance) (fanlight_events_produced_total{HOST} AT) ` +
	`+ on (cluster, instance) group_right () sum by (cluster, instance, exporter) (fanlight_sink_recovered_total{EXPORTER} AT) ` +
	`- on (cluster, instance, exporter) sum by (cluster, instance, exporter) (fanlight_sink_events_total{EXPORTER} AT) ` +
	`- on (cluster, instance, exporter) sum by (cluster, instance, exporter) (fanlight_sink_waiting{EXPORTER} AT))`

// unaccounted is by how much the books have changed, which is nothing while they
// balance. An agent that takes over a running datapath has its predecessors'
// events among those produced, so the books of two agents don't compare.
var unaccounted = `(` + strings.ReplaceAll(books, " AT", "") + ` - ` + strings.ReplaceAll(books, " AT", " offset 5m") + `) ` +
	`unless on (cluster, instance) changes(process_start_time_seconds{job="fanlight",HOST}[5m]) > 0`

func (q query) promQL() string {
	return matchers.Replace(strings.ReplaceAll(q.expr, "UNACCOUNTED", unaccounted))
}

// A variable lets the viewer choose values of a label.
type variable struct {
	label string // of the series, and name of the variable
	shown string // what the viewer sees
	of    string // the series whose labels there are to choose
}

var (
	chooseCluster = variable{"cluster", "Cluster", "fanlight_build_info"}
	chooseHost    = variable{"instance", "Host", `fanlight_build_info{cluster=~"$cluster"}`}
	chooseDomain  = variable{"domain", "Domain", matchers.Replace("fanlight_group_members{HOST}")}
	chooseGroup   = variable{"group", "Group", matchers.Replace("fanlight_group_members{DOMAIN}")}

	chooseExporter = variable{"exporter", "Exporter", matchers.Replace("fanlight_sink_events_total{HOST}")}
)

// boards are all dashboards.
func boards() []board { return []board{fleet(), group(), host(), pipeline()} }
