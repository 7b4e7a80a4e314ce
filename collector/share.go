package collector

import (
	"errors"
	"fmt"
)

// sharedLimit is a limit of domains that share one kernel table: what they give
// has to fit into it together, and those that give none share the rest evenly.
// So hosts can fill what is meant for them, and never the table of others.
type sharedLimit struct {
	key   string // of limits and of tables
	table func(TablesConfig) int
	of    func(*LimitsConfig) *int
}

var sharedLimits = []sharedLimit{
	{"groups", func(t TablesConfig) int { return t.settings().Groups }, func(l *LimitsConfig) *int { return &l.Groups }},
	{"members", func(t TablesConfig) int { return t.settings().Pairs }, func(l *LimitsConfig) *int { return &l.Members }},
	{"sources", func(t TablesConfig) int { return t.settings().Sources }, func(l *LimitsConfig) *int { return &l.Sources }},
	{"vlans", func(t TablesConfig) int { return t.settings().VLANs }, func(l *LimitsConfig) *int { return &l.VLANs }},
}

// tableOf names the table of a limit where the names differ.
func (s sharedLimit) tableOf() string {
	if s.key == "members" {
		return "pairs"
	}
	return s.key
}

// shareTables returns the domains with every shared limit set. Its errors name
// the keys.
func (c Config) shareTables() ([]DomainConfig, error) {
	domains := append([]DomainConfig(nil), c.Domains...)
	var errs []error
	for _, s := range sharedLimits {
		size, given, open := s.table(c.Tables), 0, 0
		for i := range domains {
			if n := *s.of(&domains[i].Limits); n > 0 {
				given += n
			} else {
				open++
			}
		}
		if given+open > size {
			errs = append(errs, fmt.Errorf("limits.%s: the domains need %d, tables.%s holds %d", s.key, given+open, s.tableOf(), size))
			continue
		}
		for i := range domains {
			if n := s.of(&domains[i].Limits); *n == 0 {
				*n = (size - given) / open
			}
		}
	}
	return domains, errors.Join(errs...)
}
