// Command fanlight replicates multicast packets in the kernel and tells the
// truth about each: who sent it, to which group, how many copies were made,
// which were lost and why.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"
)

// env is what a verb may use of the process, so that tests need none.
type env struct {
	stdout, stderr io.Writer
	// reload delivers a value for each SIGHUP.
	reload <-chan os.Signal
	// confine gives up the privileges that a running agent has no use for; nil
	// keeps them.
	confine func() error
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends the process at once
	hup := make(chan os.Signal, 1)
	signal.Notify(hup, syscall.SIGHUP)
	err := fanlight(ctx, env{stdout: os.Stdout, stderr: os.Stderr, reload: hup, confine: confine}, os.Args[1:])
	if err != nil {
		fmt.Fprintln(os.Stderr, "fanlight:", err)
		stop()
		os.Exit(exitCode(err))
	}
}

// errUsage marks an error in how the command was called.
var errUsage = errors.New("usage")

// exitCode is 2 for a wrong call or a wrong configuration, 1 for what failed.
func exitCode(err error) int {
	if errors.Is(err, errUsage) || errors.Is(err, errConfig) {
		return 2
	}
	return 1
}

// noArguments is for verbs, which take flags only, and for the command itself,
// whose arguments are verbs.
func noArguments(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	if c.HasParent() {
		return fmt.Errorf("%w: unexpected argument %q; see '%s --help'", errUsage, args[0], c.CommandPath())
	}
	hint := ""
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		hint = fmt.Sprintf("; did you mean %q?", near[0])
	}
	return fmt.Errorf("%w: unknown command %q%s; see '%s --help'", errUsage, args[0], hint, c.CommandPath())
}
