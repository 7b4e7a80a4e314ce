package collector

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/snoop"
)

// What a request for a static group may run into, besides ErrInvalidStatic and
// ErrNotKept.
var (
	// ErrUnknownDomain: no domain has that name, or several could be meant.
	ErrUnknownDomain = errors.New("which domain is meant")
	// ErrStaticRefused: the domain's configuration or a full table is against it.
	ErrStaticRefused = errors.New("refused")
	// ErrStaticConfigured: the configuration orders it, so a request can't take
	// it back.
	ErrStaticConfigured = errors.New("it is in the configuration: take it out of 'static' there and send SIGHUP")
)

// StaticChange is what became of a request.
type StaticChange struct {
	// Changed is how many orders were added or deleted: 0 if all was so already.
	Changed int
	// Ports is how many ports are there that the request names.
	Ports int
	// Configured is how many orders stay because the configuration has them.
	Configured int
}

// AddStatic orders a group, or a subscription to one, until DeleteStatic. It is
// in force, and on disk, when AddStatic returns; to order the same again changes
// nothing. If there is one domain, s need not name it.
func (a *Agent) AddStatic(s Static) (c StaticChange, err error) {
	if err := s.validate(); err != nil {
		return c, err
	}
	a.ordering.Lock()
	defer a.ordering.Unlock()
	d, err := a.staticDomain(&s)
	if err != nil {
		return c, err
	}
	return a.changeStatic(d, []Static{s}, true)
}

// DeleteStatic takes back what AddStatic ordered: with an interface, what that
// one gets of the group, of one source if s has one, and without an interface
// the group with all of its static subscribers. Nothing to take back is no
// error. Members that hosts reported stay.
func (a *Agent) DeleteStatic(s Static) (c StaticChange, err error) {
	if !s.Group.IsMulticast() {
		return c, fmt.Errorf("%w: want a group, such as 239.1.1.1 or ff15::1", ErrInvalidStatic)
	}
	a.ordering.Lock()
	defer a.ordering.Unlock()
	d, err := a.staticDomain(&s)
	if err != nil {
		return c, err
	}
	a.mu.Lock()
	var requested []Static
	for order, origin := range a.static.groups[s.group()] {
		switch {
		case s.Interface != "" && order.Interface != s.Interface, s.Source.IsValid() && order.Source != s.Source:
		case origin&byConfig != 0:
			c.Configured++
		default:
			requested = append(requested, order)
		}
	}
	a.mu.Unlock()
	configured := c.Configured
	if len(requested) == 0 && configured > 0 {
		return c, ErrStaticConfigured
	}
	c, err = a.changeStatic(d, requested, false)
	c.Configured = configured
	return c, err
}

