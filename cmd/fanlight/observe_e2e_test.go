package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
)

// startObserver runs an agent that observes interfaces of a namespace and
// forwards nothing; silence is the lines below that key.
func startObserver(t testing.TB, netns, interfaces, silence string) *agent {
	t.Helper()
	events := filepath.Join(t.TempDir(), "events.jsonl")
	bpffs := "/sys/fs/bpf/" + netns + "-watch"
	t.Cleanup(func() {
		if err := collector.Detach(collector.Config{BPFFS: bpffs, Netns: netns}); err != nil {
			t.Error(err)
		}
	})
	return startConfig(t, fmt.Sprintf(`observe:
  interfaces: [%s]
  silence: {%s}
netns: %s
bpffs: %s
events: [{type: file, path: %s}]
redact: {profile: reveal}
api: {socket: %s}
`, interfaces, silence, netns, bpffs, events, filepath.Join(filepath.Dir(events), "api.sock")), events)
}

// observed is a series of a stream on the page.
func observed(family, iface, direction, group, source string) string {
	return fmt.Sprintf(`fanlight_observed_%s{interface="%s",direction="%s",group="%s",source="%s"}`, family, iface, direction, group, source)
}

// Every datagram is counted once, whatever its form, and none is changed,
// delayed or forwarded: there is no domain.
func TestObserveCountsWhatWasSent(t *testing.T) {
	n := newNet(t, "pub", "idle")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, "default: 300ms")
	pub := n.Host("pub")
	const payload = 200
	for _, row := range []struct {
		group    string
		source   string
		headers  uint64
		segments int
		count    uint64
	}{
		{"239.5.0.1", pub.Addr4.String(), 14 + 20 + 8, 1, 3000},
		{"ff15::5:1", pub.Addr6.String(), 14 + 40 + 8, 1, 2000},
		{"239.5.0.2", pub.Addr4.String(), 14 + 20 + 8, 32, 6400},
		{"ff15::5:2", pub.Addr6.String(), 14 + 40 + 8, 32, 6400},
	} {
		sent := send(t, pub, lab.SendConfig{Group: addr(row.group), Count: row.count, Size: payload, Segments: row.segments})
		page := a.scrape()
		packets := page[observed("packets_total", "p-pub", "receive", row.group, row.source)]
		bytes := page[observed("bytes_total", "p-pub", "receive", row.group, row.source)]
		if packets != float64(sent) || bytes != float64(sent*(row.headers+payload)) {
			t.Errorf("%s: %v packets of %v bytes counted, %d of %d sent", row.group, packets, bytes, sent, sent*(row.headers+payload))
		}
		if other := page.sum("fanlight_observed_packets_total", `group="`+row.group+`"`) - packets; other != 0 {
			t.Errorf("%s: %v packets counted elsewhere", row.group, other)
		}
		a.waitEvent(`"kind":"stream"`, `"action":"first"`, `"interface":"p-pub"`, `"direction":"receive"`, `"group":"`+row.group+`"`)
	}
	if page := a.scrape(); page["fanlight_observed_interfaces"] != 2 {
		t.Errorf("%v interfaces observed, want 2", page["fanlight_observed_interfaces"])
	}
}

func TestObserveTellsWhatChanges(t *testing.T) {
	n := newNet(t, "pub", "pub2")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, `default: 300ms, groups: {"239.6.1.0/24": 0s}`)
	group := `"group":"239.6.0.1"`
	stream := func(h *lab.Host, ttl int) {
		send(t, h, lab.SendConfig{Group: addr("239.6.0.1"), Count: 10, TTL: ttl})
	}
	pub := n.Host("pub")
	stream(pub, 16)
	a.waitEvent(`"action":"first"`, group, `"ttl":16`)
	send(t, pub, lab.SendConfig{Group: addr("239.6.1.1"), Count: 10}) // never told silent
	a.waitEvent(`"action":"silent"`, group, `"packets":10`, `"silence_ns":`)
	stream(pub, 15)
	a.waitEvent(`"action":"resumed"`, group)
	a.waitEvent(`"action":"ttl_changed"`, group, `"ttl":15`, `"previous_ttl":16`)
	if c := a.scrape()[strings.TrimSuffix(observed("changes_total", "p-pub", "receive", "239.6.0.1", pub.Addr4.String()), "}")+`,field="ttl"}`]; c != 1 {
		t.Errorf("%v changes of the TTL, want 1", c)
	}
	lines, err := os.ReadFile(a.events)
	if err != nil {
		t.Fatal(err)
	}
	for l := range strings.Lines(string(lines)) {
		if strings.Contains(l, "239.6.1.1") && strings.Contains(l, `"silent"`) {
			t.Errorf("told of a group that may be silent: %s", l)
		}
	}
}

