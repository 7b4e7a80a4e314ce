package bpf

import (
	"errors"
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// chunkPool hands out chunks of port lists. A list is never edited: its
// successor gets fresh chunks, and the old ones are reused only when no packet
// can be walking them any more.
type chunkPool struct {
	used    []bool // only while adopting
	free    []uint32
	retired []uint32
}

func newChunkPool(n uint32) *chunkPool {
	return &chunkPool{used: make([]bool, n)}
}

// use marks a chunk that an adopted list holds.
func (p *chunkPool) use(at uint32) { p.used[at] = true }

// freeRest ends adoption: every other chunk is free. Chunk 0 never is.
func (p *chunkPool) freeRest() {
	for i := len(p.used) - 1; i > 0; i-- {
		if !p.used[i] {
			p.free = append(p.free, uint32(i))
		}
	}
	p.used = nil
}

// take returns n chunks, after a grace period if only that makes room.
// Returns ErrTableFull.
func (p *chunkPool) take(n int) ([]uint32, error) {
	if len(p.free) < n {
		p.grace()
	}
	if len(p.free) < n {
		return nil, fmt.Errorf("port lists: %w", ErrTableFull)
	}
	at := len(p.free) - n
	list := append([]uint32(nil), p.free[at:]...)
	p.free = p.free[:at]
	return list, nil
}

// giveBack frees chunks that the kernel never saw.
func (p *chunkPool) giveBack(list ...uint32) { p.free = append(p.free, list...) }

// retire frees chunks after the next grace period.
func (p *chunkPool) retire(list ...uint32) { p.retired = append(p.retired, list...) }

// grace waits until every packet that was being forwarded at the call is done,
// and frees what was retired.
func (p *chunkPool) grace() {
	waitForPackets()
	p.free = append(p.free, p.retired...)
	p.retired = p.retired[:0]
}

// membarrierGlobal is MEMBARRIER_CMD_GLOBAL of linux/membarrier.h.
const membarrierGlobal = 1

// waitForPackets waits for an RCU grace period: programs run inside of RCU
// read sections, and MEMBARRIER_CMD_GLOBAL is synchronize_rcu(). Kernels with
// full dynticks refuse it; there a time is waited that no program can take.
func waitForPackets() {
	for {
		_, _, errno := unix.Syscall(unix.SYS_MEMBARRIER, membarrierGlobal, 0, 0)
		if errno == 0 {
			return
		}
		if !errors.Is(errno, unix.EINTR) {
			time.Sleep(100 * time.Millisecond)
			return
		}
	}
}
