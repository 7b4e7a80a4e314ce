package collector

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/fanlight-io/fanlight/redact"
)

// Sink is where records go. Export must not keep the batch, and returns when
// ctx is done. After an error the batch is exported again, unless
// [NamedSink.Permanent] says that it is of no use.
//
// An error may tell more by its methods, anywhere in its chain:
//
//	ToRetry() []int               // places of the records that were not delivered
//	Lost() iter.Seq2[string, int] // records that were refused for good, by reason
//	RetryAfter() time.Duration    // how long the destination asks to be left alone
//
// With the first two, what they do not mention counts as delivered.
type Sink interface {
	Export(ctx context.Context, batch []redact.Record) error
	Close(ctx context.Context) error
}

// NamedSink is a sink with everything that the collector does for it.
type NamedSink struct {
	// Name is what metrics, logs and `fanlight status` call it.
	Name string
	Sink Sink
	// Permanent reports whether a retry can't cure the error. nil: always can.
	Permanent func(error) bool
	// Policy makes the sink's records. nil: the agent's own policy.
	Policy *redact.Policy
	// Idle reports whether nobody waits for the sink's records: then none are
	// made, and events count as filtered. nil: never.
	Idle func() bool
	SinkConfig
}

// partial is an error of an export that some records got through.
type partial interface {
	error
	ToRetry() []int
	Lost() iter.Seq2[string, int]
}

// retryDelay returns how long the destination asks to be left alone, or 0.
func retryDelay(err error) time.Duration {
	var patient interface {
		error
		RetryAfter() time.Duration
	}
	if errors.As(err, &patient) {
		return min(patient.RetryAfter(), maxRetryAfter)
	}
	return 0
}

// maxRetryAfter bounds what a destination may ask for.
const maxRetryAfter = 10 * time.Minute