// Who sends to a group is followed: another source beside the first, one after all
// were silent, and a remarked one.
func TestObserveSources(t *testing.T) {
	n := newNet(t, "pub")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, "default: 400ms")
	group := addr("239.14.0.1")
	c := rawSender(t, n.Host("pub"))
	from := func(source string, tos byte) {
		udp := frame.UDP{SrcPort: 4000, DstPort: 5000}.Wrap(addr(source), group, lab.Payload(1, 0, 100))
		b := frame.Ethernet{Dst: frame.GroupMAC(group), Src: macOf(n.Host("pub"))}.Wrap(frame.Packet(addr(source), group, frame.ProtocolUDP, udp))
		b[15] = tos
		sendFrames(t, c, b)
	}
	from("10.9.0.1", 0)
	a.waitEvent(`"action":"first"`, `"source":"10.9.0.1"`)
	from("10.9.0.1", 0xb8)
	a.waitEvent(`"action":"dscp_changed"`, `"source":"10.9.0.1"`, `"dscp":46`)
	deadline := time.Now().Add(patience)
	for added := 2; ; added++ { // the first one must not have fallen silent meanwhile
		from("10.9.0.1", 0xb8)
		from(fmt.Sprintf("10.9.0.%d", added), 0)
		a.waitEvent(`"kind":"stream"`, fmt.Sprintf(`"source":"10.9.0.%d"`, added))
		if lines, err := os.ReadFile(a.events); err != nil {
			t.Fatal(err)
		} else if strings.Contains(string(lines), `"source_added"`) {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no source was told to be added")
		}
	}
	a.wait("all are silent", func(s series) bool {
		return s[`fanlight_observed_sources{interface="p-pub",direction="receive",group="239.14.0.1"}`] == 0
	})
	from("10.9.1.1", 0)
	a.waitEvent(`"action":"source_changed"`, `"source":"10.9.1.1"`)
}

// A burst that fits in a millisecond is the peak of both windows, for one scrape.
func TestObservePeaks(t *testing.T) {
	n := newNet(t, "pub")
	a := startObserver(t, n.Switch().Name(), `"p-*"`, "")
	pub := n.Host("pub")
	peak := func(page series, window string) float64 {
		return page[strings.TrimSuffix(observed("peak_packets", "p-pub", "receive", "239.7.0.1", pub.Addr4.String()), "}")+`,window="`+window+`"}`]
	}
	for range 5 { // a loaded machine may be slower than a millisecond now and then
		sent := send(t, pub, lab.SendConfig{Group: addr("239.7.0.1"), Count: 64, Size: 100, Segments: 64})
		page := a.scrape()
		if peak(page, "1ms") != float64(sent) || peak(page, "100ms") != float64(sent) {
			continue
		}
		if page = a.scrape(); peak(page, "1ms") != 0 || peak(page, "100ms") != 0 {
			t.Errorf("the next scrape has peaks of %v and %v, want none", peak(page, "1ms"), peak(page, "100ms"))
		}
		return
	}
	t.Error("no burst of 64 datagrams was seen whole")
}

// Forwarding and observing on the same interfaces: both count exactly, and every
// copy arrives.
func TestObserveBesideForwarding(t *testing.T) {
	for _, hook := range []string{"auto", "clsact"} {
		t.Run(hook, func(t *testing.T) { observeBesideForwarding(t, hook) })
	}
}

