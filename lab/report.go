package lab

import "time"

// Report tells what a receiver got so far.
type Report struct {
	// Datagrams and Bytes count all UDP payloads.
	Datagrams, Bytes uint64
	// Corrupt counts payloads that Send did not write, or not like this.
	Corrupt uint64
	// Dropped counts datagrams that the kernel dropped at the full socket.
	Dropped uint64
	// Streams holds one report per stream; each Send and Stream has its own.
	Streams map[uint32]StreamReport
	// First and Last are the times of the first and the last datagram; zero if
	// there was none.
	First, Last time.Time
}

// Total sums the reports of all streams; its First and Last are zero.
func (r Report) Total() StreamReport {
	var t StreamReport
	for _, s := range r.Streams {
		t.Received += s.Received
		t.Distinct += s.Distinct
		t.Duplicated += s.Duplicated
		t.Reordered += s.Reordered
		t.Missing += s.Missing
	}
	return t
}

// Report returns a copy of all counts.
func (r *Receiver) Report() Report {
	dropped, err := r.drops()
	r.mu.Lock()
	defer r.mu.Unlock()
	report := r.report
	report.Dropped = dropped
	if err != nil {
		report.Dropped = r.lastDrop
	}
	report.Streams = make(map[uint32]StreamReport, len(r.streams))
	for id, t := range r.streams {
		report.Streams[id] = t.report
	}
	return report
}

func (r *Receiver) drops() (n uint64, err error) {
	err = r.sock.control(func(fd int) (err error) {
		n, err = socketDrops(fd)
		return err
	})
	return n, err
}

// First returns when the first datagram was read; zero if none was.
func (r *Receiver) First() time.Time { return r.Report().First }

// Last returns when the last datagram was read; zero if none was.
func (r *Receiver) Last() time.Time { return r.Report().Last }

func (r *Receiver) count(batch *recvBatch, n int) {
	now := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.report.Datagrams == 0 {
		r.report.First = now
	}
	r.report.Last = now
	for i := range n {
		payload := batch.payload(i)
		r.report.Datagrams++
		r.report.Bytes += uint64(len(payload))
		if !r.track(payload) {
			r.report.Corrupt++
		}
	}
	r.wake()
}

func (r *Receiver) track(payload []byte) bool {
	stream, seq, ok := parsePayload(payload)
	if !ok {
		return false
	}
	t := r.streams[stream]
	if t == nil {
		t = new(tracker)
		r.streams[stream] = t
	}
	return t.add(seq)
}
