package collector

import (
	"fmt"
	"time"
)

// Status is how the agent does, without an address of anybody.
type Status struct {
	Time    time.Time     `json:"time"`
	Hook    string        `json:"hook"`  // tcx or clsact
	Notes   []string      `json:"notes"` // what this kernel lacks, with its consequence
	Domains []DomainUse   `json:"domains"`
	Tables  []TableStatus `json:"tables"`
	Sinks   []SinkStatus  `json:"sinks"`
}

// DomainUse is what one domain holds.
type DomainUse struct {
	Name   string `json:"name"`
	Ports  int    `json:"ports"` // attached
	Groups int    `json:"groups"`
}

// TableStatus is how full a table of the kernel is.
type TableStatus struct {
	Name     string `json:"name"`
	Entries  int    `json:"entries"`
	Capacity int    `json:"capacity"`
	// Refused is how often something found no room.
	Refused uint64 `json:"refused"`
}

// Status reads tables and counters. Returns ErrNotRunning before Ready and
// after Run.
func (a *Agent) Status() (Status, error) {
	select {
	case <-a.ready:
	default:
		return Status{}, ErrNotRunning
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return Status{}, ErrNotRunning
	}
	s := Status{Time: time.Now(), Hook: a.dp.Hook(), Notes: a.dp.Notes()}
	s.Domains = a.domainUses()
	uses, err := a.dp.TableUses()
	if err != nil {
		return s, fmt.Errorf("read tables: %w", err)
	}
	for _, u := range uses {
		s.Tables = append(s.Tables, TableStatus{u.Table, u.Entries, u.Capacity, u.Refused})
	}
	s.Sinks, err = a.pipe.sinks()
	return s, err
}

// Domains is the cheap part of Status. Returns ErrNotRunning as that does.
func (a *Agent) Domains() ([]DomainUse, error) {
	if !isClosed(a.ready) {
		return nil, ErrNotRunning
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrNotRunning
	}
	return a.domainUses(), nil
}

// domainUses is called with a.mu held.
func (a *Agent) domainUses() (uses []DomainUse) {
	for _, d := range a.domains {
		uses = append(uses, DomainUse{Name: d.cfg.Name, Ports: len(d.ports), Groups: d.table.Stats().Groups})
	}
	return uses
}