// staticDomain finds the domain and completes the order by its name.
func (a *Agent) staticDomain(s *Static) (*domain, error) {
	select {
	case <-a.ready:
	default:
		return nil, ErrNotRunning
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed {
		return nil, ErrNotRunning
	}
	if s.Domain == "" && len(a.domains) == 1 {
		s.Domain = a.domains[0].cfg.Name
	}
	i := slices.IndexFunc(a.domains, func(d *domain) bool { return d.cfg.Name == s.Domain })
	if i >= 0 {
		return a.domains[i], nil
	}
	var names []string
	for _, d := range a.domains {
		names = append(names, a.deps.showDomain(d.cfg.Name))
	}
	if s.Domain != "" {
		return nil, fmt.Errorf("%w: %q is none of %s", ErrUnknownDomain, s.Domain, strings.Join(names, ", "))
	}
	return nil, fmt.Errorf("%w: name one of %s", ErrUnknownDomain, strings.Join(names, ", "))
}

// changeStatic adds or removes orders of one group, and takes that back if the
// kernel has no room or the disk does not keep it. The caller holds a.ordering.
func (a *Agent) changeStatic(d *domain, orders []Static, add bool) (c StaticChange, err error) {
	a.mu.Lock()
	var changed []Static
	for _, s := range orders {
		_, there := a.static.groups[s.group()][s]
		if there != add {
			changed = append(changed, s)
		}
		c.Ports = max(c.Ports, named(s.Interface, d.ports))
	}
	if len(changed) > 0 {
		err = a.order(d, changed, add)
	}
	saved := a.static.all(byRequest)
	a.mu.Unlock()
	if err != nil || len(changed) == 0 {
		return c, err
	}
	if err := a.staticFile.save(saved); err != nil {
		a.mu.Lock()
		defer a.mu.Unlock()
		return c, errors.Join(err, a.order(d, changed, !add))
	}
	c.Changed = len(changed)
	return c, nil
}

// order puts orders of one group in force, or none of them. The caller holds
// a.mu.
func (a *Agent) order(d *domain, orders []Static, add bool) error {
	write := a.static.add
	if !add {
		write = a.static.remove
	}
	undo := a.static.remove
	if !add {
		undo = a.static.add
	}
	for _, s := range orders {
		write(s, byRequest)
	}
	g := orders[0].group()
	err := a.placeStatic(d, g)
	if err == nil {
		return nil
	}
	for _, s := range orders {
		undo(s, byRequest)
	}
	if back := a.placeStatic(d, g); back != nil && !errors.Is(back, ErrStaticRefused) {
		err = errors.Join(err, back)
	}
	return err
}

// placeStatic makes the domain's table and the kernel follow the orders of one
// group. The caller holds a.mu.
func (a *Agent) placeStatic(d *domain, g staticGroup) error {
	now := bpf.Now()
	if err := d.setStatic(&a.static, g.key, a.staticReason(), now); err != nil {
		return refusal(err)
	}
	if err := a.settle(now); err != nil {
		return err
	}
	if d.unplaced[g.key] {
		return fmt.Errorf("%w: a kernel table is full ('fanlight status' shows which); give it more room under 'tables', after 'fanlight detach'", ErrStaticRefused)
	}
	return nil
}

// setStatic makes the table follow the orders of one group.
func (d *domain) setStatic(b *staticBook, k snoop.GroupKey, why string, now time.Duration) error {
	g := staticGroup{d.cfg.Name, k}
	if len(b.groups[g]) == 0 {
		d.table.ClearStatic(k, why, now)
		return nil
	}
	return d.table.SetStatic(k, b.ports(g, d.ports), why, now)
}

// followStatic makes the domain's table follow all orders, after ports or the
// configuration changed. What is refused is counted and logged, and tried again
// at the next change. The caller holds a.mu.
func (a *Agent) followStatic(d *domain, now time.Duration) {
	if !d.reorder {
		return
	}
	d.reorder = false
	why := a.staticReason()
	for _, k := range d.table.StaticGroups() {
		if len(a.static.groups[staticGroup{d.cfg.Name, k}]) == 0 {
			d.table.ClearStatic(k, why, now)
		}
	}
	refused, last := 0, error(nil)
	for _, k := range a.static.of(d.cfg.Name) {
		if err := d.setStatic(&a.static, k, why, now); err != nil {
			refused++
			last = refusal(err)
		}
	}
	if refused > 0 {
		a.log.Error("static groups are not in force", "domain", d.cfg.Name, "groups", refused, "last", last)
		a.membersRefused += uint64(refused)
	}
}

// staticReason is why a static member appears or goes, in events.
func (a *Agent) staticReason() string {
	select {
	case <-a.ready:
		return "static"
	default:
		return "start" // it may have been there before
	}
}

// openStatic reads what an earlier agent was asked for. If that can't be read,
// the agent goes on by its configuration, and takes no orders.
func (a *Agent) openStatic() {
	a.staticFile = newStaticFile(a.cfg.State)
	kept, err := a.staticFile.load()
	if err != nil {
		a.log.Error("static groups of earlier requests are not in force", "error", err)
	}
	for _, s := range kept {
		a.static.add(s, byRequest)
	}
	a.static.configure(a.cfg.Domains)
}

// advice says what to do about the reasons for which a table refuses.
var advice = map[string]string{
	"not_allowed":        "the group is none of those that 'allow' lists in the configuration",
	"group_limit":        "the domain has no room for another group; raise its 'limits.groups'",
	"member_limit":       "the domain has no room for another subscriber; raise its 'limits.members'",
	"port_limit":         "the group has no room for another port; raise 'limits.ports_per_group'",
	"source_limit":       "the port names too many sources of the group; raise 'limits.sources_per_group'",
	"total_source_limit": "the domain's members name too many sources; raise its 'limits.sources'",
	"vlan_limit":         "the domain has no room for another VLAN; raise its 'limits.vlans'",
}

// refusal makes an error for people of what the table answered.
func refusal(err error) error {
	for reason, text := range advice {
		if strings.HasSuffix(err.Error(), ": "+reason) {
			return fmt.Errorf("%w: %s", ErrStaticRefused, text)
		}
	}
	return fmt.Errorf("%w: %w", ErrStaticRefused, err)
}
