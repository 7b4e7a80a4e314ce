package dashboards

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/frame"
	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact"
	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// The groups of the scene.
var (
	feed   = netip.MustParseAddr("239.1.1.1") // as in rules/example/expectations.yaml
	other  = netip.MustParseAddr("239.1.1.2")
	film   = netip.MustParseAddr("239.1.1.3") // to a slow port
	wide6  = netip.MustParseAddr("ff15::1:1")
	studio = netip.MustParseAddr("239.2.0.1")
)

const labPort = 5000

// scene is a network at work, with a real agent on its switch:
//
//	pub ────┐          ┌── sub1, sub2 ── feed, other
//	evil ───┼─ switch ─┼── slow ──────── film
//	router ─┘          └── crowd ─────── many groups, if told to
//
// The router is the querier. Beside it, the domain studio has two hosts, and the
// agent asks them itself.
type scene struct {
	t       *testing.T
	net     *lab.Net
	binary  string
	config  string // path
	text    string // of the configuration
	page    string // address of the metrics page
	browsed string // address of the live page
	socket  string
	agent   *process
	archive *drain // with a spool, gets every event
	siem    *drain // gets membership events

	silences   map[netip.Addr]func()    // end the publisher's streams
	receivers  map[string]*lab.Receiver // by host and group
	stopAsking func()
}

func newScene(t *testing.T) *scene {
	t.Helper()
	s := &scene{
		t: t, binary: buildFanlight(t), page: freeAddress(t), browsed: freeAddress(t),
		silences: map[netip.Addr]func(){}, receivers: map[string]*lab.Receiver{},
		archive: &drain{t: t, address: freeAddress(t)}, siem: &drain{t: t, address: freeAddress(t)},
	}
	s.net = labtest.New(t, labtest.Hosts("pub", "sub1", "sub2", "slow", "crowd1", "crowd2", "router", "evil", "studio1", "studio2")...)
	dir := t.TempDir()
	s.socket = filepath.Join(dir, "api.sock")
	s.text = fmt.Sprintf(`
domains:
  - name: lab
    ports: [p-pub, "p-sub*", p-slow, "p-crowd*", p-router, p-evil]
    querier: {mode: off, query_interval: 1s, query_response_interval: 200ms, last_member_query_interval: 100ms}
    allow: ["239.0.0.0/8", "ff00::/8"]
    sample: 10
  - name: studio
    ports: ["p-studio*"]
    querier: {mode: on, query_interval: 2s, query_response_interval: 200ms, last_member_query_interval: 100ms}
    limits: {groups: 10}
tables: {groups: 64, sources: 4}
names: %[9]s
event_budget: {drop: 100ms}
netns: %[1]s
bpffs: /sys/fs/bpf/%[2]s
events:
  - {type: file, path: %[3]s/events.jsonl}
  - {type: syslog, name: archive, address: %[4]q, retry: {first: 50ms, most: 200ms}, spool: {dir: %[3]s/spool, max_size: 128KiB}}
  - {type: syslog, name: siem, address: %[5]q, retry: {first: 50ms, most: 200ms}, filter: {allow: [{kinds: [membership]}]}, redact: {profile: siem}}
metrics: {listen: %[6]q, otlp: [{endpoint: %[7]q, insecure: true, interval: 1s, timeout: 500ms}]}
redact: {profile: reveal}
api: {socket: %[8]s}
live: {listen: %[10]q}
`, s.net.Switch().Name(), s.net.Name(), dir, s.archive.address, s.siem.address, s.page, freeAddress(t), s.socket,
		writeFile(t, filepath.Join(dir, "names.tsv"), "239.0.0.0/8\tLab\n"), s.browsed)
	s.config = writeFile(t, filepath.Join(dir, "fanlight.yaml"), "%s", s.text)
	if err := os.Mkdir(filepath.Join(dir, "spool"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.agent.kill()
		detach := start(t, s.binary, "detach", "--config", s.config)
		<-detach.done
		if !detach.cmd.ProcessState.Success() {
			t.Errorf("detach: %s", detach.output())
		}
	})
	s.run()
	return s
}

// run starts the agent, anew after a kill.
func (s *scene) run() {
	s.t.Helper()
	s.agent = start(s.t, s.binary, "run", "--config", s.config)
	s.agent.answers("http://" + s.page + "/metrics")
	s.agent.answers("http://" + s.browsed + "/")
}

// reload puts a configuration in its place and tells the agent.
func (s *scene) reload(text string) {
	s.t.Helper()
	writeFile(s.t, s.config, "%s", text)
	s.agent.signal(syscall.SIGHUP)
}

// live lets everybody do what they do all the time.
func (s *scene) live() {
	s.t.Helper()
	s.ask()
	for _, name := range []string{"sub1", "sub2"} {
		s.join(name, feed)
		s.join(name, other)
		s.join(name, wide6)
	}
	s.join("slow", film)
	s.join("studio2", studio)
	s.stream("studio1", studio)
	for _, g := range []netip.Addr{feed, other, film, wide6} {
		s.send(g)
	}
}

// send starts the publisher's stream to the group.
func (s *scene) send(group netip.Addr) { s.silences[group] = s.stream("pub", group) }

// silence ends it.
func (s *scene) silence(group netip.Addr) { s.silences[group]() }

