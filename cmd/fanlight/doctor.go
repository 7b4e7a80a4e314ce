package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/doctor"
)

// errFindings: the doctor found what keeps a group away.
var errFindings = errors.New("not everything is well")

type doctorOptions struct {
	group, source string
	socket        string
	output        string
	verbose       bool
	question      doctor.Question
}

func newDoctor(e env) *cobra.Command {
	var o doctorOptions
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Say why a group is not received on this host, and what mends it",
		Long: `Doctor follows the packets of a group on their way through this host: link, frames
on the wire, IGMP or MLD and their querier, membership and source filter, routes,
reverse-path filter, firewall, UDP sockets and their buffers. It watches the wire
and the kernel's counters for some seconds, then prints what is wrong, the
likeliest first, with what it saw and the command that mends it:

  cause    keeps the group from being received, as the numbers show
  suspect  would explain it, and nothing speaks against it
  risk     does no harm yet

'fanlight explain ID' tells more of a finding. With --verbose it also prints what
it found well. What it could not look at it always names.

It needs no agent. If one runs, it is asked whether it knows this host as a
member, and what it dropped. Doctor only looks: it joins nothing, sends nothing
and sets no interface promiscuous, so it does not see groups that the hardware
filters out. Without root it says less. Addresses are printed as they are.

Without --interface it looks where the group is joined, or else where the route to
it goes. Without --source or --port it takes all that come.

Exit status 0 means that nothing wrong was found, 1 that something was or that it
could not be looked for, 2 that the question makes no sense here.`,
		Example: `  fanlight doctor --group 239.1.1.1
  fanlight doctor --group 232.1.1.1 --source 192.0.2.1 --port 5000 --interface eth0
  fanlight doctor --group ff15::1:1 --pid 4711 --verbose
  fanlight doctor --group 239.1.1.1 --netns fl-demo-igmpv2
  fanlight doctor --group 239.1.1.1 --for 135s         # long enough to miss a querier
  fanlight doctor --group 239.1.1.1 -o json | jq -r '.findings[] | .id, .commands[]'`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDoctor(cmd, e, o) },
	}
	f := cmd.Flags()
	f.StringVar(&o.group, "group", "", "the `group` that does not arrive (needed)")
	f.StringVar(&o.source, "source", "", "only packets from this `address`")
	f.StringVar(&o.question.Interface, "interface", "", "the `name` of the interface that should receive")
	f.Uint16Var(&o.question.Port, "port", 0, "only this UDP destination `port`")
	f.IntVar(&o.question.PID, "pid", 0, "only sockets of this `process`, in its network namespace")
	f.StringVar(&o.question.Netns, "netns", "", "look in this network `namespace`: a name as 'ip netns' shows it, or a path")
	f.DurationVar(&o.question.Window, "for", 5*time.Second, "`time` to watch the wire and the counters")
	f.DurationVar(&o.question.QueryInterval, "query-interval", 125*time.Second, "`time` between two queries of your querier")
	f.BoolVarP(&o.verbose, "verbose", "v", false, "print what was found well, too")
	f.StringVar(&o.socket, "socket", defaultSocket, "`path` of the agent's socket; empty means don't ask one")
	outputFlag(cmd, &o.output)
	return cmd
}

// complete reads what was given as text.
func (o *doctorOptions) complete() (err error) {
	q := &o.question
	if o.group == "" {
		return fmt.Errorf("%w: --group GROUP is needed, such as --group 239.1.1.1", errUsage)
	}
	if q.Group, err = netip.ParseAddr(o.group); err != nil || !q.Group.IsMulticast() {
		return fmt.Errorf("%w: --group: %q is no group, such as 239.1.1.1 or ff15::1", errUsage, o.group)
	}
	if o.source != "" {
		if q.Source, err = netip.ParseAddr(o.source); err != nil {
			return fmt.Errorf("%w: --source: %q is no address, such as 192.0.2.1 or 2001:db8::1", errUsage, o.source)
		}
	}
	switch {
	case q.Window < 100*time.Millisecond || q.Window > time.Hour:
		return fmt.Errorf("%w: --for: %v is not between 100ms and 1h", errUsage, q.Window)
	case q.QueryInterval <= 0:
		return fmt.Errorf("%w: --query-interval: %v is not more than 0", errUsage, q.QueryInterval)
	case q.PID < 0:
		return fmt.Errorf("%w: --pid: %d is negative", errUsage, q.PID)
	}
	return nil
}

func runDoctor(cmd *cobra.Command, e env, o doctorOptions) error {
	inJSON, err := wantsJSON(o.output)
	if err != nil {
		return err
	}
	if err := o.complete(); err != nil {
		return err
	}
	o.question.Agent = agentAsker(o.socket, o.question.Group)
	if isTerminal(e.stderr) && !inJSON {
		fmt.Fprintf(e.stderr, "watching for %v ...\n", o.question.Window)
	}
	r, err := doctor.Examine(cmd.Context(), o.question)
	if errors.Is(err, doctor.ErrQuestion) {
		return fmt.Errorf("%w: %w", errUsage, err)
	}
	if err != nil {
		return err
	}
	if inJSON {
		enc := json.NewEncoder(e.stdout)
		enc.SetIndent("", "  ")
		err = enc.Encode(r)
	} else {
		err = writeDiagnosis(e.stdout, r, o.verbose)
	}
	return errors.Join(err, diagnosisError(r))
}

// diagnosisError is what the exit status tells of.
func diagnosisError(r doctor.Report) error {
	var ids []string
	for _, f := range r.Findings {
		ids = append(ids, f.ID)
	}
	if len(ids) == 0 {
		return nil
	}
	return fmt.Errorf("%w: %s", errFindings, strings.Join(ids, ", "))
}
