package exporters

import (
	"bytes"
	"errors"
	"net"
	"testing"

	"github.com/segmentio/kafka-go/protocol"
	"github.com/segmentio/kafka-go/protocol/apiversions"
	"github.com/segmentio/kafka-go/protocol/metadata"
	"github.com/segmentio/kafka-go/protocol/produce"
	"github.com/segmentio/kafka-go/protocol/saslauthenticate"
	"github.com/segmentio/kafka-go/protocol/saslhandshake"
)

// The shapes are those of the library, for each version that we may choose.
func TestAnswerShapes(t *testing.T) {
	leader := metadata.ResponsePartition{PartitionIndex: 1, LeaderID: 2, ReplicaNodes: []int32{2, 3}, IsrNodes: []int32{2}, OfflineReplicas: []int32{3}}
	for _, test := range []struct {
		first, last int16
		answer      protocol.Message
	}{
		{0, 0, &apiversions.Response{ApiKeys: []apiversions.ApiKeyResponse{{ApiKey: 3, MaxVersion: 8}, {ApiKey: 0}}}},
		{1, 1, &saslhandshake.Response{Mechanisms: []string{"PLAIN", saslScram256}}},
		{0, 1, &saslauthenticate.Response{ErrorMessage: "no", AuthBytes: []byte("v=1")}},
		{minMetadataVersion, 8, &metadata.Response{
			Brokers: []metadata.ResponseBroker{{NodeID: 2, Host: "a"}, {NodeID: 3, Host: "b", Rack: "r"}}, ClusterID: "c",
			Topics: []metadata.ResponseTopic{{Name: "t", Partitions: []metadata.ResponsePartition{leader, leader}}, {Name: "u"}},
		}},
		{minProduceVersion, 8, &produce.Response{Topics: []produce.ResponseTopic{{Topic: "t", Partitions: []produce.ResponsePartition{
			{Partition: 1, ErrorCode: 87, RecordErrors: []produce.ResponseError{{BatchIndex: 1, BatchIndexErrorMessage: "no"}}, ErrorMessage: "no"}, {},
		}}}}},
	} {
		for v := test.first; v <= test.last; v++ {
			key := test.answer.ApiKey()
			var raw bytes.Buffer
			if err := protocol.WriteResponse(&raw, v, 1, test.answer); err != nil {
				t.Fatal(err)
			}
			body := raw.Bytes()[8:]
			if rest, ok := walk(shapeOf(key, v), body); !ok || len(rest) > 0 {
				t.Errorf("%s version %d: %t, %d bytes left of %d", key, v, ok, len(rest), len(body))
			}
			for n := range body { // cut off anywhere, it does not fit
				if _, ok := walk(shapeOf(key, v), body[:n]); ok {
					t.Errorf("%s version %d: %d bytes of %d are enough", key, v, n, len(body))
				}
			}
		}
	}
}

func TestAnswerGuardRefuses(t *testing.T) {
	for name, test := range map[string]struct {
		bytes []byte
		want  error
	}{
		"a web server":           {[]byte("HTTP/1.1 400 Bad Request\r\n\r\n"), errNoKafka},
		"TLS":                    {[]byte{tlsAlert, 3, 3, 0, 2, 2, 70}, errTalksTLS},
		"a length below 0":       {[]byte{0xff, 0xff, 0xff, 0xff}, errNoKafka},
		"more than there can be": {[]byte{0, 0, 0, 12, 0, 0, 0, 1, 0, 0, 0x7f, 0xff, 0xff, 0xff, 0, 0}, errNoKafka},
	} {
		ours, theirs := net.Pipe()
		go func() {
			theirs.Write(test.bytes)
			theirs.Close()
		}()
		g := &answerGuard{Conn: ours, shape: shapeOf(protocol.ApiVersions, 0)}
		if _, err := g.Read(make([]byte, 8)); !errors.Is(err, test.want) {
			t.Errorf("%s: want %v, got %v", name, test.want, err)
		}
		ours.Close()
	}
}
