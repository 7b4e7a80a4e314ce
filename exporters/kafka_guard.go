package exporters

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"strings"

	"github.com/segmentio/kafka-go/protocol"
)

// maxAnswer is far more than brokers answer to what we ask: some 100 bytes per
// partition of one topic.
const maxAnswer = 16 << 20

var (
	errNoKafka  = errors.New("the answer is not of Kafka's protocol")
	errTalksTLS = errors.New("the broker talks TLS: enable tls")
)

// answerGuard is a connection that lets answers pass only when their lengths
// fit. The library makes room for as many elements as an answer says, so that
// the greeting of a web server would cost it gigabytes.
type answerGuard struct {
	net.Conn
	shape string // of the next answer, or "" for any
	frame []byte // what came in
	rest  []byte // of it, that is not read yet
}

// Read returns parts of one answer at a time.
func (g *answerGuard) Read(p []byte) (int, error) {
	if len(g.rest) == 0 {
		if err := g.next(); err != nil {
			return 0, err
		}
	}
	n := copy(p, g.rest)
	g.rest = g.rest[n:]
	return n, nil
}

// next reads a whole answer: its length, the number of the request, and what
// has the expected shape.
func (g *answerGuard) next() error {
	g.frame = append(g.frame[:0], 0, 0, 0, 0)
	if _, err := io.ReadFull(g.Conn, g.frame); err != nil {
		return err
	}
	size := int(int32(binary.BigEndian.Uint32(g.frame)))
	if g.frame[0] == tlsAlert {
		return errTalksTLS
	}
	if size < 4 || size > maxAnswer {
		return errNoKafka
	}
	g.frame = append(g.frame, make([]byte, size)...)
	if _, err := io.ReadFull(g.Conn, g.frame[4:]); err != nil {
		return err
	}
	if _, ok := walk(g.shape, g.frame[8:]); !ok {
		return errNoKafka
	}
	g.rest = g.frame
	return nil
}

// tlsAlert is the type of a TLS record, in the place of a length.
const tlsAlert = 0x15

// walk goes through b by a shape, and returns what is behind. In a shape, a
// digit is that many bytes, s a string, b bytes, and [] a list of what is
// between.
func walk(shape string, b []byte) (rest []byte, ok bool) {
	for i := 0; i < len(shape); i++ {
		n := 0
		switch c := shape[i]; c {
		case 's':
			if len(b) < 2 {
				return nil, false
			}
			n = 2 + max(0, int(int16(binary.BigEndian.Uint16(b))))
		case 'b', '[':
			if len(b) < 4 {
				return nil, false
			}
			n = int(int32(binary.BigEndian.Uint32(b)))
			if c == 'b' {
				n = 4 + max(0, n)
				break
			}
			end := i + closing(shape[i:])
			if b, ok = walkList(shape[i+1:end], n, b[4:]); !ok {
				return nil, false
			}
			i = end
			continue
		default:
			n = int(c - '0')
		}
		if n > len(b) {
			return nil, false
		}
		b = b[n:]
	}
	return b, true
}

// walkList goes through n elements. There can't be more of them than bytes.
func walkList(shape string, n int, b []byte) (rest []byte, ok bool) {
	if n > len(b) {
		return nil, false
	}
	for range n {
		if b, ok = walk(shape, b); !ok {
			return nil, false
		}
	}
	return b, true
}

// closing returns the place of the bracket that closes the first one.
func closing(shape string) int {
	depth := 0
	return strings.IndexFunc(shape, func(c rune) bool {
		switch c {
		case '[':
			depth++
		case ']':
			depth--
		}
		return depth == 0
	})
}

// shapeOf returns the shape of the answer to a request of a version that we
// choose, or "" for one that we don't send.
func shapeOf(key protocol.ApiKey, version int16) string {
	since := func(v int16, shape string) string {
		if version < v {
			return ""
		}
		return shape
	}
	switch key {
	case protocol.ApiVersions:
		return "2[222]" // we ask with version 0
	case protocol.SaslHandshake:
		return "2[s]"
	case protocol.SaslAuthenticate:
		return "2sb" + since(1, "8")
	case protocol.Metadata:
		partition := "244" + since(7, "4") + "[4][4]" + since(5, "[4]")
		return "4[4s4s]s4[2s1[" + partition + "]" + since(8, "4") + "]" + since(8, "4")
	case protocol.Produce:
		return "[s[4288" + since(5, "8") + since(8, "[4s]s") + "]]4"
	}
	return ""
}
