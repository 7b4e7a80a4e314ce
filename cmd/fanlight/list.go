package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"
)

// lister is a noun whose list comes from the running agent.
type lister struct {
	client
	chosen
	path   string // of the API
	sorts  []string
	output string
	sort   string
	limit  int
	// table writes the answer for people.
	table func(w *tabwriter.Writer, raw []byte) error
	// get gets the list in another way than by one request; nil: by one.
	get func(ctx context.Context, query url.Values) (json.RawMessage, error)
}

// chosen is which groups the operator asks for.
type chosen struct{ group, domain, vlan string }

func (c *chosen) groupFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.group, "group", "", "only this `group`: its address, or its name")
	c.segmentFlags(cmd)
}

func (c *chosen) segmentFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&c.domain, "domain", "", "only this `domain`")
	cmd.Flags().StringVar(&c.vlan, "vlan", "", "only this `VLAN`, such as 100, or 100.7 with two tags")
}

// query are the parameters that ask for the groups.
func (c *chosen) query() (url.Values, error) {
	if a, err := netip.ParseAddr(c.group); err == nil && !a.IsMulticast() {
		return nil, fmt.Errorf("%w: --group: %q is no group, such as 239.1.1.1 or ff15::1", errUsage, c.group)
	}
	return given("group", c.group, "domain", c.domain, "vlan", c.vlan), nil
}

// given makes parameters of names and values; empty ones are left out.
func given(namesAndValues ...string) url.Values {
	q := url.Values{}
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		if namesAndValues[i+1] != "" {
			q.Set(namesAndValues[i], namesAndValues[i+1])
		}
	}
	return q
}

func (l *lister) command(e env, short, long, example string) *cobra.Command {
	cmd := &cobra.Command{
		Use: "list", Short: short, Long: long, Example: example, Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return l.run(cmd, e) },
	}
	outputFlag(cmd, &l.output)
	l.groupFlags(cmd)
	cmd.Flags().StringVar(&l.sort, "sort", "", "sort by this `column`: "+strings.Join(l.sorts, ", ")+" (default: by domain, VLAN and address)")
	if err := cmd.RegisterFlagCompletionFunc("sort", cobra.FixedCompletions(l.sorts, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is on the line above
	}
	cmd.Flags().IntVar(&l.limit, "limit", 0, "show this `number` of lines at most; 0: all")
	l.client.flags(cmd)
	l.revealFlag(cmd)
	return cmd
}

// parameters are what the flags ask for.
func (l *lister) parameters() (url.Values, error) {
	q, err := l.query()
	if err != nil {
		return nil, err
	}
	known := false
	for _, name := range l.sorts {
		known = known || name == l.sort
	}
	switch {
	case l.sort != "" && !known:
		return nil, fmt.Errorf("%w: --sort: %q is none of %s", errUsage, l.sort, strings.Join(l.sorts, ", "))
	case l.limit < 0:
		return nil, fmt.Errorf("%w: --limit: %d is negative", errUsage, l.limit)
	case l.limit > 0:
		q.Set("limit", strconv.Itoa(l.limit))
	}
	if l.sort != "" {
		q.Set("sort", l.sort)
	}
	return q, nil
}

func (l *lister) run(cmd *cobra.Command, e env) error {
	inJSON, err := wantsJSON(l.output)
	if err != nil {
		return err
	}
	query, err := l.parameters()
	if err != nil {
		return err
	}
	var raw json.RawMessage
	if l.get != nil {
		raw, err = l.get(cmd.Context(), query)
	} else {
		err = l.ask(cmd.Context(), l.path, query, &raw)
	}
	if err != nil {
		return err
	}
	if inJSON {
		_, err := fmt.Fprintln(e.stdout, string(raw))
		return err
	}
	out := bufio.NewWriterSize(e.stdout, 64<<10) // a table writes each cell apart
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	if err := l.table(w, raw); err != nil {
		return fmt.Errorf("read the agent's answer: %w", err)
	}
	return errors.Join(w.Flush(), out.Flush())
}

// noun is a command that only holds others.
func noun(name, short string, sub ...*cobra.Command) *cobra.Command {
	cmd := &cobra.Command{
		Use: name, Short: short, Args: noArguments, Example: sub[0].Example, ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	cmd.AddCommand(sub...)
	return cmd
}

// remaining is the time until then, in whole seconds; a dash if there is no end.
func remaining(until time.Time) string {
	if until.IsZero() {
		return "-"
	}
	return max(0, time.Until(until)).Round(time.Second).String()
}

// ago is the time since then, for people; a dash if it never was.
func ago(then time.Time) string {
	if then.IsZero() {
		return "-"
	}
	return elapsed(max(0, time.Since(then))).String()
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}
