package collector

import (
	"context"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/fanlight-io/fanlight/lab/labtest"
	"github.com/fanlight-io/fanlight/redact"
)

func TestPulseNamesTheLoopThatStands(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPulse()
		p.beatAll()
		time.Sleep(p.patience) // of the bubble, at once
		if loops := p.stuck(); loops != nil {
			t.Errorf("stuck too early: %v", loops)
		}
		for _, loop := range []string{loopInterfaces, loopTimers, loopEvents, loopTidy} {
			p.beat(loop)
		}
		time.Sleep(time.Second)
		if diff := cmp.Diff([]string{loopMembership}, p.stuck()); diff != "" {
			t.Errorf("stuck (-want +got):\n%s", diff)
		}
		p.beat(loopMembership)
		if loops := p.stuck(); loops != nil {
			t.Errorf("still stuck: %v", loops)
		}
	})
}

// TestAnAgentThatHasNotBegunIsNotStuck: whoever started it bounds the start.
func TestAnAgentThatHasNotBegunIsNotStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := New(Config{Domains: []DomainConfig{{Name: "lab", Ports: []string{"p0"}}}}, Deps{})
		time.Sleep(time.Hour)
		if loops := a.Stuck(); loops != nil {
			t.Errorf("stuck: %v", loops)
		}
	})
}

// TestAnIdleAgentIsAliveAndAStuckOneIsNot holds the lock that every change
// takes, which is what a loop that never ends would do.
func TestAnIdleAgentIsAliveAndAStuckOneIsNot(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("sub")...)
	cfg := Config{
		Domains: []DomainConfig{{Name: "lab", Ports: []string{"p-*"}}},
		Netns:   n.Switch().Name(), BPFFS: "/sys/fs/bpf/" + n.Name(),
	}
	t.Cleanup(func() {
		if err := Detach(cfg); err != nil {
			t.Error(err)
		}
	})
	origin, err := redact.LocalOrigin()
	if err != nil {
		t.Fatal(err)
	}
	policy, err := redact.NewPolicy(redact.Config{}, origin)
	if err != nil {
		t.Fatal(err)
	}
	a := New(cfg, Deps{Policy: policy})
	a.pulse.every, a.pulse.patience = 10*time.Millisecond, 500*time.Millisecond
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- a.Run(ctx) }()
	select {
	case <-a.Ready():
	case err := <-ended:
		t.Fatal(err)
	}

	time.Sleep(2 * a.pulse.patience) // loops that don't go round are stuck by now, and stay so
	awaitStuck(t, a)
	a.mu.Lock()
	awaitStuck(t, a, loopTimers)
	a.mu.Unlock()
	awaitStuck(t, a)
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

func awaitStuck(t *testing.T, a *Agent, want ...string) {
	t.Helper()
	deadline := time.Now().Add(20 * time.Second)
	for !slices.Equal(a.Stuck(), want) {
		if time.Now().After(deadline) {
			t.Fatalf("stuck are %v, want %v", a.Stuck(), want)
		}
		time.Sleep(a.pulse.every)
	}
}