func observeBesideForwarding(t *testing.T, hook string) {
	n := newNet(t, "pub", "sub")
	cfg, events := agentConfig(t, n)
	a := startConfig(t, cfg+"observe: {interfaces: [\"p-*\"]}\nhook: "+hook+"\n", events)
	group := addr("239.8.0.1")
	r := listen(t, n.Host("sub"), lab.ListenConfig{Group: group})
	a.joined(group, 1)
	sent := send(t, n.Host("pub"), lab.SendConfig{Group: group, Count: 5000, Rate: 20000})
	wantAll(t, "sub", r, sent)
	page, source := a.scrape(), n.Host("pub").Addr4.String()
	for _, series := range []string{
		observed("packets_total", "p-pub", "receive", "239.8.0.1", source),
		observed("packets_total", "p-sub", "transmit", "239.8.0.1", source),
		`fanlight_group_packets_total{domain="lab",group="239.8.0.1"}`,
		`fanlight_port_copies_total{domain="lab",group="239.8.0.1",interface="p-sub"}`,
	} {
		if page[series] != float64(sent) {
			t.Errorf("%s is %v, want %d", series, page[series], sent)
		}
	}
	if state := page[`fanlight_observed_group_state{interface="p-pub",group="239.8.0.1",state="ok"}`]; state != 1 {
		t.Errorf("the group is not ok on p-pub, though the domain has a member:\n%v", page)
	}
}

// What this host joined and what arrives are compared.
func TestObserveStates(t *testing.T) {
	n := newNet(t, "pub", "sub")
	forwarding := startAgent(t, n, "unregistered: flood")
	a := startObserver(t, n.Host("sub").Namespace().Name(), "eth0", "default: 300ms")
	group := addr("239.9.0.1")
	listen(t, n.Host("sub"), lab.ListenConfig{Group: group})
	state := func(group, state string) {
		t.Helper()
		a.wait(group+" "+state, func(s series) bool {
			return s[fmt.Sprintf(`fanlight_observed_group_state{interface="eth0",group="%s",state="%s"}`, group, state)] == 1
		})
	}
	state("239.9.0.1", "silent")
	forwarding.joined(group, 1)
	a.wait("a membership", func(s series) bool {
		return s[`fanlight_observed_memberships{interface="eth0",group="239.9.0.1"}`] == 1
	})
	a.wait("its report", func(s series) bool {
		return s[`fanlight_observed_igmp_messages_total{interface="eth0",direction="transmit",type="report",version="igmpv3"}`] >= 1
	})
	stop := make(chan struct{})
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				for _, g := range []string{"239.9.0.1", "239.9.0.2"} { // the other one floods in
					n.Host("pub").Send(t.Context(), lab.SendConfig{Group: addr(g), Port: 5000, Count: 1})
				}
				time.Sleep(20 * time.Millisecond) // the pace of the stream
			}
		}
	}()
	state("239.9.0.1", "ok")
	state("239.9.0.2", "unsubscribed")
	close(stop)
	<-done
	state("239.9.0.1", "silent")
}

// A querier that passes by is told of once, and again when another one takes
// over.
func TestObserveQuerier(t *testing.T) {
	n := newNet(t, "one", "two")
	a := startObserver(t, n.Switch().Name(), "p-one", "")
	c := rawSender(t, n.Host("one"))
	query := func(from string) {
		q := frame.IGMP{SrcMAC: macOf(n.Host("one")), Src: addr(from)}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 100, QRV: 2, QQIC: 125}))
		sendFrames(t, c, q)
	}
	query("10.9.9.9")
	a.waitEvent(`"kind":"querier"`, `"action":"heard"`, `"interface":"p-one"`, `"querier":"10.9.9.9"`)
	query("10.9.9.1")
	a.waitEvent(`"kind":"querier"`, `"action":"replaced"`, `"querier":"10.9.9.1"`)
	page := a.scrape()
	if page[`fanlight_observed_querier_info{interface="p-one",address="10.9.9.1",version="igmpv3"}`] != 1 {
		t.Errorf("the querier is not on the page")
	}
	if got := page[`fanlight_observed_igmp_messages_total{interface="p-one",direction="receive",type="query",version="igmpv3"}`]; got != 2 {
		t.Errorf("%v queries counted, want 2", got)
	}
}
