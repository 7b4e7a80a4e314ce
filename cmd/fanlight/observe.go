package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/redact"
)

// errEventsLost: not everything was seen that happened.
var errEventsLost = errors.New("events were lost")

// observeOptions are what flags say.
type observeOptions struct {
	client
	query   url.Values // of the filters
	not     bool       // the next filter is inverted
	last    int
	since   string
	until   string
	follow  bool
	output  string
	noColor bool
}

func newObserve(e env) *cobra.Command {
	o := &observeOptions{query: url.Values{}}
	cmd := &cobra.Command{
		Use:   "observe",
		Short: "Show events: as they happen, or the last ones",
		Long: `Observe shows what happened to streams, copies, memberships and queriers, one line
for each event: live until Ctrl-C, or with --last or --since from what the running
agent keeps (see 'history' in its configuration) and then, with --follow, live.

Filters narrow it down. Those of different names must all fit; of one name that is
given several times, one must. --not inverts the filter that follows it: events
that fit are hidden. Filters look at what is shown: where policy writes pseudonyms,
give those. Globs (*, ? and [...]) fit names, pseudonyms and reasons.

Output compact is for people: it shortens pseudonyms, to globs that fit. Output
json is one JSON object a line, as docs/events.md describes them, and may be
piped for ever. dict has a line for each field, table has columns.

Nothing waits for a slow reader. One that falls behind everything that is kept,
and events that were lost before, are told on standard error, at the end in exit
status 1, and in -o json as {"kind":"loss","action":"stream",...} too. A lost event
counts whether or not it would have passed the filters.

--reveal shows what policy hides, to root at the agent's socket, of events as they
come; what is kept is what policy let out.

Exit status 0 means that everything was shown until Ctrl-C or the end that was
asked for; 1 that events were lost, that the agent ended, or that none answers.`,
		Example: `  fanlight observe
  fanlight observe --last 20
  fanlight observe --since 15m --type drop --group 239.0.0.0/8
  fanlight observe --type membership --not --interface 'veth*' --follow --last 5
  fanlight observe --since 2026-11-22T21:30:00Z --until 5m -o json > events.jsonl`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			query, err := o.validate(time.Now())
			if err != nil {
				return err
			}
			return observe(cmd.Context(), e, o, query)
		},
	}
	f := cmd.Flags()
	f.IntVar(&o.last, "last", 0, "show the last `N` events that fit")
	f.StringVar(&o.since, "since", "", "show events from `time` on: 2026-11-22T21:34:05Z, or 15m ago")
	f.StringVar(&o.until, "until", "", "show events up to `time`")
	f.BoolVarP(&o.follow, "follow", "f", false, "go on with new events after those of --last or --since")
	for _, x := range []struct{ name, usage string }{
		{"type", "only this `kind`, or KIND/ACTION: drop, membership/joined"},
		{"group", "only this group or `prefix`"},
		{"source", "only this sender or `prefix`, also in source lists"},
		{"subscriber", "only this subscriber: `host`, prefix, or the port of its memberships and lost copies"},
		{"interface", "only this `port`"},
		{"reason", "only this `reason`, such as backlog_full"},
	} {
		f.Var(&filterFlag{o, x.name}, x.name, x.usage+"; may be repeated")
	}
	f.Var(&notFlag{o}, "not", "invert the filter that follows")
	f.Lookup("not").NoOptDefVal = "true"
	f.StringVarP(&o.output, "output", "o", "compact", "`format`: compact, json, table or dict")
	for flag, words := range map[string][]string{"output": eventOutputs, "type": eventTypes(), "reason": reasonNames()} {
		if err := cmd.RegisterFlagCompletionFunc(flag, cobra.FixedCompletions(words, cobra.ShellCompDirectiveNoFileComp)); err != nil {
			panic(err) // the flags are above
		}
	}
	f.BoolVar(&o.noColor, "no-color", false, "no colours, as with NO_COLOR set; there are none but on a terminal")
	o.flags(cmd)
	o.revealFlag(cmd)
	return cmd
}

// eventTypes are what --type takes.
func eventTypes() (types []string) {
	for _, k := range bpf.Kinds() {
		types = append(types, k.String())
		for _, action := range redact.Actions(k) {
			types = append(types, k.String()+"/"+action)
		}
	}
	return types
}

func reasonNames() (names []string) {
	for _, r := range reasons {
		names = append(names, r.Reason)
	}
	return names
}

// filterFlag adds each value to the query.
type filterFlag struct {
	o    *observeOptions
	name string
}

func (f *filterFlag) String() string { return "" }
func (f *filterFlag) Type() string   { return "value" }

func (f *filterFlag) Set(value string) error {
	if _, err := eventFilters[f.name](value); err != nil {
		return err
	}
	name := f.name
	if f.o.not {
		name, f.o.not = notPrefix+name, false
	}
	f.o.query.Add(name, value)
	return nil
}

// notFlag inverts the next filterFlag.
type notFlag struct{ o *observeOptions }

func (f *notFlag) String() string { return "" }
func (f *notFlag) Type() string   { return "bool" }

