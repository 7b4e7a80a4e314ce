package exporters

import (
	"slices"
	"strconv"
	"strings"

	"github.com/fanlight-io/fanlight/redact"
)

const (
	ocsfVersion = "1.8.0"
	ocsfStart   = `{"activity_id":`
)

var ocsfNaming = naming{
	column: func(n redact.Names) string { return n.OCSF },
	style: func(f *redact.Field, name string) style {
		switch {
		case name == "time":
			return asMillis
		case strings.HasSuffix(name, ".ip"):
			return asIP
		case strings.HasSuffix(name, ".mac"):
			return asMAC
		case name == "metadata.log_version", strings.HasSuffix(name, ".vlan_uid"):
			return asQuoted // strings there, numbers here
		}
		return styleOf(f.Type)
	},
	admits: func(s subject, id redact.FieldID, name string) bool {
		root, _, _ := strings.Cut(name, ".")
		switch root {
		case "src_endpoint":
			return s.kind != "loss" && slices.Contains(s.actor(), id)
		case "dst_endpoint", "network_observation_point", "cumulative_traffic":
			return s.kind != "loss"
		case "device":
			return s.node != ""
		}
		return true
	},
}

// ocsf writes events of OCSF's class Network Activity, and Application Error
// for lost events. What the class lacks stands under "unmapped".
type ocsf struct{ plans plans[object] }

func newOCSF() encoder { return &ocsf{plans[object]{build: ocsfPlan}} }

func (o *ocsf) append(dst []byte, r *redact.Record) []byte { return o.plans.of(r).appendLine(dst, r) }

func ocsfPlan(s subject) *object {
	b := treeBuilder{subject: s}
	class, profiles := ocsfClassOf(s), []string(nil)
	b.class(class)
	b.constant("severity_id", strconv.Itoa(ocsfSeverity[s.meaning().level]))
	b.constant("status_id", map[bool]string{false: "1", true: "2"}[s.meaning().failed])
	b.text("message", s.meaning().title)
	for _, c := range ocsfNaming.cells(s) {
		b.cell(c)
	}
	if s.node != "" {
		profiles = append(profiles, "host")
		b.constant("device.type_id", "0")
	}
	if class.action != 0 {
		profiles = append(profiles, "security_control")
		b.constant("action_id", strconv.Itoa(class.action))
		b.constant("disposition_id", strconv.Itoa(class.disposition))
	}
	if class.uid == networkActivity {
		b.network(s)
	}
	b.text("metadata.version", ocsfVersion)
	b.text("metadata.product.name", product)
	b.text("metadata.product.vendor_name", product)
	if profiles != nil {
		b.constant("metadata.profiles", `["`+strings.Join(profiles, `","`)+`"]`)
	}
	return b.build()
}

func (b *treeBuilder) class(c ocsfClass) {
	b.constant("activity_id", strconv.Itoa(c.activity))
	if c.activity == 99 {
		b.text("activity_name", b.subject.meaning().title)
	}
	b.constant("category_uid", strconv.Itoa(c.uid/1000))
	b.constant("class_uid", strconv.Itoa(c.uid))
	b.constant("type_uid", strconv.Itoa(c.uid*100+c.activity))
}

// network adds what makes an event valid in its class whatever the policy left
// of it: there is an endpoint, and each object says what it is.
func (b *treeBuilder) network(s subject) {
	b.text("network_observation_point.name", product)
	b.constant("observation_point_id", "3") // neither source nor destination
	b.constant("connection_info.direction_id", "0")
	b.when(cell{id: fieldGroup, name: "connection_info.protocol_ver_id", style: asVersion}, nil)
	actor := s.actor()
	b.when(cell{name: "src_endpoint.name", style: asUnknown}, func(r *redact.Record) bool {
		hasMAC := len(actor) > 1 && r.Has(actor[1]) && isMAC(r.Text(actor[1]))
		return !r.Has(actor[0]) && (hasMAC || !r.Has(fieldGroup))
	})
}

const (
	networkActivity  = 4001
	applicationError = 6008
)

var ocsfSeverity = [...]int{info: 1, low: 2, medium: 3}

// ocsfClass is an event's class and activity, and the verdict that the profile
// security_control adds where there is one.
type ocsfClass struct{ uid, activity, action, disposition int }

var ocsfClasses = map[string]ocsfClass{
	"replication.first":      {networkActivity, 1, 1, 1}, // open, allowed
	"replication.fanout":     {networkActivity, 6, 1, 1}, // traffic, allowed
	"replication.periodic":   {networkActivity, 6, 1, 1},
	"replication.sample":     {networkActivity, 6, 1, 1},
	"stream.first":           {networkActivity, 1, 0, 0},
	"stream.source_added":    {networkActivity, 1, 0, 0},
	"stream.source_changed":  {networkActivity, 1, 0, 0},
	"stream.silent":          {networkActivity, 99, 0, 0},
	"stream.resumed":         {networkActivity, 6, 0, 0},
	"stream.ttl_changed":     {networkActivity, 99, 0, 0},
	"stream.dscp_changed":    {networkActivity, 99, 0, 0},
	"stream.ended":           {networkActivity, 2, 0, 0},
	"stream.refused":         {networkActivity, 99, 0, 0},
	"drop.packet":            {networkActivity, 6, 2, 6},  // traffic, denied, dropped
	"drop.copy":              {networkActivity, 4, 1, 27}, // fail, allowed, error
	"membership.joined":      {networkActivity, 1, 0, 0},
	"membership.left":        {networkActivity, 2, 0, 0},
	"membership.expired":     {networkActivity, 2, 0, 0},
	"membership.changed":     {networkActivity, 99, 0, 0},
	"membership.refused":     {networkActivity, 5, 2, 2}, // refuse, denied, blocked
	"querier.elected":        {networkActivity, 99, 0, 0},
	"querier.heard":          {networkActivity, 6, 0, 0},
	"querier.replaced":       {networkActivity, 99, 0, 0},
	"querier.lost":           {networkActivity, 99, 0, 0},
	"querier.router_learned": {networkActivity, 99, 0, 0},
	"querier.router_expired": {networkActivity, 99, 0, 0},
}

func ocsfClassOf(s subject) ocsfClass {
	if c, ok := ocsfClasses[s.event()]; ok {
		return c
	}
	if s.kind == "loss" {
		return ocsfClass{uid: applicationError, activity: 1} // general error
	}
	return ocsfClass{uid: networkActivity}
}
