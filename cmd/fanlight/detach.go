package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/spf13/cobra"

	"github.com/fanlight-io/fanlight/bpf"
	"github.com/fanlight-io/fanlight/collector"
)

func newDetach(e env) *cobra.Command {
	var path string
	var dir string
	cmd := &cobra.Command{
		Use:   "detach [--config FILE | --bpffs DIR]",
		Short: "Take the datapath out of the kernel",
		Long: `Detach ends forwarding: it removes the programs from all ports, and the pinned
tables with members and counters. It also removes what an agent that only
observed left on interfaces when it was killed. A running agent must be stopped
first.`,
		Example: `  fanlight detach
  fanlight detach --config /etc/fanlight/fanlight.yaml
  fanlight detach --bpffs /sys/fs/bpf/other`,
		Args: noArguments,
		RunE: func(*cobra.Command, []string) error {
			cfg := collector.Config{BPFFS: dir}
			if path != "" {
				c, err := loadConfig(path)
				if err != nil {
					return err
				}
				cfg = c.Config
			}
			wanted := []capability{capNetAdmin}
			if cfg.Netns != "" {
				wanted = append(wanted, capSysAdmin)
			}
			if err := need("fanlight detach", wanted...); err != nil {
				return err
			}
			if cfg.BPFFS == "" {
				cfg.BPFFS = collector.DefaultBPFFS
			}
			if err := bpf.CheckDir(cfg.BPFFS); err != nil {
				return err
			}
			_, err := os.Stat(cfg.BPFFS)
			if err := collector.Detach(cfg); err != nil {
				return err
			}
			if errors.Is(err, fs.ErrNotExist) {
				fmt.Fprintf(e.stdout, "nothing of fanlight is pinned in %s\n", cfg.BPFFS)
				return nil
			}
			fmt.Fprintf(e.stdout, "detached: nothing of fanlight is left in %s and on its ports\n", cfg.BPFFS)
			return nil
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration `file` that names the pins and the network namespace")
	cmd.Flags().StringVar(&dir, "bpffs", collector.DefaultBPFFS, "`directory` of the pins")
	return cmd
}
