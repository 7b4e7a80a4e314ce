package exporters

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"

	"github.com/segmentio/kafka-go"
)

// verdict is what an answer means for a batch.
type verdict uint8

const (
	verdictStored   verdict = iota
	verdictRetry            // the same again, later
	verdictMoved            // the same again, to whoever leads the partition now
	verdictTooLarge         // again in parts
	verdictRefused          // again without the records that the broker does not take
	verdictUntimely         // again without times
)

// judge says what a code in an answer to a produce request means. Only a
// record that can't ever be stored is refused: what an operator can mend in the
// cluster or in a configuration waits until that is done.
func judge(code kafka.Error) verdict {
	switch code {
	case 0:
		return verdictStored
	case kafka.UnknownTopicOrPartition, kafka.LeaderNotAvailable, kafka.NotLeaderForPartition, kafka.ReplicaNotAvailable,
		kafka.KafkaStorageError, kafka.FencedLeaderEpoch, kafka.UnknownLeaderEpoch, unknownTopicID, inconsistentTopicID:
		return verdictMoved
	case kafka.MessageSizeTooLarge, kafka.RecordListTooLarge:
		return verdictTooLarge
	case kafka.InvalidRecord:
		return verdictRefused
	case kafka.InvalidTimestamp:
		return verdictUntimely
	default:
		return verdictRetry
	}
}

// Codes that the library has no name for.
const (
	unknownTopicID      kafka.Error = 100
	inconsistentTopicID kafka.Error = 103
)

// asAuthentication marks what a peer says, or we say, about certificates.
func asAuthentication(err error) error {
	var alert tls.AlertError
	var verify *tls.CertificateVerificationError
	var op *net.OpError // what the peer alerts comes as one of these
	switch {
	case errors.As(err, &alert), errors.As(err, &verify):
	case errors.As(err, &op) && op.Op == "remote error":
	default:
		return err
	}
	return fmt.Errorf("%w: %w", errAuthentication, err)
}

// quietError tells less than the error that it stands for.
type quietError struct {
	text string
	err  error
}

func (e quietError) Error() string { return e.text }
func (e quietError) Unwrap() error { return e.err }

// withoutAddress leaves out of the text the addresses and names that the
// standard library adds: brokers beyond the configured ones are nobody's
// business in a log.
func withoutAddress(err error) error {
	var op *net.OpError
	var dns *net.DNSError
	var host x509.HostnameError
	text := ""
	switch {
	case errors.As(err, &host):
		text = "the certificate is not for the broker's name"
	case errors.As(err, &dns):
		text = "look up the broker's name: " + dns.Err
	case errors.As(err, &op):
		text = op.Op + ": " + op.Err.Error()
	default:
		return err
	}
	if errors.Is(err, errAuthentication) {
		text = errAuthentication.Error() + ": " + text
	}
	return quietError{text, err}
}
