package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
	observing "github.com/fanlight-io/fanlight/observe" // there is a verb observe
)

// errCannotForward: this host lacks what forwarding itself needs.
var errCannotForward = errors.New("fanlight can't forward here: see what is missing")

// The words of a finding's status.
const (
	statusOK       = "ok"       // there
	statusMissing  = "missing"  // not there, and nothing is forwarded without it
	statusOptional = "optional" // not there; fanlight does without, at a price
	statusAdvice   = "advice"   // something on this host could be better
)

// finding is one thing that check looked at.
type finding struct {
	Status  string `json:"status"`
	Subject string `json:"subject"`
	Detail  string `json:"detail,omitempty"`  // what was found, and what it means
	Remedy  string `json:"command,omitempty"` // the command that mends it
}

// report is what check shows.
type report struct {
	Forwarding bool      `json:"forwarding"` // nothing is missing
	Findings   []finding `json:"findings"`
}

func newCheck(e env) *cobra.Command {
	var path, output string
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Say what this host lacks, and what that costs",
		Long: `Check tries every facility of the kernel that fanlight uses, one by one, and
says what is missing with its consequence:

  ok        it is there
  missing   it is not, and nothing can be forwarded without it
  optional  it is not, and fanlight does without; the line says at what price
  advice    something could be better; the line says how

With --config it also looks at the ports: other programs on them, bridges that
they are in, UDP GRO, and queues that are too short for their number. It changes
nothing.

Exit status 0 means that forwarding works here, 1 that something is missing.`,
		Example: `  fanlight check
  fanlight check --config /etc/fanlight/fanlight.yaml
  fanlight check -o json | jq '.findings[] | select(.status != "ok")'`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			var cfg *config
			if path != "" {
				c, err := loadConfig(path)
				if err != nil {
					return err
				}
				cfg = &c
			}
			show, err := reportWriter(output)
			if err != nil {
				return err
			}
			r, err := inspect(cfg)
			if err != nil {
				return err
			}
			if err := show(e.stdout, r); err != nil {
				return fmt.Errorf("write report: %w", err)
			}
			if !r.Forwarding {
				return errCannotForward
			}
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration `file` whose ports to look at, too")
	outputFlag(cmd, &output)
	return cmd
}

func outputFlag(cmd *cobra.Command, output *string) {
	cmd.Flags().StringVarP(output, "output", "o", "table", "`format`: table or json")
	words := cobra.FixedCompletions([]string{"table", "json"}, cobra.ShellCompDirectiveNoFileComp)
	if err := cmd.RegisterFlagCompletionFunc("output", words); err != nil {
		panic(err) // the flag is on the line above
	}
}

// wantsJSON reads the flag of outputFlag.
func wantsJSON(output string) (bool, error) {
	if output != "table" && output != "json" {
		return false, badOutput(output)
	}
	return output == "json", nil
}

func badOutput(output string) error {
	return fmt.Errorf("%w: --output: %q is none of table, json", errUsage, output)
}

func reportWriter(output string) (func(io.Writer, report) error, error) {
	switch output {
	case "table":
		return writeReportTable, nil
	case "json":
		return func(w io.Writer, r report) error {
			enc := json.NewEncoder(w)
			enc.SetIndent("", "  ")
			return enc.Encode(r)
		}, nil
	}
	return nil, badOutput(output)
}

func writeReportTable(w io.Writer, r report) error {
	var table bytes.Buffer
	t := tabwriter.NewWriter(&table, 0, 0, 2, ' ', 0)
	for _, f := range r.Findings {
		detail := f.Detail
		if f.Remedy != "" {
			detail = strings.TrimPrefix(detail+"; try: "+f.Remedy, "; ")
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", f.Status, f.Subject, detail)
	}
	t.Flush()
	for line := range strings.Lines(table.String()) {
		if _, err := fmt.Fprintln(w, strings.TrimRight(line, " \n")); err != nil {
			return err
		}
	}
	return nil
}

// inspect looks at everything; cfg may be nil.
func inspect(cfg *config) (report, error) {
	netns, dir := "", collector.DefaultBPFFS
	if cfg != nil {
		netns = cfg.Netns
		if cfg.BPFFS != "" {
			dir = cfg.BPFFS
		}
	}
	set, err := effective()
	if err != nil {
		return report{}, err
	}
	var r report
	r.Findings = append(r.Findings, checkRights(set, netns)...)
	r.Findings = append(r.Findings, checkBPFFS(dir))
	r.Findings = append(r.Findings, checkFacilities(bpf.Probe())...)
	r.Findings = append(r.Findings, checkFacilities(observing.Facilities())...)
	if cfg != nil {
		ports, err := checkPorts(cfg.Config)
		if err != nil {
			ports = []finding{{statusMissing, "ports", err.Error(), ""}}
		}
		r.Findings = append(r.Findings, ports...)
	}
	r.Forwarding = true
	for _, f := range r.Findings {
		r.Forwarding = r.Forwarding && f.Status != statusMissing
	}
	return r, nil
}

func checkRights(set uint64, netns string) (all []finding) {
	for _, c := range []capability{capBPF, capNetAdmin, capNetRaw, capPerfmon} {
		f := finding{Status: statusOK, Subject: c.name}
		if !c.in(set) {
			f.Status, f.Detail = statusMissing, "needed to "+c.use+"; run as root, or grant it"
		}
		all = append(all, f)
	}
	f := finding{Status: statusOK, Subject: capSysAdmin.name}
	switch {
	case capSysAdmin.in(set):
	case netns != "":
		f.Status, f.Detail = statusMissing, "needed at start to enter network namespace "+netns
	default:
		f.Status, f.Detail = statusOptional, "needed at start only where 'netns' is configured"
	}
	return append(all, f)
}

func checkBPFFS(dir string) finding {
	f := finding{Status: statusOK, Subject: "BPF file system", Detail: dir}
	if err := bpf.CheckDir(dir); err != nil {
		f.Status, f.Detail = statusMissing, "forwarding could not outlive the agent: "+err.Error()
	}
	return f
}

func checkFacilities(facilities []bpf.Facility) (all []finding) {
	for _, x := range facilities {
		f := finding{Status: statusOK, Subject: x.Name}
		if x.Err != nil {
			f.Status, f.Detail = statusOptional, x.Without+": "+firstLine(x.Err)
			if x.Fatal {
				f.Status = statusMissing
			}
		}
		all = append(all, f)
	}
	return all
}

// firstLine leaves out the rest of a verifier's log.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}
