package main

import (
	"strings"
	"testing"

	"github.com/fanlight-io/fanlight/lab/labtest"
)

// One tiny round shows that everything still works: each mechanism delivers,
// the counters close, events come out. Its figures mean nothing.
func TestQuickRoundDeliversAndCloses(t *testing.T) {
	labtest.Require(t)
	var out strings.Builder
	if err := run(t.Context(), quickPlan(), &out); err != nil {
		t.Fatalf("%v\n%s", err, &out)
	}
	t.Log(&out)
}
