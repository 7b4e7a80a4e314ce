package lab

import (
	"errors"

	"golang.org/x/sys/unix"
)

// outbox holds the buffers of a stream.
type outbox struct {
	stream   uint32
	cfg      SendConfig
	batch    sendBatch
	buffers  [batchLen][]byte
	messages [batchLen][]byte
}

func newOutbox(stream uint32, cfg SendConfig) *outbox {
	o := &outbox{stream: stream, cfg: cfg}
	for i := range o.buffers {
		o.buffers[i] = make([]byte, cfg.Segments*cfg.Size)
	}
	return o
}

// send sends up to want datagrams, numbered from seq on, in one system call.
func (o *outbox) send(sock *socket, seq, want uint64) (datagrams uint64, err error) {
	count := 0
	for planned := uint64(0); count < batchLen && planned < want; count++ {
		segments := min(uint64(o.cfg.Segments), want-planned)
		message := o.buffers[count][:int(segments)*o.cfg.Size]
		for i := range int(segments) {
			putPayload(message[i*o.cfg.Size:(i+1)*o.cfg.Size], o.stream, seq+planned+uint64(i))
		}
		o.messages[count] = message
		planned += segments
	}
	var taken int
	err = sock.write(func(fd int) (err error) {
		taken, err = o.batch.send(fd, o.messages[:count])
		return err
	})
	if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ENOBUFS) {
		return 0, nil // nothing went out; the caller tries again
	}
	for _, m := range o.messages[:taken] {
		datagrams += uint64(len(m) / o.cfg.Size)
	}
	return datagrams, err
}
