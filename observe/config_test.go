package observe

import (
	"strings"
	"testing"
	"time"
)

func TestConfigRefuses(t *testing.T) {
	for want, c := range map[string]Config{
		"":                    {Interfaces: []string{"eth*", "bond0.100"}, Silence: SilenceConfig{Groups: map[string]time.Duration{"239.1.0.0/16": 0, "ff00::/8": time.Second}}},
		"interfaces: \"[\"":   {Interfaces: []string{"["}},
		"flows.enabled: not":  {Flows: FlowsConfig{Enabled: true}},
		"sockets: not in":     {Sockets: true},
		"drops: not in this":  {Drops: true},
		"table: 3, must be":   {Table: 3},
		"silence.default: 1m": {Silence: SilenceConfig{Default: time.Millisecond}},
		"no prefix":           {Silence: SilenceConfig{Groups: map[string]time.Duration{"239.1.1.1": time.Second}}},
		"no multicast group":  {Silence: SilenceConfig{Groups: map[string]time.Duration{"10.0.0.0/8": time.Second}}},
		"0 means never":       {Silence: SilenceConfig{Groups: map[string]time.Duration{"239.0.0.0/8": time.Millisecond}}},
	} {
		err := c.Validate()
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

func TestSilenceByLongestPrefix(t *testing.T) {
	c := SilenceConfig{Default: 5 * time.Second, Groups: map[string]time.Duration{
		"239.0.0.0/8": 2 * time.Second, "239.1.0.0/16": 0, "239.1.1.0/24": time.Second, "224.0.0.18/32": 3 * time.Second,
	}}
	for group, want := range map[string]time.Duration{
		"239.9.9.9":  2 * time.Second,
		"239.1.9.9":  0,
		"239.1.1.9":  time.Second,
		"233.1.1.1":  5 * time.Second,
		"224.0.0.5":  0, // link-local ones are quiet
		"224.0.0.18": 3 * time.Second,
		"ff02::1":    0,
		"ff15::1":    5 * time.Second,
	} {
		if got := c.limits().of(addr(group)); got != want {
			t.Errorf("%s: %v, want %v", group, got, want)
		}
	}
	if got := (SilenceConfig{}).limits().of(addr("239.1.1.1")); got != defaultSilence {
		t.Errorf("by default %v", got)
	}
}
