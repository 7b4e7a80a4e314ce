package redact

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"slices"
	"sync"
)

// DefaultBudget is how many series a metric may have.
const DefaultBudget = 10000

const maxBudget = 10_000_000

// MetricsConfig bounds the series.
type MetricsConfig struct {
	// Budget is the number of series that each metric may have; 0 means 10000.
	Budget int `yaml:"budget"`
	// Budgets overrides it by metric name.
	Budgets map[string]int `yaml:"budgets"`
}

// Validate names the budgets that make no sense.
func (c MetricsConfig) Validate() error {
	var errs []error
	if c.Budget < 0 || c.Budget > maxBudget {
		errs = append(errs, fmt.Errorf("budget %d: want 0 (for %d) to %d", c.Budget, DefaultBudget, maxBudget))
	}
	for _, name := range slices.Sorted(maps.Keys(c.Budgets)) {
		f, ok := FamilyNamed(name)
		if !ok || families[f].Type == HistogramType {
			errs = append(errs, fmt.Errorf("budgets: no metric %q", name))
		}
		if n := c.Budgets[name]; n < 1 || n > maxBudget {
			errs = append(errs, fmt.Errorf("budgets: %s: %d: want 1 to %d", name, n, maxBudget))
		}
	}
	return errors.Join(errs...)
}

func (c MetricsConfig) budget(name string) int {
	if n, ok := c.Budgets[name]; ok {
		return n
	}
	if c.Budget > 0 {
		return c.Budget
	}
	return DefaultBudget
}

// Metrics holds the series of every family with their labels already redacted
// and written. It is safe for concurrent use.
type Metrics struct {
	policy   *Policy
	families [numFamilies]familyRows

	scrape  sync.Mutex // one scrape at a time refreshes
	refresh []func()   // guarded by scrape

	redactions map[redactionKey]*Series // guarded by scrape

	failures [numFailures]*Series // moved up to the policy's counts by each scrape
	overflow [numFamilies]*Series
}

// familyRows are the lines of one family on a page.
type familyRows struct {
	mu     sync.Mutex
	head   []byte
	budget int
	used   int // rows that count against the budget
	rows   []*row
	byText map[string]*row
	most   int // rows since the map was made
	made   uint64
}

// NewMetrics returns metrics whose labels obey the policy.
func (p *Policy) NewMetrics(cfg MetricsConfig) (*Metrics, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	m := &Metrics{policy: p, redactions: map[redactionKey]*Series{}}
	for f := range numFamilies {
		info := &families[f]
		m.families[f].head = appendHead(nil, info)
		m.families[f].budget = cfg.budget(info.Name)
		m.families[f].byText = make(map[string]*row)
	}
	for why := noFailure + 1; why < numFailures; why++ {
		m.failures[why] = m.Series(RedactionFailures, Name(failureNames[why]))
	}
	for f := range numFamilies {
		if unbounded(&families[f]) {
			m.overflow[f] = m.Series(SeriesOverflow, Name(families[f].Name))
		}
	}
	return m, nil
}

// unbounded reports whether anything but this program decides how many series
// a family has.
func unbounded(info *FamilyInfo) bool {
	return slices.ContainsFunc(info.Labels, func(l LabelInfo) bool { return l.Class != Public && l.Class != Build })
}

// OnScrape registers a function that brings values up to date before each
// page and each reading. It may call every method of Metrics and of Series but
// AppendPage, Read and OnScrape.
func (m *Metrics) OnScrape(refresh func()) {
	m.scrape.Lock()
	defer m.scrape.Unlock()
	m.refresh = append(m.refresh, refresh)
}

// Series returns the handle of one identity's series, with one label value per
// label of the family, in the table's order. The caller keeps the handle as
// long as the thing that it counts, and then calls Remove.
//
// Identities that look alike after redaction, and those beyond the family's
// budget, share a line whose value is the sum of theirs. Labels that don't fit
// the family give a handle that leads nowhere, and count as a redaction
// failure.
func (m *Metrics) Series(f Family, labels ...Label) *Series {
	info := &families[min(f, numFamilies-1)]
	values, why := m.policy.labelTexts(info.Labels, labels)
	if f >= numFamilies || info.Type == HistogramType {
		why = badLabels
	}
	if why != noFailure {
		m.policy.failures[why].Add(1)
		return newSeries(&row{}, info, &familyRows{})
	}
	rows := &m.families[f]
	s, folded := rows.series(info, values)
	if folded && m.overflow[f] != nil {
		m.overflow[f].row.value.Add(1)
	}
	return s
}

func (r *familyRows) series(info *FamilyInfo, values []string) (s *Series, folded bool) {
	text := string(appendSeries(nil, info, values))
	r.mu.Lock()
	defer r.mu.Unlock()
	line, ok := r.byText[text]
	if !ok && r.used >= r.budget {
		folded = true
		values = others(info, values)
		text = string(appendSeries(nil, info, values))
		line, ok = r.byText[text]
	}
	if !ok {
		r.made++
		line = &row{text: text, values: values, serial: r.made, other: folded, index: len(r.rows)}
		r.rows = append(r.rows, line)
		r.byText[text] = line
		if !folded {
			r.used++
		}
	}
	if folded && !line.other { // an identity is itself called other
		line.other = true
		r.used--
	}
	line.owners++
	return newSeries(line, info, r), folded
}

// others are the labels of the series that takes what the budget refuses: one
// per domain.
func others(info *FamilyInfo, values []string) []string {
	folded := make([]string, len(values))
	for i, v := range values {
		switch {
		case info.Labels[i].Class == Domain || v == "":
			folded[i] = v
		default:
			folded[i] = "other"
		}
	}
	return folded
}

// AppendPage brings values up to date and appends all series in the Prometheus
// text format 0.0.4.
//
// A family is locked while its lines are written, so that making or removing a
// series waits for at most one family; setting values never waits.
func (m *Metrics) AppendPage(dst []byte) []byte {
	m.scrape.Lock()
	defer m.scrape.Unlock()
	m.update()
	for f := range numFamilies {
		dst = m.families[f].append(dst, families[f].float())
	}
	return dst
}

// update brings values up to date. The caller holds m.scrape.
func (m *Metrics) update() {
	for _, refresh := range m.refresh {
		refresh()
	}
	for why := noFailure + 1; why < numFailures; why++ {
		m.failures[why].Set(m.policy.failures[why].Load())
	}
	m.countRedactions()
}

// countRedactions moves the counts of every policy up to the page. The caller
// holds m.scrape.
func (m *Metrics) countRedactions() {
	for _, p := range m.policy.all() {
		for n := range p.redactions() {
			s := m.redactions[n.redactionKey]
			if s == nil {
				s = m.Series(Redactions, Name(n.exporter), Name(fields[n.field].Name), Name(n.action.String()))
				m.redactions[n.redactionKey] = s
			}
			s.Set(n.count)
		}
	}
}

func (r *familyRows) append(dst []byte, float bool) []byte {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.rows) == 0 {
		return dst
	}
	dst = append(dst, r.head...)
	for _, line := range r.rows {
		dst = line.append(dst, float)
	}
	return dst
}

// Format prints the name of the type only.
func (m *Metrics) Format(s fmt.State, _ rune) { io.WriteString(s, "redact.Metrics") }

// LogValue returns the name of the type only.
func (m *Metrics) LogValue() slog.Value { return slog.StringValue("redact.Metrics") }

// MarshalJSON returns the name of the type only.
func (m *Metrics) MarshalJSON() ([]byte, error) { return []byte(`"redact.Metrics"`), nil }
