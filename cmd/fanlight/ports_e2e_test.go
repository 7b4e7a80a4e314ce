package main

import (
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
)

// steady is a network with a stream to members that must lose nothing, whatever
// becomes of the port of "victim".
type steady struct {
	*lab.Net
	t       *testing.T
	a       *agent
	group   netip.Addr
	stream  *lab.Stream
	members map[string]*lab.Receiver
	victim  *lab.Receiver
}

func newSteady(t *testing.T) *steady {
	s := &steady{
		Net: newNet(t, "pub", "sub1", "sub2", "victim"), t: t,
		group: addr("239.6.0.1"), members: map[string]*lab.Receiver{},
	}
	s.a = startAgent(t, s.Net, "unregistered: drop")
	for _, name := range []string{"sub1", "sub2"} {
		s.members[name] = listen(t, s.Host(name), lab.ListenConfig{Group: s.group})
	}
	s.victim = listen(t, s.Host("victim"), lab.ListenConfig{Group: s.group})
	s.a.joined(s.group, 3)
	var err error
	s.stream, err = s.Host("pub").Stream(lab.SendConfig{Group: s.group, Port: 5000, Rate: 10000})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.stream.Close() })
	s.flow()
	return s
}

// flow waits until another 500 packets were sent.
func (s *steady) flow() {
	s.t.Helper()
	until := s.stream.Sent() + 500
	s.a.wait("the stream flows", func(series) bool { return s.stream.Sent() >= until })
}

// end stops the stream: the members must have got all of it.
func (s *steady) end() {
	s.t.Helper()
	sent, err := s.stream.Stop()
	if err != nil {
		s.t.Fatal(err)
	}
	quiet(s.t, s.Net)
	for name, r := range s.members {
		wantAll(s.t, name, r, sent)
	}
}

// gone fails unless nothing is left of the port on the page within a second.
func (s *steady) gone(port string) {
	s.t.Helper()
	start := time.Now()
	s.a.wait(port+" is gone", func(page series) bool {
		return page.sum("fanlight_group_members", `group="239.6.0.1"`) == 2 && !page.mentions(`interface="`+port+`"`)
	})
	if took := time.Since(start); took > time.Second {
		s.t.Errorf("%s was gone after %v, want a second at most", port, took)
	}
}

// mentions reports whether a series has the label.
func (s series) mentions(label string) bool {
	for text := range s {
		if strings.Contains(text, label) {
			return true
		}
	}
	return false
}

// port returns the victim's end of the cable in the switch.
func (s *steady) port() netlink.Link { return portLink(s.t, s.Net, s.Host("victim")) }

func setUp(handle *netlink.Handle, l netlink.Link, up bool) error {
	if up {
		return handle.LinkSetUp(l)
	}
	return handle.LinkSetDown(l)
}

// A port that is down loses its copies, each counted, and gets the stream again
// when it comes back: its members never left.
func TestAPortThatIsDownLosesItsOwnCopiesOnly(t *testing.T) {
	for name, set := range map[string]func(s *steady, up bool) error{
		"port": func(s *steady, up bool) error { return setUp(s.Switch().Handle(), s.port(), up) },
		"host": func(s *steady, up bool) error {
			handle := s.Host("victim").Namespace().Handle()
			l, err := handle.LinkByName("eth0")
			if err != nil {
				return err
			}
			return setUp(handle, l, up)
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteady(t)
			labels := []string{`group="239.6.0.1"`, `interface="p-victim"`}
			if err := set(s, false); err != nil {
				t.Fatal(err)
			}
			s.flow()
			s.a.wait("losses are counted as port_down", func(page series) bool {
				return page.sum("fanlight_copy_failures_total", append(labels, `reason="port_down"`)...) > 100
			})
			if err := set(s, true); err != nil {
				t.Fatal(err)
			}
			if name == "port" { // the host did not notice, and is a member still
				was := s.victim.Received()
				s.a.wait("the port gets the stream again", func(series) bool { return s.victim.Received() > was+100 })
			}
			s.end()
			page := s.a.scrape()
			lost := page.sum("fanlight_copy_failures_total", labels...)
			wanted := page.sum("fanlight_port_copies_total", labels...)
			if name == "port" && wanted != lost+float64(s.victim.Received()) {
				t.Errorf("%v copies wanted, %v lost, %d arrived", wanted, lost, s.victim.Received())
			}
			if named := page.sum("fanlight_copy_failures_total", append(labels, `reason="port_down"`)...); named != lost {
				t.Errorf("%v copies were lost, %v for port_down: %v", lost, named, page.family("fanlight_copy_failures_total"))
			}
		})
	}
}

