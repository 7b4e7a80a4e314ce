package collector

import (
	"github.com/fanlight-io/fanlight/snoop"
)

// Member is a port's membership of a group, raw: not for exporters.
type Member struct {
	Domain    string
	Interface string
	snoop.Member
}

// Members returns all members, by domain, group and port. Call it after Ready.
func (a *Agent) Members() (all []Member) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range a.domains {
		for m := range d.table.Members() {
			all = append(all, Member{d.cfg.Name, a.names.Interface(uint32(m.Port)), m})
		}
	}
	return all
}
