package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/cilium/ebpf"
	"github.com/cilium/ebpf/link"

	"github.com/fanlight-io/fanlight/bpf"
)

const domain = 1

// product is the shipped datapath on a fabric.
type product struct {
	*fabric
	datapath *bpf.Datapath
}

// install loads the datapath with its default settings and attaches it
// to every port, as the agent does, and sets the groups that the agent would
// have learnt.
func (p *product) install(settings bpf.Settings, groups map[int]bpf.Forwarding) func(context.Context, *fabric) error {
	return func(_ context.Context, f *fabric) error {
		p.fabric = f
		return f.net.Switch().Do(func() (err error) {
			p.datapath, err = bpf.Load(bpf.Options{Settings: settings, Dir: f.pinDir()})
			if err != nil {
				return fmt.Errorf("load datapath: %w", err)
			}
			f.closers = append(f.closers, func() error { return f.net.Switch().Do(p.datapath.Unload) })
			if err := p.addPorts(); err != nil {
				return err
			}
			for fanout, fw := range groups {
				if fw.Any == nil {
					fw.Any = f.ports[:fanout]
				}
				if _, err := p.datapath.Tables.SetGroup(groupKey(fanout), fw); err != nil {
					return fmt.Errorf("set group with %d ports: %w", fanout, err)
				}
			}
			return nil
		})
	}
}

func groupKey(fanout int) bpf.GroupKey {
	return bpf.GroupKey{Domain: domain, Group: groupOf(fanout)}
}

// plainGroups are groups with budgeted events, one for each fanout.
func plainGroups(fanouts []int) map[int]bpf.Forwarding {
	groups := map[int]bpf.Forwarding{}
	for _, fanout := range fanouts {
		groups[fanout] = bpf.Forwarding{}
	}
	return groups
}

func (p *product) addPorts() error {
	all := append([]uint32{p.ingress}, p.ports...)
	t := p.datapath.Tables
	err := t.SetDomain(domain, bpf.Domain{Name: "bench", Flood: all, MessagesPerSecond: 1000, StreamsPerGroup: 256})
	if err != nil {
		return err
	}
	if err := t.SetSegment(bpf.SegmentKey{Domain: domain}, bpf.Segment{QuerierV4: true, QuerierV6: true}); err != nil {
		return err
	}
	for i, port := range all {
		if err := t.SetPort(port, bpf.Port{Name: fmt.Sprint("p", port), Domain: domain, Index: uint32(i + 1)}); err != nil {
			return err
		}
		if err := p.datapath.AttachPort(port); err != nil {
			return err
		}
	}
	return nil
}

// variant loads another build of replicate on the datapath's own tables.
func (p *product) variant(load func() (*ebpf.CollectionSpec, error), set map[string]any) (*ebpf.Program, error) {
	spec, err := load()
	if err != nil {
		return nil, err
	}
	with := map[string]*ebpf.Map{}
	for name, ms := range spec.Maps {
		pin := filepath.Join(p.pinDir(), "maps", name)
		if _, err := os.Stat(pin); err != nil {
			continue // private to the program
		}
		m, err := ebpf.LoadPinnedMap(pin, nil)
		if err != nil {
			return nil, fmt.Errorf("open table %s: %w", name, err)
		}
		defer m.Close()
		with[name], ms.MaxEntries = m, m.MaxEntries()
	}
	ring, err := ebpf.LoadPinnedMap(filepath.Join(p.pinDir(), "maps", "event_ring_0"), nil)
	if err != nil {
		return nil, fmt.Errorf("open ring: %w", err)
	}
	defer ring.Close()
	spec.Maps["events"].InnerMap.MaxEntries = ring.MaxEntries()
	for v, value := range set {
		if err := spec.Variables[v].Set(value); err != nil {
			return nil, fmt.Errorf("set %s: %w", v, err)
		}
	}
	coll, err := ebpf.NewCollectionWithOptions(spec, ebpf.CollectionOptions{MapReplacements: with})
	if err != nil {
		return nil, fmt.Errorf("load variant: %w", err)
	}
	defer coll.Close()
	return coll.DetachProgram("replicate"), nil
}

// likeShipped are the settings that the loader gives the shipped program.
func likeShipped(more map[string]any) map[string]any {
	set := map[string]any{"consume": uint32(1), "copy_loss_traced": uint32(1)}
	for k, v := range more {
		set[k] = v
	}
	return set
}

// swap puts another program in the place of the one at the source's port.
func (p *product) swap(to *ebpf.Program) error {
	l, err := link.LoadPinnedLink(filepath.Join(p.pinDir(), "links", fmt.Sprintf("port_%d", p.ingress)), nil)
	if err != nil {
		return fmt.Errorf("open link of port %d: %w", p.ingress, err)
	}
	defer l.Close()
	return l.Update(to)
}

// checkCounts compares fanlight's counters with the sinks, port by port: what
// it says that it handed over is what arrived and what it says was lost.
func (p *product) checkCounts() error {
	pairs, err := p.datapath.PairCounts(nil)
	if err != nil {
		return err
	}
	type sum struct{ copies, copyBytes, lost, lostBytes uint64 }
	sums := map[uint32]*sum{}
	for _, port := range p.ports {
		sums[port] = &sum{}
	}
	for _, c := range pairs {
		if s := sums[c.Port]; s != nil {
			s.copies += c.Copies
			s.copyBytes += c.Bytes
		}
	}
	err = p.datapath.EachFailure(func(f bpf.FailureCount) {
		if s := sums[f.Port]; s != nil {
			s.lost += f.Packets
			s.lostBytes += f.Bytes
		}
	})
	if err != nil {
		return err
	}
	counts, err := p.counts()
	if err != nil {
		return err
	}
	var errs []error
	for i, port := range p.ports {
		s, got := sums[port], counts[i]
		if s.copies != got.Datagrams+s.lost || s.copyBytes != got.Bytes+s.lostBytes {
			errs = append(errs, fmt.Errorf("sink %d got %d datagrams, %d bytes; fanlight counted %d copies, %d bytes, of which %d, %d bytes lost",
				i+1, got.Datagrams, got.Bytes, s.copies, s.copyBytes, s.lost, s.lostBytes))
		}
	}
	return errors.Join(errs...)
}
