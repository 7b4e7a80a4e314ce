package collector

import (
	"maps"
	"strconv"
	"sync"
	"sync/atomic"
)

// nameTable resolves the kernel's numbers for events. Reading takes no lock:
// the hot path does it twice per event. Names of interfaces that are gone stay
// until their index is used again, for events that are still under way.
type nameTable struct {
	mu  sync.Mutex // of writers
	now atomic.Pointer[nameMaps]
	// renamed counts the numbers that got another name than they had.
	renamed atomic.Uint64
}

type nameMaps struct {
	domains    map[uint32]string
	interfaces map[uint32]string
}

func newNameTable() *nameTable {
	t := &nameTable{}
	t.now.Store(&nameMaps{domains: map[uint32]string{}, interfaces: map[uint32]string{}})
	return t
}

func (t *nameTable) setDomain(id uint32, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.now.Load()
	if was, had := old.domains[id]; had && was != name {
		t.renamed.Add(1)
	}
	domains := maps.Clone(old.domains)
	domains[id] = name
	t.now.Store(&nameMaps{domains: domains, interfaces: old.interfaces})
}

func (t *nameTable) setInterface(ifindex uint32, name string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	old := t.now.Load()
	if was, had := old.interfaces[ifindex]; had && was == name {
		return
	} else if had {
		t.renamed.Add(1)
	}
	interfaces := maps.Clone(old.interfaces)
	interfaces[ifindex] = name
	t.now.Store(&nameMaps{domains: old.domains, interfaces: interfaces})
}

// Domain returns the domain's name.
func (t *nameTable) Domain(id uint32) string { return t.now.Load().domains[id] }

// Interface returns the port's name, or its index if it never had one here.
func (t *nameTable) Interface(ifindex uint32) string {
	if name, ok := t.now.Load().interfaces[ifindex]; ok {
		return name
	}
	if ifindex == 0 {
		return ""
	}
	return "if" + strconv.FormatUint(uint64(ifindex), 10)
}
