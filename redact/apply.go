package redact

import (
	"net/netip"
	"time"

	"github.com/fanlight-io/fanlight/bpf"
)

// Apply appends the redacted records of a batch to dst and returns it. An
// event that can't be redacted adds no record and counts in [Policy.Failures].
//
// The records share nothing with the batch, so the caller may reuse its events
// at once. They may be read by several goroutines until dst is given to Apply
// again, which overwrites the records behind its length: dst[:0] releases all.
func (p *Policy) Apply(dst []Record, batch []bpf.Event) []Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.ready() {
		p.failures[missingKey].Add(uint64(len(batch)))
		return dst
	}
	for i := range batch {
		n := len(dst)
		if n < cap(dst) {
			dst = dst[:n+1] // keeps the slot's memory for its list
		} else {
			dst = append(dst, Record{})
		}
		if why := p.redact(&dst[n], &batch[i]); why != noFailure {
			p.failures[why].Add(1)
			dst = dst[:n]
		}
	}
	return dst
}

func (p *Policy) redact(r *Record, e *bpf.Event) (why failure) {
	defer func() {
		if recover() != nil { // the panic's value may hold an address: never print it
			why = rulePanic
		}
	}()
	if why := check(e); why != noFailure {
		return why
	}
	w := writer{r: r, counts: &p.counts, decision: p.engine.decide(e.Kind, p.engine.match(e.Group, e.Interface))}
	w.fill(e, p.engine.origin)
	return noFailure
}

// check fails closed on whatever is outside of the vocabulary.
func check(e *bpf.Event) failure {
	words := wordTable[e.Kind]
	switch {
	case words == nil:
		return unknownKind
	case !oneOf(words, e.Action):
		return unknownAction
	case !isIdentifier(e.Reason):
		return badReason
	case e.Protocol != "" && !oneOf(protocols, e.Protocol):
		return unknownProtocol
	case e.FilterMode != "" && !oneOf(filterModes, e.FilterMode):
		return unknownFilterMode
	case e.Direction != "" && !oneOf(directions, e.Direction):
		return unknownDirection
	case e.Time.Before(firstTime) || e.Time.After(lastTime):
		return badTime
	}
	return noFailure
}

// What fits in 64 bits of nanoseconds, from the epoch on.
var (
	firstTime = time.Unix(0, 1)
	lastTime  = time.Unix(0, 1<<63-1)
)

// writer writes one record.
type writer struct {
	r      *Record
	counts *[numFields][numActions]uint64
	*decision
}

// fill sets each field through a method that asks the policy about its class.
func (w *writer) fill(e *bpf.Event, from *origin) {
	r := w.r
	r.origin, r.present, r.ring, r.seq = from, 0, e.Ring, e.Seq

	w.number(fieldTime, uint64(e.Time.UnixNano()))
	w.always(fieldEventID, 0)
	w.word(fieldKind, e.Kind.String())
	w.word(fieldAction, e.Action)
	w.word(fieldReason, e.Reason)

	w.name(fieldDomain, e.Domain)
	w.number(fieldVLAN, uint64(e.VLAN.Outer()))
	w.number(fieldInnerVLAN, uint64(e.VLAN.Inner()))
	w.address(fieldSource, e.Source)
	w.address(fieldGroup, e.Group)
	w.groupName(e.GroupName)
	if e.Group.IsValid() {
		w.word(fieldGroupScope, GroupScope(e.Group)) // of the group itself, not of what is shown of it
		w.word(fieldGroupClass, GroupClass(e.Group))
	}
	w.name(fieldInterface, e.Interface)

	host, mac := fieldHost, fieldHostMAC
	if e.Kind == bpf.KindQuerier {
		host, mac = fieldQuerier, fieldQuerierMAC
	}
	w.address(host, e.Host)
	w.mac(mac, e.HostMAC)
	w.word(fieldProtocol, e.Protocol)
	w.word(fieldFilterMode, e.FilterMode)
	w.list(fieldSources, e.Sources)

	w.number(fieldFanOut, uint64(e.FanOut))
	w.number(fieldPrevFanOut, uint64(e.PrevFanOut))
	w.number(fieldPackets, e.Packets)
	w.number(fieldBytes, e.Bytes)
	w.number(fieldCopies, e.Copies)
	w.number(fieldCopyBytes, e.CopyBytes)
	w.number(fieldFailures, e.Failures)
	w.number(fieldSuppressed, e.Suppressed)
	w.number(fieldLost, e.Lost)
	w.observed(e)
	w.always(fieldRing, uint64(e.Ring))
	w.always(fieldSeq, e.Seq)
}

