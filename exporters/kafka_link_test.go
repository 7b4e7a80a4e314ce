package exporters

import (
	"context"
	"crypto/x509"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/rawproduce"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"

	"github.com/fanlight-io/fanlight/redact/redacttest"
)

// FuzzKafkaAnswer answers requests with anything: an error, never a panic.
func FuzzKafkaAnswer(f *testing.F) {
	f.Add(uint8(0), []byte{0, 0, 0, 1, 0, 0, 0, 0, 0, 0})
	f.Add(uint8(1), []byte{0, 0, 0, 1, 0xff, 0xff, 0xff, 0xff, 0x80, 0, 0, 0})
	f.Add(uint8(2), []byte{0, 0, 0, 1, 0, 0, 0, 1, 0, 1, 't', 0, 0, 0, 1})
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			defer theirs.Close()
			var size [4]byte
			if _, err := io.ReadFull(theirs, size[:]); err != nil {
				return
			}
			io.CopyN(io.Discard, theirs, int64(binary.BigEndian.Uint32(size[:])))
			binary.BigEndian.PutUint32(size[:], uint32(len(body)))
			theirs.Write(append(size[:], body...))
		}()
		var req protocol.Message
		switch which % 5 {
		case 0:
			req = new(apiversions.Request)
		case 1:
			req = &metadata.Request{TopicNames: []string{"t"}}
		case 2:
			req = &rawproduce.Request{Acks: -1}
		case 3:
			req = new(saslhandshake.Request)
		case 4:
			req = new(saslauthenticate.Request)
		}
		link := newKafkaLink(ours, product)
		link.versions = map[protocol.ApiKey]int16{protocol.Metadata: 8, protocol.Produce: 8, protocol.SaslAuthenticate: 1, protocol.SaslHandshake: 1}
		link.conn.SetVersions(link.versions)
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		res, err := link.roundTrip(ctx, req)
		if errors.Is(err, context.DeadlineExceeded) {
			t.Fatal("hangs")
		}
		if p, ok := res.(*produce.Response); ok && err == nil {
			(&kafkaExporter{}).partOf(p, 0)
		}
	})
}

// What is not a broker gives an error, not a hang.
func TestKafkaPeerIsNoBroker(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.Write([]byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"))
			conn.Close()
		}
	}()
	k := openKafka(t, l.Addr().String(), "events")
	begin := time.Now()
	if err := k.Export(t.Context(), redacttest.Many(t, 0, 1)); !errors.Is(err, errNoKafka) || IsPermanent(err) || time.Since(begin) > time.Second {
		t.Errorf("error %v after %s", err, time.Since(begin))
	}
}

// Errors name the broker as the operator did, and no address besides.
func TestKafkaErrorsHideAddresses(t *testing.T) {
	const secret = "10.20.30.40"
	for _, err := range []error{
		&net.OpError{Op: "dial", Net: "tcp", Addr: &net.TCPAddr{IP: net.ParseIP(secret), Port: 9}, Err: errors.New("refused")},
		&net.DNSError{Err: "no such host", Name: secret, Server: secret},
		fmt.Errorf("tls: %w", x509.HostnameError{Certificate: new(x509.Certificate), Host: secret}),
		fmt.Errorf("%w: %w", context.Canceled, &net.OpError{Op: "read", Source: &net.TCPAddr{IP: net.ParseIP(secret)}, Err: io.EOF}),
	} {
		quiet := withoutAddress(err)
		if strings.Contains(quiet.Error(), secret) || quiet.Error() == "" || !errors.Is(quiet, err) {
			t.Errorf("%q of %q", quiet, err)
		}
	}
	k := &kafkaExporter{config: KafkaConfig{Brokers: []string{"kafka.example.com:9092"}}}
	if got := k.nameOf(brokerNode{3, secret + ":9092"}); got != "3" {
		t.Errorf("a learnt broker is called %s", got)
	}
	if got := k.nameOf(brokerNode{-1, "kafka.example.com:9092"}); got != "kafka.example.com:9092" {
		t.Errorf("a configured broker is called %s", got)
	}
}

func TestKafkaLayout(t *testing.T) {
	now := time.Now()
	lead := kafka.Broker{ID: 1, Host: "b", Port: 9}
	partition := func(id int, leader kafka.Broker) kafka.Partition { return kafka.Partition{ID: id, Leader: leader} }
	answer := func(topics ...kafka.Topic) *kafka.MetadataResponse { return &kafka.MetadataResponse{Topics: topics} }
	layout, err := layoutOf(answer(kafka.Topic{Name: "t", Partitions: []kafka.Partition{partition(2, lead), partition(0, kafka.Broker{})}}), "t", now)
	if err != nil || len(layout.leaders) != 3 || layout.leaders[0].isThere() || layout.leaders[1].isThere() || layout.leaders[2] != (brokerNode{1, "b:9"}) {
		t.Errorf("layout %+v, error %v", layout, err)
	}
	for name, bad := range map[string]*kafka.MetadataResponse{
		"nothing":       answer(),
		"another":       answer(kafka.Topic{Name: "u"}),
		"error":         answer(kafka.Topic{Name: "t", Error: kafka.UnknownTopicOrPartition}),
		"no partitions": answer(kafka.Topic{Name: "t"}),
		"below 0":       answer(kafka.Topic{Name: "t", Partitions: []kafka.Partition{partition(-1, lead)}}),
		"far beyond":    answer(kafka.Topic{Name: "t", Partitions: []kafka.Partition{partition(1<<31-1, lead)}}),
	} {
		if _, err := layoutOf(bad, "t", now); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
