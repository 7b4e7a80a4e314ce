package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/groupname"
	"github.com/fanlight-io/fanlight/groupplan"
)

// errLint: the plan has findings that count as errors.
var errLint = errors.New("the plan is not good")

// lintOptions are the flags of the verb.
type lintOptions struct {
	live, strict   bool
	explain, names string
	agent          client
	output         string
}

func newLint(e env) *cobra.Command {
	var o lintOptions
	cmd := &cobra.Command{
		Use:   "lint [PLAN]",
		Short: "Check a plan of groups: shared Ethernet addresses, scopes, SSM, TTL, ranges of others",
		Long: `Lint checks the groups that a network is to carry by the rules of the standards, and
by what switches, routers and hosts make of them. PLAN is a file (YAML):

  asn: 64496                  # your autonomous system, for groups of 233.0.0.0/8
  groups:
    - group: 239.192.1.1      # needed; the rest is checked if it is there
      name: camera 1
      sources: [192.0.2.1]
      port: 5004              # UDP
      ttl: 16                 # that senders set
      vlan: 100               # groups in other VLANs don't collide

or a configuration of the agent, of which the static groups are checked. With --live
the groups of the running agent are, as far as its policy shows them.

Each finding has a severity, the rule's name, what to do, and the standard behind it:
an error is sure to break something, a warning likely, a note is to be known. --explain
RULE tells more of a rule, --explain all lists all rules.

Exit status 0 means that there are no errors, 1 that there are (with --strict:
warnings, too), 2 that the plan can't be read.`,
		Example: `  fanlight lint plan.yaml
  fanlight lint --live --strict
  fanlight lint --explain mac-alias`,
		Args: cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			inJSON, err := wantsJSON(o.output)
			if err != nil {
				return err
			}
			if o.explain != "" {
				return explainRules(e.stdout, o.explain, inJSON)
			}
			plan, err := o.plan(cmd.Context(), args)
			if err != nil {
				return err
			}
			names := groupname.Builtin()
			if o.names != "" {
				if names, err = groupname.Load(o.names); err != nil {
					return fmt.Errorf("%w: --names: %w", errConfig, err)
				}
			}
			findings := groupplan.Check(plan, names)
			out := bufio.NewWriter(e.stdout)
			if inJSON {
				err = writeLintJSON(out, findings)
			} else {
				writeLint(out, len(plan.Groups), findings)
			}
			return errors.Join(err, out.Flush(), o.verdict(findings))
		},
	}
	cmd.Flags().BoolVar(&o.live, "live", false, "check the groups of the running agent")
	cmd.Flags().BoolVar(&o.strict, "strict", false, "exit with status 1 for warnings, too")
	cmd.Flags().StringVar(&o.explain, "explain", "", "tell what a `rule` is about; all: list the rules")
	cmd.Flags().StringVar(&o.names, "names", "", "`file` of names of groups, as 'names' in the configuration: what it names is yours")
	outputFlag(cmd, &o.output)
	o.agent.flags(cmd)
	o.agent.revealFlag(cmd)
	rules := append(ruleNames(), "all")
	if err := cmd.RegisterFlagCompletionFunc("explain", cobra.FixedCompletions(rules, cobra.ShellCompDirectiveNoFileComp)); err != nil {
		panic(err) // the flag is above
	}
	return cmd
}

func (o *lintOptions) plan(ctx context.Context, args []string) (groupplan.Plan, error) {
	switch {
	case o.live && len(args) > 0:
		return groupplan.Plan{}, fmt.Errorf("%w: want a PLAN or --live, not both", errUsage)
	case o.live:
		return livePlan(ctx, &o.agent)
	case len(args) == 0:
		return groupplan.Plan{}, fmt.Errorf("%w: want a PLAN, or --live for the groups of the running agent", errUsage)
	}
	return loadPlan(args[0])
}

// verdict is an error if the exit status is to tell of findings.
func (o *lintOptions) verdict(findings []groupplan.Finding) error {
	count := countFindings(findings)
	switch {
	case count[groupplan.Error] > 0:
		return fmt.Errorf("%w: %s", errLint, numberOf(count[groupplan.Error], "error"))
	case o.strict && count[groupplan.Warning] > 0:
		return fmt.Errorf("%w: %s, and --strict", errLint, numberOf(count[groupplan.Warning], "warning"))
	}
	return nil
}

func countFindings(findings []groupplan.Finding) map[groupplan.Severity]int {
	count := map[groupplan.Severity]int{}
	for _, f := range findings {
		count[f.Severity]++
	}
	return count
}

func numberOf(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func writeLintJSON(to io.Writer, findings []groupplan.Finding) error {
	if findings == nil {
		findings = []groupplan.Finding{}
	}
	return json.NewEncoder(to).Encode(findings)
}

// writeLint writes each finding with what to do, and the sums.
func writeLint(to io.Writer, groups int, findings []groupplan.Finding) {
	for _, f := range findings {
		fmt.Fprintf(to, "%s: %s", f.Severity, f.Message)
		if f.Segment != "" {
			fmt.Fprintf(to, ", in %s", f.Segment)
		}
		if f.Line > 0 {
			fmt.Fprintf(to, " (line %d)", f.Line)
		}
		fmt.Fprintf(to, " [%s]\n  remedy: %s\n  source: %s\n", f.Rule, f.Remedy, f.Source)
	}
	if len(findings) > 0 {
		fmt.Fprintln(to)
	}
	count := countFindings(findings)
	fmt.Fprintf(to, "%s: %s, %s, %s\n", numberOf(groups, "group"), numberOf(count[groupplan.Error], "error"),
		numberOf(count[groupplan.Warning], "warning"), numberOf(count[groupplan.Note], "note"))
}

func ruleNames() (names []string) {
	for _, r := range groupplan.Rules() {
		names = append(names, r.Name)
	}
	return names
}

// explainRules tells about one rule, or lists all.
func explainRules(to io.Writer, name string, inJSON bool) error {
	list := groupplan.Rules()
	if name != "all" {
		r, ok := groupplan.RuleNamed(name)
		if !ok {
			return fmt.Errorf("%w: --explain: no rule %q%s", errUsage, name, suggest(name, ruleNames()))
		}
		list = []groupplan.Rule{r}
	}
	if inJSON {
		return json.NewEncoder(to).Encode(list)
	}
	if name != "all" {
		r := list[0]
		_, err := fmt.Fprintf(to, "%s (%s): %s\n\n%s\n\nWhat helps: %s.\n\nSource: %s\n", r.Name, r.Severity, r.Summary, r.Why, r.Remedy, r.Source)
		return err
	}
	var b strings.Builder
	for _, r := range list {
		fmt.Fprintf(&b, "%-8s %-20s %s\n", r.Severity, r.Name, r.Summary)
	}
	_, err := io.WriteString(to, b.String())
	return err
}
