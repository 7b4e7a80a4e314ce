package main

import (
	"context"
	"fmt"
	"os"
	"runtime"

	"github.com/spf13/cobra"
)

// socketVariable names the agent's socket for verbs that are not told by
// --socket.
const socketVariable = "FANLIGHT_SOCKET"

const rootLong = `Fanlight replicates multicast packets in the kernel to the subscribers that it
learns by IGMP and MLD, and tells what became of each: who sent it, to which group,
how many copies were made, which were lost and why.

'fanlight demo' shows it at work in a network of its own. 'fanlight run' is the
agent; most other verbs ask a running agent, over a unix socket.

Environment:

  FANLIGHT_SOCKET  path of the agent's socket, for verbs without --socket
  NO_COLOR         anything here turns colours off

Exit status of every verb:

  0  done, and all is well
  1  failed, or something is not well: the verb's help says what counts
  2  called wrongly, or the configuration is wrong`

// fanlight runs the command line.
func fanlight(ctx context.Context, e env, args []string) error {
	root := newRoot(e)
	root.SetArgs(args)
	return root.ExecuteContext(ctx)
}

// newRoot returns the command with all its verbs.
func newRoot(e env) *cobra.Command {
	root := &cobra.Command{
		Use:   "fanlight",
		Short: "Replicate multicast in the kernel, and see where each copy went",
		Long:  rootLong,
		Example: `  fanlight demo
  fanlight check --config /etc/fanlight/fanlight.yaml
  fanlight run --config /etc/fanlight/fanlight.yaml
  fanlight status
  fanlight top`,
		Version:           version,
		SilenceUsage:      true,
		SilenceErrors:     true,
		Args:              noArguments,
		PersistentPreRunE: socketFromEnvironment,
		RunE:              func(c *cobra.Command, _ []string) error { return c.Help() },
	}
	root.SetVersionTemplate(fmt.Sprintf("fanlight {{.Version}} (revision %s, %s)\n", revision(), runtime.Version()))
	root.SetOut(e.stdout)
	root.SetErr(e.stderr)
	root.SetFlagErrorFunc(func(c *cobra.Command, err error) error {
		return fmt.Errorf("%w: %v; see '%s --help'", errUsage, err, c.CommandPath())
	})
	addVerbs(root, "run", "Run the datapath:", newRun(e), newDemo(e), newCheck(e), newDetach(e))
	addVerbs(root, "look", "Look at a running agent:", newStatus(e), newTop(e), newGroups(e), newSubscribers(e), newStreams(e), newDrops(e), newObserve(e))
	addVerbs(root, "tools", "Tools:", newDoctor(e), newLint(e), newExplainReason(e), newProbe(e), newRedact(e), newVersion(e))
	root.SetHelpCommandGroupID("tools")
	root.SetCompletionCommandGroupID("tools")
	completeFlags(root)
	return root
}

// addVerbs adds them to the command and to a group of its help.
func addVerbs(root *cobra.Command, group, title string, verbs ...*cobra.Command) {
	root.AddGroup(&cobra.Group{ID: group, Title: title})
	for _, v := range verbs {
		v.GroupID = group
		root.AddCommand(v)
	}
}

// socketFromEnvironment is for every verb that has the flag.
func socketFromEnvironment(c *cobra.Command, _ []string) error {
	f := c.Flags().Lookup("socket")
	if a := c.Flags().Lookup("address"); a != nil && a.Changed {
		return nil
	}
	if path := os.Getenv(socketVariable); f != nil && !f.Changed && path != "" {
		return f.Value.Set(path)
	}
	return nil
}