// A port that vanishes, by itself or with its host, takes its members along.
func TestAPortThatVanishesTakesItsMembersAlong(t *testing.T) {
	for name, remove := range map[string]func(s *steady) error{
		"port deleted": func(s *steady) error { return s.Switch().Handle().LinkDel(s.port()) },
		"host removed": func(s *steady) error { return s.RemoveHost("victim") },
	} {
		t.Run(name, func(t *testing.T) {
			s := newSteady(t)
			if err := setUp(s.Switch().Handle(), s.port(), false); err != nil {
				t.Fatal(err)
			}
			s.flow() // so that there are failures that might stay
			if err := remove(s); err != nil {
				t.Fatal(err)
			}
			s.gone("p-victim")
			s.flow()
			s.end()
			page := s.a.scrape()
			arrived := float64(s.members["sub1"].Received() + s.members["sub2"].Received() + s.victim.Received())
			lost := page.sum("fanlight_copy_failures_total", `group="239.6.0.1"`)
			if wanted := page.sum("fanlight_group_copies_total", `group="239.6.0.1"`); wanted != arrived+lost {
				t.Errorf("%v copies of the group were wanted, %v arrived, %v are lost: %v",
					wanted, arrived, lost, page.family("fanlight_copy_failures_total"))
			}
		})
	}
}

// A port that gets a name that no domain wants is none any more; one that stays
// in its domain keeps its members and its counters.
func TestAPortThatIsRenamed(t *testing.T) {
	t.Run("out of the domain", func(t *testing.T) {
		s := newSteady(t)
		if err := s.Switch().Handle().LinkSetName(s.port(), "elsewhere"); err != nil {
			t.Fatal(err)
		}
		s.gone("p-victim")
		was := s.victim.Received()
		s.flow()
		if got := s.victim.Received(); got > was+10 { // some may have been under way
			t.Errorf("the host behind got %d packets more", got-was)
		}
		s.end()
	})
	t.Run("within the domain", func(t *testing.T) {
		s := newSteady(t)
		s.members["victim"] = s.victim // loses nothing
		if err := s.Switch().Handle().LinkSetName(s.port(), "p-renamed"); err != nil {
			t.Fatal(err)
		}
		s.a.wait("the new name shows", func(page series) bool {
			return page.mentions(`interface="p-renamed"`) && !page.mentions(`interface="p-victim"`)
		})
		s.flow()
		s.end()
		page := s.a.scrape()
		if got := page.sum("fanlight_group_members", `group="239.6.0.1"`); got != 3 {
			t.Errorf("%v members, want 3", got)
		}
		if got := page.sum("fanlight_port_copies_total", `group="239.6.0.1"`, `interface="p-renamed"`); got != float64(s.stream.Sent()) {
			t.Errorf("copies counter is %v, want %d: it goes on", got, s.stream.Sent())
		}
	})
}

// A port that appears in mid-stream is attached at once and works.
func TestAPortThatAppearsLater(t *testing.T) {
	s := newSteady(t)
	late, err := s.AddHost(lab.HostConfig{Name: "late"})
	if err != nil {
		t.Fatal(err)
	}
	sub := listen(t, late, lab.ListenConfig{Group: s.group})
	s.a.joined(s.group, 4)
	s.a.wait("the new port gets the stream", func(series) bool { return sub.Received() > 100 })
	// It works as an ingress port, too.
	back := addr("239.6.0.2")
	other := listen(t, s.Host("sub1"), lab.ListenConfig{Group: back})
	s.a.joined(back, 1)
	wantAll(t, "sub1", other, send(t, late, lab.SendConfig{Group: back, Count: 100}))
	s.end()
	if got := sub.Report().Total(); got.Missing+got.Duplicated != 0 {
		t.Errorf("the new port's stream has gaps: %+v", got)
	}
}

// An interface that gets the index of one that vanished inherits nothing.
func TestAnInterfaceIndexThatIsUsedAgain(t *testing.T) {
	s := newSteady(t)
	index := s.port().Attrs().Index
	if err := setUp(s.Switch().Handle(), s.port(), false); err != nil {
		t.Fatal(err)
	}
	s.flow() // so that there are failures that might be inherited
	if err := s.RemoveHost("victim"); err != nil {
		t.Fatal(err)
	}
	attrs := netlink.NewLinkAttrs()
	attrs.Name, attrs.Index = "p-again", index
	cable := netlink.NewVeth(attrs)
	cable.PeerName = "far"
	sw := s.Switch().Handle()
	if err := sw.LinkAdd(cable); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"p-again", "far"} {
		l, err := sw.LinkByName(name)
		if err == nil {
			err = sw.LinkSetUp(l)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	s.a.wait("the new port is attached, the old one gone", func(page series) bool {
		return page.mentions(`interface="p-again"`) && !page.mentions(`interface="p-victim"`)
	})
	far, err := s.Switch().Raw("far")
	if err != nil {
		t.Fatal(err)
	}
	defer far.Close()
	c := capture{far, "the new port"}
	c.only(s.group)
	s.flow()
	s.end()
	c.want(t, nil)
	page := s.a.scrape()
	for _, family := range []string{"fanlight_port_copies_total", "fanlight_copy_failures_total"} {
		if got := page.sum(family, `group="239.6.0.1"`, `interface="p-again"`); got != 0 {
			t.Errorf("%s of the new port is %v, want 0", family, got)
		}
	}
	if got := page.sum("fanlight_group_members", `group="239.6.0.1"`); got != 2 {
		t.Errorf("%v members, want 2", got)
	}
}
