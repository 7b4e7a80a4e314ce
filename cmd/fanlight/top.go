package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/colorprofile"
	"github.com/spf13/cobra"
)

type topOptions struct {
	client
	interval time.Duration
	viewName string
	sort     string
	filter   string
	noColor  bool
	batch    bool
	count    int
	output   string
}

func newTop(e env) *cobra.Command {
	var o topOptions
	cmd := &cobra.Command{
		Use:   "top",
		Short: "Watch groups and losses as they change",
		Long:  topLong(),
		Example: `  fanlight top
  fanlight top --view drops --interval 5s
  fanlight top --socket /run/fanlight/fl-demo.sock
  fanlight top --batch --sort lost --filter 239.1.
  fanlight top --batch --count 0 -o json | jq '.rows[] | select(.lost_per_second > 0)'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := o.validate(); err != nil {
				return err
			}
			if o.batch {
				return o.runBatch(cmd.Context(), e)
			}
			return o.runScreen(cmd.Context(), e)
		},
	}
	f := cmd.Flags()
	f.StringVar(&o.viewName, "view", topViews[viewGroups], "what to show at first: `groups` or drops")
	f.StringVar(&o.sort, "sort", "", "`column` to sort by at first (default: packets of groups, lost of drops)")
	f.StringVar(&o.filter, "filter", "", "show only rows that contain the `text`")
	f.DurationVar(&o.interval, "interval", 2*time.Second, "`time` between two questions to the agent, from 100ms on")
	f.BoolVarP(&o.batch, "batch", "b", false, "print tables, for scripts and files, and need no terminal")
	f.IntVarP(&o.count, "count", "n", 1, "`number` of tables with --batch; 0: until stopped")
	f.BoolVar(&o.noColor, "no-color", false, "use no colour; the variable NO_COLOR does the same")
	outputFlag(cmd, &o.output)
	o.flags(cmd)
	o.revealFlag(cmd)
	return cmd
}

func topLong() string {
	var b strings.Builder
	b.WriteString(`Top asks the running agent again and again, and shows what happens between two
answers: per group the packets, bits, copies and losses of a second, the fan-out
(copies per packet) and a trend; per loss its port and its reason. Names are as the
agent's policy shows them.

Keys:

`)
	for _, k := range topHelp {
		fmt.Fprintf(&b, "  %s %s\n", field(k.keys, 9, true), k.does)
	}
	fmt.Fprintf(&b, `
Columns to sort by:

  groups    %s
  drops     %s

It needs a terminal of %d columns and %d lines. With --batch it needs none, and
prints one table of what happened in one interval, or as many as --count says; with
-o json each is one line.

Exit status 0 means that it was ended by a key or a signal, or printed its tables;
1 that no agent answers, or none any more with --batch.`,
		strings.Join(columnNames(viewGroups), " "), strings.Join(columnNames(viewDrops), " "), smallestWidth, smallestHeight)
	return b.String()
}

func (o topOptions) view() topView { return topView(slices.Index(topViews, o.viewName)) }

func (o topOptions) validate() error {
	if _, err := wantsJSON(o.output); err != nil {
		return err
	}
	switch v := o.view(); {
	case v < 0:
		return fmt.Errorf("%w: --view: %q is none of %s", errUsage, o.viewName, strings.Join(topViews, ", "))
	case o.sort != "" && !slices.Contains(columnNames(v), o.sort):
		return fmt.Errorf("%w: --sort: %q is none of %s", errUsage, o.sort, strings.Join(columnNames(v), ", "))
	case o.interval < 100*time.Millisecond:
		return fmt.Errorf("%w: --interval: %v is less than 100ms", errUsage, o.interval)
	case o.count < 0:
		return fmt.Errorf("%w: --count: %d is negative", errUsage, o.count)
	case o.output == "json" && !o.batch:
		return fmt.Errorf("%w: -o json is for --batch", errUsage)
	}
	return nil
}

// ask gets what the screen needs.
func (o topOptions) ask(ctx context.Context, detail *topKey) (a topAnswered) {
	a.err = o.client.ask(ctx, "/v1/top", nil, &a.answer)
	if detail == nil || a.err != nil {
		return a
	}
	a.of, a.detail = *detail, &topDetail{}
	q := url.Values{"domain": {detail.domain}, "vlan": {detail.vlan}, "group": {detail.group}}
	a.err = o.client.ask(ctx, "/v1/top/group", q, a.detail)
	return a
}

// errNoTerminal: top has nothing to draw on.
var errNoTerminal = errors.New("there is no terminal to draw on")

// framesPerSecond is how often the screen is looked at for changes: often enough
// for keys, and seldom enough to cost nothing.
const framesPerSecond = 15

// runScreen shows the screen until a key, a signal or the loss of the terminal
// ends it.
func (o topOptions) runScreen(ctx context.Context, e env) error {
	if !newScreen(e.stdout).live() {
		return fmt.Errorf("%w: 'fanlight top --batch' prints a table", errNoTerminal)
	}
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	if a := o.ask(ctx, nil); a.err != nil {
		return a.err // a wrong path, say, is better told below the prompt
	}
	go func() {
		select {
		case <-e.reload: // SIGHUP: the terminal is gone
			stop()
		case <-ctx.Done():
		}
	}()
	options := []tea.ProgramOption{
		tea.WithContext(ctx), tea.WithOutput(e.stdout), tea.WithoutSignalHandler(), tea.WithFPS(framesPerSecond),
	}
	if o.noColor || os.Getenv("NO_COLOR") != "" {
		options = append(options, tea.WithColorProfile(colorprofile.ASCII))
	}
	m := newTopModel(o, func(detail *topKey) topAnswered { return o.ask(ctx, detail) })
	_, err := tea.NewProgram(m, options...).Run()
	if ctx.Err() != nil {
		return nil // ended by a signal
	}
	return err
}

// runBatch prints tables.
func (o topOptions) runBatch(ctx context.Context, e env) error {
	inJSON := o.output == "json"
	m := newTopModel(o, nil)
	for printed := -1; o.count == 0 || printed < o.count; printed++ { // the first answer has no rates
		if printed >= 0 {
			pause(ctx, o.interval)
		}
		a := o.ask(ctx, nil)
		if ctx.Err() != nil {
			return nil
		}
		if a.err != nil {
			return a.err
		}
		m.table.update(a.answer)
		if printed < 0 {
			continue
		}
		if err := o.print(e.stdout, &m.table, m.orders[m.view], inJSON); err != nil {
			return fmt.Errorf("write table: %w", err)
		}
	}
	return nil
}

func (o topOptions) print(w io.Writer, t *topTable, order topOrder, inJSON bool) error {
	rows := t.ordered(o.view(), o.filter, order)
	if inJSON {
		return writeTopJSON(w, t, o.view(), rows)
	}
	return writeTopTable(w, o.view(), rows)
}
