// Package groupname tells what multicast groups are called: by the operator's
// own file, by IANA's registries and by common use. The narrowest range that
// holds a group names it, and of equal ranges the operator's.
//
// A [Table] is immutable: it may be shared and read without a lock.
package groupname

import (
	"embed"
	"net/netip"
	"slices"
	"strings"
)

// Status says what an entry is.
type Status uint8

// The kinds of entries. Only that of an assigned one is a group's name.
const (
	Assigned   Status = iota
	Unassigned        // free in the registry
	Reserved          // not to be used
	Block             // a range that says what kind its groups are
)

var statusNames = [...]string{Assigned: "", Unassigned: "unassigned", Reserved: "reserved", Block: "block"}

// String returns the status as files write it: nothing for Assigned.
func (s Status) String() string { return statusNames[s] }

// Entry is what a table says of a range of groups.
type Entry struct {
	Name   string
	Status Status
	// First and Last are the ends of the range. If AnyScope is true it is the
	// same range in every scope of IPv6, written with scope 0.
	First, Last netip.Addr
	AnyScope    bool

	rank int // of files: a higher one wins
}

// Own reports whether the entry comes from the operator's file.
func (e Entry) Own() bool { return e.rank > 0 }

// Table finds names of groups.
type Table struct {
	v4, v6, anyScope []segment
	byName           map[string][]netip.Addr // in lower case, of entries for one group each
}

//go:embed iana4.tsv iana6.tsv known.tsv
var files embed.FS

// builtin are the entries that come with the program.
var builtin = func() (all []Entry) {
	for _, name := range []string{"iana4.tsv", "iana6.tsv", "known.tsv"} {
		raw, err := files.ReadFile(name)
		if err != nil {
			panic(err) // the program was built without its files
		}
		entries, err := parseLines(raw)
		if err != nil {
			panic(name + ": " + err.Error())
		}
		all = append(all, entries...)
	}
	return all
}()

var builtinTable = newTable(builtin)

// Builtin returns the table of what comes with the program.
func Builtin() *Table { return builtinTable }

func newTable(entries []Entry) *Table {
	var v4, v6, anyScope []Entry
	t := &Table{byName: map[string][]netip.Addr{}}
	for _, e := range entries {
		switch {
		case e.AnyScope:
			anyScope = append(anyScope, e)
		case e.First.Is4():
			v4 = append(v4, e)
		default:
			v6 = append(v6, e)
		}
		if e.First == e.Last && e.Status == Assigned && !e.AnyScope {
			key := strings.ToLower(e.Name)
			t.byName[key] = append(t.byName[key], e.First)
		}
	}
	for key, addrs := range t.byName {
		slices.SortFunc(addrs, netip.Addr.Compare)
		t.byName[key] = slices.Compact(addrs)
	}
	t.v4, t.v6, t.anyScope = flatten(v4), flatten(v6), flatten(anyScope)
	return t
}

// Name returns what the group is called, "" if it has no name of its own. It
// allocates nothing.
func (t *Table) Name(group netip.Addr) string {
	if e := t.find(group); e != nil && e.Status == Assigned {
		return e.Name
	}
	return ""
}

// Lookup returns the entry of the narrowest range that holds the group.
func (t *Table) Lookup(group netip.Addr) (e Entry, ok bool) {
	if found := t.find(group); found != nil {
		return *found, true
	}
	return e, false
}

// Addresses returns the groups that have the name for themselves, not with
// others of a range, sorted. Upper and lower case are the same.
func (t *Table) Addresses(name string) []netip.Addr {
	return slices.Clone(t.byName[strings.ToLower(name)])
}

func (t *Table) find(group netip.Addr) *Entry {
	group = group.Unmap()
	switch {
	case !group.IsMulticast():
		return nil
	case group.Is4():
		return search(t.v4, group)
	}
	group = group.WithZone("")
	if e := search(t.v6, group); e != nil {
		return e
	}
	if scoped, ok := withoutScope(group); ok {
		return search(t.anyScope, scoped)
	}
	return nil
}

// withoutScope returns a permanently assigned group of IPv6 with scope 0 (RFC
// 4291 section 2.7); other groups have no meaning that scopes share.
func withoutScope(group netip.Addr) (netip.Addr, bool) {
	b := group.As16()
	if b[1]>>4 != 0 {
		return group, false
	}
	b[1] = 0
	return netip.AddrFrom16(b), true
}