func (f *notFlag) Set(value string) error {
	if value != "true" || f.o.not {
		return errors.New("stands before the filter that it inverts, and has no value")
	}
	f.o.not = true
	return nil
}

// validate returns the query string that the flags mean.
func (o *observeOptions) validate(now time.Time) (url.Values, error) {
	if o.not {
		return nil, fmt.Errorf("%w: --not stands before the filter that it inverts, as in --not --type replication", errUsage)
	}
	if eventPrinters[o.output] == nil {
		return nil, fmt.Errorf("%w: --output: %q is none of compact, json, table, dict", errUsage, o.output)
	}
	query := o.query
	if o.last != 0 {
		if _, err := parseLast(strconv.Itoa(o.last)); err != nil {
			return nil, fmt.Errorf("%w: --last: %v", errUsage, err)
		}
		query.Set("last", strconv.Itoa(o.last))
	}
	for name, value := range map[string]string{"since": o.since, "until": o.until} {
		if value == "" {
			continue
		}
		at, err := parseMoment(value, now)
		if err != nil {
			return nil, fmt.Errorf("%w: --%s: %v", errUsage, name, err)
		}
		query.Set(name, at.UTC().Format(time.RFC3339Nano))
	}
	q, err := parseEventQuery(query, now)
	if err != nil {
		return nil, fmt.Errorf("%w: --%v", errUsage, err)
	}
	if o.reveal && q.past(now) {
		return nil, fmt.Errorf("%w: --reveal shows events as they come only: what is kept is what policy let out; leave out --last, --since and --until", errUsage)
	}
	o.follow = o.follow || q.follow
	if o.follow {
		query.Set("follow", "true")
	}
	return query, nil
}

// observe shows events until there are no more, or ctx is done.
func observe(ctx context.Context, e env, o *observeOptions, query url.Values) error {
	resp, err := o.open(ctx, eventsPath, query)
	if errors.Is(err, context.Canceled) {
		return nil // Ctrl-C before the agent answered
	}
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	w := bufio.NewWriterSize(e.stdout, 64<<10)
	v := &eventViewer{out: w, print: eventPrinters[o.output](w, o.colors(e)), json: o.output == "json", stderr: e.stderr}
	err = errors.Join(v.show(resp.Body), w.Flush())
	switch {
	case ctx.Err() != nil:
		err = nil // Ctrl-C
	case err == nil && o.follow && o.until == "", errors.Is(err, io.ErrUnexpectedEOF):
		err = fmt.Errorf("the agent at %s has ended", o.where())
	case err == nil && v.shown < o.last && !o.follow:
		fmt.Fprintf(e.stderr, "note: only %d such events are kept, since %s\n", v.shown, resp.Header.Get(keptSinceHeader))
	}
	return errors.Join(err, v.lost.err())
}

// colors reports whether lines have some.
func (o *observeOptions) colors(e env) bool {
	return !o.noColor && os.Getenv("NO_COLOR") == "" && newScreen(e.stdout).live()
}

// eventViewer shows lines of a stream.
type eventViewer struct {
	out    *bufio.Writer
	print  func(line []byte) error
	json   bool
	stderr io.Writer
	shown  int
	lost   lostEvents
}

func (v *eventViewer) show(body io.Reader) error {
	r := bufio.NewReaderSize(body, 256<<10)
	var long []byte // a line that the buffer is too small for
	for {
		line, err := r.ReadSlice('\n')
		if errors.Is(err, bufio.ErrBufferFull) {
			long = append(long, line...)
			continue
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if len(long) > 0 {
			line, long = append(long, line...), nil
		}
		if err := v.take(line); err != nil {
			return err
		}
		if r.Buffered() == 0 { // nothing more for now: somebody may be looking
			if err := v.out.Flush(); err != nil {
				return fmt.Errorf("write events: %w", err)
			}
		}
	}
}

func (v *eventViewer) take(line []byte) error {
	if !bytes.HasPrefix(line, []byte(lossStart)) {
		v.shown++
		return v.print(line)
	}
	if err := v.lost.add(line, v.stderr); err != nil || !v.json {
		return err
	}
	_, err := v.out.Write(line)
	return err
}

// lostEvents adds up what a stream says that it lacks.
type lostEvents struct {
	slow, missing uint64
	told          time.Time
}

func (l *lostEvents) add(line []byte, stderr io.Writer) error {
	var loss struct {
		Reason string `json:"reason"`
		Lost   uint64 `json:"lost_events"`
	}
	if err := json.Unmarshal(line, &loss); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	if loss.Reason == lostSlow {
		l.slow += loss.Lost
	} else {
		l.missing += loss.Lost
	}
	if now := time.Now(); now.Sub(l.told) > time.Second {
		l.told = now
		fmt.Fprintln(stderr, "fanlight:", l.err())
	}
	return nil
}

// err is nil if nothing was lost.
func (l *lostEvents) err() error {
	if l.slow+l.missing == 0 {
		return nil
	}
	return fmt.Errorf("%w: %d because they were read too slowly, %d before they got here", errEventsLost, l.slow, l.missing)
}
