package dashboards

import "strings"

// An annotation marks the moments at which its query has a value above 0.
type annotation struct {
	name, color, expr, text string
}

// annotationStep is how far apart Grafana asks; each query looks back as far, so
// that nothing falls between two.
const annotationStep = "1m"

const (
	joins   = `(MEMBERS - MEMBERS offset 1m > 0) or (MEMBERS unless MEMBERS offset 1m)`
	leaves  = `(MEMBERS offset 1m - MEMBERS > 0) or (MEMBERS offset 1m unless MEMBERS)`
	changes = `(QUERIERS unless on (cluster, instance, domain, vlan, address) QUERIERS offset 1m) or ` +
		`(QUERIERS offset 1m unless on (cluster, instance, domain, vlan, address) QUERIERS)`
)

// annotations are those of what the board is about.
func (b board) annotations() []annotation {
	queriers := b.scope
	if queriers == "GROUP" { // they have no group
		queriers = "DOMAIN"
	}
	series := strings.NewReplacer("MEMBERS", "fanlight_group_members{"+b.scope+"}", "QUERIERS", "fanlight_querier_info{"+queriers+"}")
	expr := func(text string) string { return query{expr: series.Replace(text)}.promQL() }
	return []annotation{
		{"Joins", "green", expr(joins), "{{group}} at {{instance}}"},
		{"Leaves", "orange", expr(leaves), "{{group}} at {{instance}}"},
		{"Querier changes", "red", expr(changes), "{{address}} came or went in {{domain}} at {{instance}}"},
	}
}