// observed sets what only events of observed streams have.
func (w *writer) observed(e *bpf.Event) {
	w.word(fieldDirection, e.Direction)
	w.number(fieldTTL, uint64(e.TTL))
	w.number(fieldPrevTTL, uint64(e.PrevTTL))
	w.number(fieldDSCP, uint64(e.DSCP))
	w.number(fieldPrevDSCP, uint64(e.PrevDSCP))
	w.number(fieldSilence, e.SilenceNS)
}

// keeps reports whether a field that has a value is kept, and counts it if not.
func (w *writer) keeps(f field) bool {
	do := w.actions[f]
	if do == keep {
		return true
	}
	w.counts[f][do]++
	return false
}

func (w *writer) setNumber(f field, n uint64) {
	w.r.values[f].number = n
	w.r.present |= 1 << f
}

func (w *writer) number(f field, n uint64) {
	if n != 0 {
		w.always(f, n)
	}
}

// always sets a number that is told even if it is zero.
func (w *writer) always(f field, n uint64) {
	if w.keeps(f) {
		w.setNumber(f, n)
		return
	}
	switch t := w.treatments[f]; t.action {
	case bucket:
		w.setNumber(f, roundDown(n, t.step))
	case replace:
		w.setNumber(f, t.number)
	}
}

// word sets what comes from a fixed vocabulary.
func (w *writer) word(f field, s string) {
	if s != "" && w.keeps(f) {
		w.r.setText(f, s)
	}
}

func (w *writer) name(f field, s string) {
	switch {
	case s == "":
	case w.keeps(f):
		w.r.setText(f, s)
	case w.treatments[f].names != nil:
		w.r.setText(f, w.treatments[f].names.get(s))
	}
}

// groupName sets the group's name where the group itself is told as it is: a
// name gives away what it names.
func (w *writer) groupName(s string) {
	switch {
	case s == "" || !w.keeps(fieldGroupName):
	case w.actions[fieldGroup] != keep:
		w.counts[fieldGroupName][drop]++
	default:
		w.r.setText(fieldGroupName, s)
	}
}

func (w *writer) address(f field, a netip.Addr) {
	if !a.IsValid() {
		return
	}
	w.keeps(f)
	if memo := w.treatments[f].addresses; memo != nil {
		w.r.setText(f, memo.get(plain(a)))
	}
}

func (w *writer) mac(f field, m bpf.MAC) {
	if m == (bpf.MAC{}) {
		return
	}
	w.keeps(f)
	if memo := w.treatments[f].macs; memo != nil {
		w.r.setText(f, memo.get(m))
	}
}

func (w *writer) list(f field, addrs []netip.Addr) {
	r := w.r
	r.list = r.list[:0]
	if len(addrs) == 0 {
		return
	}
	w.keeps(f)
	memo := w.treatments[f].addresses
	if memo == nil {
		return
	}
	for _, a := range addrs {
		r.list = append(r.list, memo.get(plain(a)))
	}
	r.present |= 1 << f
}

// plain gives one host one spelling: no zone, no IPv4 inside IPv6.
func plain(a netip.Addr) netip.Addr {
	if a.Is4() {
		return a
	}
	return a.WithZone("").Unmap()
}

func macText(m bpf.MAC) string {
	const digits = "0123456789abcdef"
	var text [17]byte
	for i, b := range m {
		text[3*i], text[3*i+1] = digits[b>>4], digits[b&15]
		if i < 5 {
			text[3*i+2] = ':'
		}
	}
	return string(text[:])
}
