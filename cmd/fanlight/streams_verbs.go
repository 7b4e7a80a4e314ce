package main

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

func newStreams(e env) *cobra.Command {
	l := &lister{path: "/v1/streams", sorts: streamOrders.names(), table: streamTable}
	var interval time.Duration
	l.get = func(ctx context.Context, query url.Values) (json.RawMessage, error) {
		return l.askStreams(ctx, query, interval)
	}
	list := l.command(e,
		"List each source of each group with packets, bytes, copies and fan-out",
		`List shows each (S,G): what the source sent to the group, how often it was copied, and
to how many ports the last packet went, as far as the agent's policy shows it. Counts
are exact totals since the datapath was loaded. A source that is silent for long
('keep_idle' in the configuration) is forgotten, and its totals go on without a name
in a line of SOURCE 'others'.

With --interval it looks twice and shows rates too.`,
		`  fanlight streams list
  fanlight streams list --interval 1s --sort packets --limit 10
  fanlight streams list --group 239.1.1.1 -o json`)
	list.Flags().DurationVar(&interval, "interval", 0, "look twice, this `time` apart, and show rates; 0: look once")
	run := list.RunE
	list.RunE = func(cmd *cobra.Command, args []string) error {
		if err := checkInterval(interval); err != nil {
			return err
		}
		return run(cmd, args)
	}
	return noun("streams", "Show the sources of groups at the running agent", list)
}

// checkInterval refuses what shows nothing, or takes longer than anybody waits.
func checkInterval(d time.Duration) error {
	if d < 0 || d > 0 && d < 50*time.Millisecond || d > time.Hour {
		return fmt.Errorf("%w: --interval: %v is neither 0 nor between 50ms and 1h", errUsage, d)
	}
	return nil
}

// askStreams asks once, or twice with the time in between.
func (l *lister) askStreams(ctx context.Context, query url.Values, interval time.Duration) (json.RawMessage, error) {
	var raw json.RawMessage
	if interval == 0 {
		err := l.ask(ctx, l.path, query, &raw)
		return raw, err
	}
	all := maps.Clone(query)
	all.Del("limit") // the first lines may be others the next time
	var before, now []streamSummary
	seconds, err := askTwice(ctx, interval,
		func() error { return l.ask(ctx, l.path, all, &before) },
		func() error { return l.ask(ctx, l.path, query, &now) })
	if err != nil {
		return nil, err
	}
	rateStreams(before, now, seconds)
	return json.Marshal(now)
}

func streamTable(w *tabwriter.Writer, raw []byte) error {
	var list []streamSummary
	if err := json.Unmarshal(raw, &list); err != nil {
		return err
	}
	rated := slices.ContainsFunc(list, func(s streamSummary) bool { return s.Rates != nil })
	fmt.Fprintln(w, "DOMAIN\tVLAN\tGROUP\tSOURCE\tPACKETS\tBYTES\tCOPIES\tFAN-OUT\t"+rateHead(rated)+"SEEN\tNAME")
	for _, s := range list {
		fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%d\t%d\t%d\t%d\t%s%s\t%s\n", orDash(s.Domain), orDash(s.VLAN), orDash(s.Group), sourceText(s.Source),
			s.Packets, s.Bytes, s.Copies, s.FanOut, rateCells(rated, s.Rates), ago(s.LastSeen), orDash(s.Name))
	}
	return nil
}

// sourceText names those that are not counted apart.
func sourceText(source string) string {
	if source == "" {
		return "others"
	}
	return source
}
