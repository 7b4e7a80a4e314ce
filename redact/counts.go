package redact

import "iter"

// redactionKey identifies a count of fields that were not kept.
type redactionKey struct {
	exporter string
	field    field
	action   action
}

type redactionCount struct {
	redactionKey
	count uint64
}

// all returns the policies of the agent.
func (c *common) all() []*Policy {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]*Policy(nil), c.policies...)
}

// redactions yields what the policy did, as far as it did anything. The hot
// path counts without atomics, under the lock that it holds for its batch.
func (p *Policy) redactions() iter.Seq[redactionCount] {
	p.mu.Lock()
	counts := p.counts
	p.mu.Unlock()
	return func(yield func(redactionCount) bool) {
		for f := range numFields {
			for a := range numActions {
				if n := counts[f][a]; n > 0 && !yield(redactionCount{redactionKey{p.name, f, a}, n}) {
					return
				}
			}
		}
	}
}
