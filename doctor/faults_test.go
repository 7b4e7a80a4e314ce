package doctor_test

import (
	"os/exec"
	"slices"
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/doctor"
	"github.com/fanlight-io/fanlight/lab"
)

// fault is something that is broken for real, and what the doctor must find
// first then.
type fault struct {
	want     string // id; empty: nothing
	or       string // another one that is as right, if chance decides
	name     string // of the case, if there are several of one id
	families []family
	provoke  func(s *scene)
	// mends: the commands of the finding make it go, after restart if there is one.
	mends   bool
	restart func(s *scene) // what the program does when it is restarted
}

var (
	both  = []family{v4, v6}
	only4 = []family{v4}
	only6 = []family{v6}
)

var snooping = lab.BridgeConfig{Snooping: true, Querier: true}

// healthy is what most faults disturb.
func healthy(s *scene) {
	s.listen(lab.ListenConfig{})
	s.stream(lab.SendConfig{})
}

// TestFaults provokes every fault in namespaces, and expects just that finding
// first.
func TestFaults(t *testing.T) {
	for _, faults := range [][]fault{healthyCases, linkFaults, membershipFaults, wireFaults, ipFaults, firewallFaults, programFaults, socketFaults} {
		for _, f := range faults {
			for _, family := range f.families {
				t.Run(f.title(family), func(t *testing.T) {
					t.Parallel()
					s := newScene(t, family, lab.BridgeConfig{})
					f.provoke(s)
					r := s.find(f)
					assertFirst(t, f, r)
					if f.mends && !t.Failed() {
						assertMends(t, s, r.Findings[0], f.restart)
					}
				})
			}
		}
	}
}

func (f fault) title(of family) string {
	words := slices.DeleteFunc([]string{f.want, f.name, of.name}, func(s string) bool { return s == "" })
	return strings.Join(words, " ")
}

// assertMends does what the finding says, and looks again.
func assertMends(t *testing.T, s *scene, f doctor.Finding, restart func(*scene)) {
	t.Helper()
	if len(f.Commands) == 0 {
		t.Fatalf("%s has no command", f.ID)
	}
	for _, command := range f.Commands {
		if _, rule, ok := strings.Cut(command, "nft insert rule "); ok {
			s.insertRule(rule)
			continue
		}
		if out, err := exec.CommandContext(t.Context(), "sh", "-c", command).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v: %s", command, err, out)
		}
	}
	if restart != nil {
		restart(s)
	}
	for _, left := range s.examine().Findings {
		if left.ID == f.ID {
			t.Errorf("%v does not mend %s: %v", f.Commands, f.ID, left.Evidence)
		}
	}
}

// find asks until what is wanted comes first, three times at most: a machine that
// runs other tests may not send for as long as a window.
func (s *scene) find(f fault) (r doctor.Report) {
	for range 3 {
		if r = s.examine(); f.foundBy(r) {
			break
		}
		s.t.Logf("found %v with %+v, asking again", idsOf(r, f.want), r.Counts)
	}
	return r
}

// foundBy reports whether what is wanted comes first.
func (f fault) foundBy(r doctor.Report) bool {
	ids := idsOf(r, f.want)
	if f.want == "" {
		return len(ids) == 0
	}
	return len(ids) > 0 && (ids[0] == f.want || ids[0] == f.or)
}

// idsOf leaves out what is of the whole machine, where other tests may run.
func idsOf(r doctor.Report, want string) (ids []string) {
	for _, f := range r.Findings {
		if f.ID != "softnet_drops" || want == f.ID {
			ids = append(ids, f.ID)
		}
	}
	return ids
}

// TestBehindABridge asks about the port of a bridge, behind which is the host
// that should receive.
func TestBehindABridge(t *testing.T) {
	for _, f := range bridgeFaults {
		for _, family := range f.families {
			t.Run(f.title(family), func(t *testing.T) {
				t.Parallel()
				switching := snooping
				switching.Querier = f.want != "bridge_no_querier"
				s := newScene(t, family, switching)
				s.ns, s.q.Interface = s.net.Switch(), s.sub.Port
				f.provoke(s)
				r := s.find(f)
				assertFirst(t, f, r)
				if f.mends && !t.Failed() {
					assertMends(t, s, r.Findings[0], f.restart)
				}
			})
		}
	}
}

func assertFirst(t *testing.T, want fault, r doctor.Report) {
	t.Helper()
	for _, f := range r.Findings {
		for _, text := range append([]string{f.Title, f.Remedy}, f.Commands...) {
			if strings.ContainsAny(text, "{}") {
				t.Errorf("%s: %q has a placeholder left", f.ID, text)
			}
		}
		if len(f.Evidence) == 0 {
			t.Errorf("%s has no evidence", f.ID)
		}
	}
	if !want.foundBy(r) {
		t.Errorf("found %v, want %q first\nreport: %+v", idsOf(r, want.want), want.want, r)
	}
}
