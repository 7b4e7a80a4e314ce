// Package redact is the only way out: it turns raw events into records, and
// raw identities into metric labels, by a policy that drops what it does not
// know.
//
// A [Record] and a [Series] have no constructor but a [Policy], and no field of
// bpf.Event leaves without a class in the one table of fields. What can't be
// redacted is dropped and counted.
package redact

import (
	"fmt"
	"io"
	"log/slog"
	"reflect"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/fanlight-io/fanlight/bpf"
)

// Policy decides what leaves. It is safe for concurrent use.
//
// A Policy never prints its keys.
type Policy struct {
	name string
	cfg  Config
	*common

	mu     sync.Mutex // guards what follows
	engine *engine
	counts [numFields][numActions]uint64 // fields of events that were not kept
}

// common is what the policies of one agent share.
type common struct {
	from     Origin
	keys     *keyStore
	failures [numFailures]atomic.Uint64

	mu       sync.Mutex // guards policies
	policies []*Policy
}

// DefaultName is the name of the policy that [NewPolicy] makes.
const DefaultName = "default"

// NewPolicy reads the keys, if a file is configured, and returns the policy.
func NewPolicy(cfg Config, from Origin) (*Policy, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if err := checkTable(reflect.TypeFor[bpf.Event]()); err != nil {
		return nil, err
	}
	k, err := openKeys(cfg)
	if err != nil {
		return nil, err
	}
	return makePolicy(DefaultName, cfg, &common{from: from, keys: k})
}

// For returns the policy of one exporter: that of p, but for what o has of its
// own. It shares keys and counts of failures with p. The name is that of the
// exporter in metrics: letters, digits and underscores.
func (p *Policy) For(exporter string, o Override) (*Policy, error) {
	if exporter == "" || !isIdentifier(exporter) {
		return nil, fmt.Errorf("exporter name %q: want letters, digits and underscores", exporter)
	}
	if err := o.Validate(); err != nil {
		return nil, err
	}
	cfg := p.cfg.With(o)
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	return makePolicy(exporter, cfg, p.common)
}

func makePolicy(name string, cfg Config, c *common) (*Policy, error) {
	p := &Policy{name: name, cfg: cfg, common: c}
	var err error
	if p.engine, err = newEngine(cfg, c.from, c.keys.ring.Load()); err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.policies = append(c.policies, p)
	return p, nil
}

// ReloadKeys reads the keys again, for p and every policy that shares them.
// Records and labels made from then on are made by the new key. After an error
// the old keys stay in force.
func (p *Policy) ReloadKeys() error { return p.keys.reload() }

// ready puts the current key in force. The caller holds p.mu.
func (p *Policy) ready() bool {
	ring := p.keys.ring.Load()
	if p.engine != nil && p.engine.ring == ring {
		return true
	}
	fresh, err := newEngine(p.cfg, p.from, ring)
	if err != nil { // not with the old key: it may have been taken away for a reason
		p.engine = nil
		return false
	}
	p.engine = fresh
	return true
}

// KeyID names the key in use; it is the middle part of each pseudonym.
func (p *Policy) KeyID() string { return p.keys.ring.Load().Active() }

// Name returns what the policy is called in metrics.
func (p *Policy) Name() string { return p.name }

// Ephemeral reports whether the key was made at start, so that pseudonyms
// change at a restart.
func (p *Policy) Ephemeral() bool { return p.keys.path == "" }

// checkTable refuses to start with an event field that nobody classified.
func checkTable(event reflect.Type) error {
	for i := range event.NumField() {
		name := event.Field(i).Name
		for _, kind := range bpf.Kinds() {
			if !classified(name, kind) {
				return fmt.Errorf("%s.%s has no class for kind %s: add it to redact/fields.go", event, name, kind)
			}
		}
	}
	return nil
}

func classified(event string, kind bpf.Kind) bool {
	for _, f := range fields {
		if f.Event == event && f.Class != Secret && f.of(kind) {
			return true
		}
	}
	return false
}

func (f Field) of(kind bpf.Kind) bool { return f.Kinds == nil || slices.Contains(f.Kinds, kind) }

// Format prints name and profile only, whatever the verb.
func (p *Policy) Format(s fmt.State, _ rune) { io.WriteString(s, p.String()) }

// String returns name and profile only.
func (p *Policy) String() string {
	return "redact.Policy(" + p.name + ", " + string(p.cfg.profile()) + ")"
}

// LogValue returns name and profile only.
func (p *Policy) LogValue() slog.Value { return slog.StringValue(p.String()) }

// MarshalJSON returns name and profile only.
func (p *Policy) MarshalJSON() ([]byte, error) { return []byte(`"` + p.String() + `"`), nil }
