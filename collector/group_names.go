package collector

import (
	"fmt"
	"net/netip"
	"sync/atomic"

	"github.com/fanlight-io/fanlight/groupname"
	"github.com/fanlight-io/fanlight/redact"
)

// groupNames is what groups are called now. Reading takes no lock.
type groupNames struct {
	now atomic.Pointer[groupname.Table]
}

func newGroupNames() *groupNames {
	n := &groupNames{}
	n.now.Store(groupname.Builtin())
	return n
}

// load reads the operator's file, "" for none. After an error the old names
// stay.
func (n *groupNames) load(path string) error {
	t, err := readNames(path)
	if err == nil {
		n.now.Store(t)
	}
	return err
}

func readNames(path string) (*groupname.Table, error) {
	if path == "" {
		return groupname.Builtin(), nil
	}
	t, err := groupname.Load(path)
	if err != nil {
		return nil, fmt.Errorf("names: %w", err)
	}
	return t, nil
}

// of returns the group's name, or "".
func (n *groupNames) of(group netip.Addr) string { return n.now.Load().Name(group) }

// GroupsNamed returns the groups that have the name for themselves.
func (a *Agent) GroupsNamed(name string) []netip.Addr { return a.groupNames.now.Load().Addresses(name) }

// showsName reports whether the name of the group may leave.
func (d Deps) showsName(group netip.Addr, name string) bool {
	texts, ok := d.Policy.Row([]redact.Class{redact.Group, redact.GroupName}, redact.Addr(group), redact.Name(name))
	return ok && texts[1] != ""
}
