package collector

import (
	"context"
	"fmt"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

const (
	tidyInterval = 30 * time.Second
	// defaultKeepIdle is Config.KeepIdle if that is not set.
	defaultKeepIdle = 10 * time.Minute
)

// tidy forgets what nobody has used for long, so that tables and pages follow
// what is there now.
func (a *Agent) tidy(ctx context.Context) error {
	keep := a.cfg.KeepIdle // Reload doesn't change it
	tick := time.NewTicker(min(tidyInterval, keep))
	defer tick.Stop()
	idle := time.NewTicker(a.pulse.every)
	defer idle.Stop()
	for {
		a.pulse.beat(loopTidy)
		select {
		case <-idle.C:
		case <-ctx.Done():
			return nil
		case <-tick.C:
			if err := a.forgetIdle(bpf.Now() - keep); err != nil {
				return err
			}
		}
	}
}

// forgetIdle forgets the streams without a packet since then, and the pairs of
// groups that are neither forwarded nor heard.
func (a *Agent) forgetIdle(since time.Duration) error {
	if since <= 0 {
		return nil
	}
	forwarded := map[bpf.GroupKey]bool{}
	for _, k := range a.dp.Tables.Groups() {
		forwarded[k] = true
	}
	var idle []bpf.Stream
	alive := map[bpf.GroupKey]bool{}
	err := a.dp.EachStream(func(s bpf.Stream) {
		k := bpf.GroupKey{Domain: s.Domain, VLAN: s.VLAN, Group: s.Group}
		switch {
		case !s.Group.IsValid(), !s.Source.IsValid() && forwarded[k]:
		case time.Duration(s.LastNS) > since:
			alive[k] = true
		default:
			idle = append(idle, s)
		}
	})
	if err != nil {
		return fmt.Errorf("read streams: %w", err)
	}
	for _, s := range idle {
		if _, err := a.dp.Forget(s, uint64(since)); err != nil {
			return err
		}
	}
	if err := a.dp.Tables.FoldFailures(); err != nil {
		return err
	}
	for _, k := range a.dp.Tables.CountedGroups() {
		if k.Group.IsValid() && !forwarded[k] && !alive[k] {
			if err := a.dp.Tables.ForgetPairs(k); err != nil {
				return err
			}
		}
	}
	return nil
}