// stream sends from a host until it is stopped.
func (s *scene) stream(host string, group netip.Addr) (stop func()) {
	s.t.Helper()
	stream, err := s.net.Host(host).Stream(lab.SendConfig{Group: group, Port: labPort, Rate: 200, Size: 1316})
	if err != nil {
		s.t.Fatal(err)
	}
	return func() {
		if _, err := stream.Stop(); err != nil {
			s.t.Error(err)
		}
	}
}

func (s *scene) join(host string, group netip.Addr) {
	s.t.Helper()
	r, err := s.net.Host(host).Listen(lab.ListenConfig{Group: group, Port: labPort})
	if err != nil {
		s.t.Fatal(err)
	}
	s.receivers[host+group.String()] = r
}

func (s *scene) leave(host string, group netip.Addr) {
	s.t.Helper()
	if err := s.receivers[host+group.String()].Close(); err != nil {
		s.t.Error(err)
	}
}

// ask makes the router the querier.
func (s *scene) ask() { s.stopAsking = s.query("router", s.net.Host("router").Addr4) }

// query sends queries of both families twice a second, in the name of an address.
func (s *scene) query(host string, as netip.Addr) (stop func()) {
	s.t.Helper()
	h := s.net.Host(host)
	addrs, err := h.Addresses("")
	if err != nil {
		s.t.Fatal(err)
	}
	v4 := frame.IGMP{SrcMAC: frame.MAC(h.MAC), Src: as}.Wrap(frame.IGMPv3Query(frame.Query{MaxResp: 2, QRV: 2, QQIC: 1}))
	v6 := frame.MLD{SrcMAC: frame.MAC(h.MAC), Src: addrs.LinkLocal.Addr()}.Wrap(frame.MLDv2Query(frame.Query{MaxResp: 200, QRV: 2, QQIC: 1}))
	return s.repeat(host, 500*time.Millisecond, v4, v6)
}

// repeat sends the frames at an interval until it is stopped.
func (s *scene) repeat(host string, every time.Duration, frames ...[]byte) (stop func()) {
	s.t.Helper()
	raw, err := s.net.Host(host).Raw("")
	if err != nil {
		s.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(s.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(every)
		defer tick.Stop()
		for ctx.Err() == nil {
			for _, f := range frames {
				if _, err := raw.Write(f); err != nil && ctx.Err() == nil {
					s.t.Errorf("%s can't send: %v", host, err)
					return
				}
			}
			select {
			case <-ctx.Done():
			case <-tick.C:
			}
		}
	}()
	return func() {
		cancel()
		<-done
		raw.Close()
	}
}

// shape gives the port of the host a short queue and a low rate, or takes it away.
func (s *scene) shape(host string, on bool) {
	s.t.Helper()
	h := s.net.Switch().Handle()
	port, err := h.LinkByName(s.net.Host(host).Port)
	if err != nil {
		s.t.Fatal(err)
	}
	tbf := &netlink.Tbf{
		QdiscAttrs: netlink.QdiscAttrs{LinkIndex: port.Attrs().Index, Parent: netlink.HANDLE_ROOT, Handle: netlink.MakeHandle(1, 0)},
		Rate:       100_000, Limit: 5000, Buffer: 20000,
	}
	change := h.QdiscAdd
	if !on {
		change = h.QdiscDel
	}
	if err := change(tbf); err != nil {
		s.t.Fatal(err)
	}
}

// crowd joins many groups at two hosts, and returns how they leave.
func (s *scene) crowd() (leave func()) {
	s.t.Helper()
	var all []*lab.Memberships
	for i, name := range []string{"crowd1", "crowd2"} {
		m, err := s.net.Host(name).Memberships("")
		if err != nil {
			s.t.Fatal(err)
		}
		all = append(all, m)
		for j := range 28 {
			if err := m.Join(netip.AddrFrom4([4]byte{239, 7, byte(i), byte(j)})); err != nil {
				s.t.Fatal(err)
			}
		}
	}
	return func() {
		for _, m := range all {
			if err := m.Close(); err != nil {
				s.t.Error(err)
			}
		}
	}
}

// drain is a receiver of syslog by TCP that is away until it listens.
type drain struct {
	t       *testing.T
	address string
}

// listen takes what comes from now on, until the test ends.
func (d *drain) listen() {
	d.t.Helper()
	l, err := net.Listen("tcp", d.address)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx := d.t.Context()
	context.AfterFunc(ctx, func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			context.AfterFunc(ctx, func() { c.Close() })
			go io.Copy(io.Discard, c)
		}
	}()
}

// faultyPage is the metrics page of the real policy to which somebody hands
// events that it does not know. No agent makes such events.
func faultyPage(t *testing.T) (address string, fault func()) {
	t.Helper()
	policy := redacttest.Policy(t, redact.DefaultProfile)
	metrics, err := policy.NewMetrics(redact.MetricsConfig{})
	if err != nil {
		t.Fatal(err)
	}
	metrics.Series(redact.BuildInfo, redact.Name("test"), redact.Name("test"), redact.Name("test")).Set(1)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
		w.Write(metrics.AppendPage(nil))
	}))
	t.Cleanup(server.Close)
	return strings.TrimPrefix(server.URL, "http://"), func() {
		events := redacttest.Busy(1, 5)
		for i := range events {
			events[i].Action = "nonsense"
		}
		if got := policy.Apply(nil, events); len(got) != 0 {
			t.Errorf("%d events without a known action became records", len(got))
		}
	}
}
