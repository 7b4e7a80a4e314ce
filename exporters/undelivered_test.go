package exporters

import (
	"errors"
	"fmt"
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestUndelivered(t *testing.T) {
	cause := errors.New("partition 3: not leader")
	err := fmt.Errorf("kafka: %w", &Undelivered{
		Retry: []int{1, 4}, Refused: map[string]int{"oversize": 2, "rejected": 1}, Cause: RetryAfter(cause, time.Second),
	})
	if want := "kafka: 2 records to be retried, 3 refused: partition 3: not leader"; err.Error() != want {
		t.Errorf("text %q, want %q", err, want)
	}
	if !errors.Is(err, cause) || RetryDelay(err) != time.Second {
		t.Errorf("cause %t, delay %v", errors.Is(err, cause), RetryDelay(err))
	}
	var u *Undelivered
	if !errors.As(err, &u) {
		t.Fatal("not found in the chain")
	}
	if diff := cmp.Diff(map[string]int{"oversize": 2, "rejected": 1}, maps.Collect(u.Lost())); diff != "" {
		t.Errorf("refused (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]int{1, 4}, u.ToRetry()); diff != "" {
		t.Errorf("to retry (-want +got):\n%s", diff)
	}
}

func TestRetryAfter(t *testing.T) {
	if RetryAfter(nil, time.Second) != nil {
		t.Error("nil became an error")
	}
	err := errors.New("busy")
	if RetryAfter(err, 0) != err || RetryDelay(err) != 0 {
		t.Error("no wait became a wait")
	}
}
