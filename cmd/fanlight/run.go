package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/spf13/cobra"
	"golang.org/x/sync/errgroup"

	"github.com/fanlight-io/fanlight/collector"
	"github.com/fanlight-io/fanlight/exporters"
	"github.com/fanlight-io/fanlight/redact"
)

func newRun(e env) *cobra.Command {
	var path, level string
	var check bool
	cmd := &cobra.Command{
		Use:   "run --config FILE",
		Short: "Forward multicast between the ports of each domain",
		Long: `Run attaches to the ports of each domain, learns by IGMP and MLD who wants
which group, and replicates packets in the kernel to those ports. Interfaces
that 'observe' names are only looked at: nothing on them changes.

SIGHUP reads the configuration again; a bad one is refused as a whole and the
old one goes on. SIGTERM stops the agent; the kernel goes on forwarding to the
members known then, until another agent takes over or 'fanlight detach'.

Beside its metrics it answers /livez and /readyz. A systemd service of
Type=notify is told of start, reload and stop, and its watchdog is fed while
every loop of the agent makes progress.

Needs root, or CAP_BPF, CAP_NET_ADMIN, CAP_NET_RAW and CAP_PERFMON, and
CAP_SYS_ADMIN if 'netns' names another network namespace. Once it forwards, it
keeps CAP_BPF and CAP_NET_ADMIN only: files that SIGHUP opens again must belong
to the user that it runs as.`,
		Example: `  fanlight run --config /etc/fanlight/fanlight.yaml
  fanlight run --config fanlight.yaml --check`,
		Args: noArguments,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if path == "" {
				return fmt.Errorf("%w: --config FILE is needed", errUsage)
			}
			cfg, err := loadConfig(path)
			if err != nil {
				return err
			}
			if err := need("fanlight run", runRights(cfg.Netns)...); err != nil {
				return err
			}
			if check {
				return checkConfig(e, cfg, path)
			}
			log, err := newLog(e, level)
			if err != nil {
				return err
			}
			return run(cmd.Context(), e, log, path, cfg)
		},
	}
	cmd.Flags().StringVarP(&path, "config", "c", "", "configuration `file` (YAML)")
	cmd.Flags().BoolVar(&check, "check", false, "load and verify everything, attach nothing, and exit")
	cmd.Flags().StringVar(&level, "log-level", "info", "least `level` of log lines: debug, info, warn or error")
	return cmd
}

func newLog(e env, level string) (*slog.Logger, error) {
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("%w: --log-level: %v", errUsage, err)
	}
	return slog.New(slog.NewTextHandler(e.stderr, &slog.HandlerOptions{Level: l})), nil
}

// checkConfig does everything that run does, in pins of its own, but attach.
func checkConfig(e env, cfg config, path string) error {
	dir := cfg.BPFFS
	if dir == "" {
		dir = collector.DefaultBPFFS
	}
	notes, err := collector.Check(cfg.Config, fmt.Sprintf("%s-check-%d", filepath.Clean(dir), os.Getpid()))
	if err != nil {
		return err
	}
	for _, n := range notes {
		fmt.Fprintln(e.stdout, "note:", n)
	}
	fmt.Fprintf(e.stdout, "%s is valid, and its programs load\n", path)
	return nil
}

// service is a running agent with its exporters.
type service struct {
	agent   *collector.Agent
	policy  *redact.Policy
	metrics *redact.Metrics
	page    *exporters.Prometheus
	pushes  []*exporters.OTLPMetrics
	reopen  []exporters.Reopener
	listen  net.Listener
	api     *apiServer // nil: none
	live    *livePage  // nil: none
	cfg     config

	reloadOK   *redact.Series
	reloadTime *redact.Series
	refused    atomic.Bool // the last reload
}

// newService opens what cfg asks for. Listeners and files are open when it
// returns; close what it returned if it is not run.
func newService(cfg config, log *slog.Logger) (s *service, err error) {
	origin, err := redact.LocalOrigin()
	if err != nil {
		return nil, err
	}
	policy, err := redact.NewPolicy(cfg.Redact, origin)
	if err != nil {
		return nil, fmt.Errorf("redact: %w", err)
	}
	log = withPolicy(log, policy)
	if policy.Ephemeral() && cfg.Redact.Profile != redact.RevealProfile {
		log.Warn("pseudonyms will change at a restart: neither redact.key_file nor redact.key_credential is set")
	}
	s = &service{cfg: cfg, policy: policy}
	if s.metrics, err = policy.NewMetrics(cfg.Metrics.MetricsConfig); err != nil {
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s.metrics.Series(redact.BuildInfo, buildLabels()...).Set(1)
	s.reloadOK = s.metrics.Series(redact.ConfigLastReloadOK)
	s.reloadTime = s.metrics.Series(redact.ConfigLastReloadSuccess)
	s.reloaded(true)

	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	s.page = exporters.NewPrometheus(s.metrics, registry)
	if err := s.openPushes(registry, log); err != nil {
		return nil, err
	}
	sinks, err := openSinks(cfg.Events, policy)
	if err != nil {
		return nil, err
	}
	s.adopt(sinks)
	if cfg.API.enabled() {
		if sinks, err = s.openAPI(sinks); err != nil {
			closeSinks(sinks)
			return nil, err
		}
	}
	if cfg.Metrics.Listen != "" {
		if s.listen, err = net.Listen("tcp", cfg.Metrics.Listen); err != nil {
			closeSinks(sinks)
			return nil, errors.Join(fmt.Errorf("metrics.listen: %w", err), s.closeListeners())
		}
	}
	if sinks, err = s.openLive(sinks); err != nil {
		closeSinks(sinks)
		return nil, errors.Join(err, s.closeListeners())
	}
	s.agent = collector.New(cfg.Config, collector.Deps{
		Policy: policy, Metrics: s.metrics, Registry: registry, Sinks: sinks, Log: log,
	})
	return s, nil
}

// openPushes prepares the exporters that send metrics.
func (s *service) openPushes(registry *prometheus.Registry, log *slog.Logger) error {
	for i, c := range s.cfg.Metrics.OTLP {
		name := numbered("metrics_otlp", i)
		push, err := exporters.NewOTLPMetrics(c, name, s.metrics, registry, log)
		if err != nil {
			return fmt.Errorf("metrics.otlp[%d]: %w", i, err)
		}
		s.pushes = append(s.pushes, push)
		s.reopen = append(s.reopen, push)
		s.countActions(name, push)
	}
	return nil
}

// openSinks opens the exporters; base is the policy of those that have none of
// their own.
func openSinks(events []eventConfig, base *redact.Policy) (sinks []collector.NamedSink, err error) {
	for i, e := range events {
		x, err := e.own.Open()
		if err != nil {
			closeSinks(sinks)
			return nil, fmt.Errorf("events[%d]: %w", i, err)
		}
		name := exporterName(i, e)
		sinks = append(sinks, collector.NamedSink{Name: name, Sink: x, Permanent: exporters.IsPermanent, SinkConfig: e.SinkConfig})
		if sinks[i].Policy, err = policyOf(base, name, e); err != nil {
			closeSinks(sinks)
			return nil, fmt.Errorf("events[%d]: redact: %w", i, err)
		}
	}
	return sinks, nil
}

// adopt takes note of what exporters do besides exporting.
func (s *service) adopt(sinks []collector.NamedSink) {
	for _, x := range sinks {
		if r, ok := x.Sink.(exporters.Reopener); ok {
			s.reopen = append(s.reopen, r)
		}
		if c, ok := x.Sink.(exporters.Counter); ok {
			s.countActions(x.Name, c)
		}
	}
}

// policyOf returns the policy of an exporter: the base, unless it has something
// of its own.
func policyOf(base *redact.Policy, name string, e eventConfig) (*redact.Policy, error) {
	own := e.Policy()
	if reflect.DeepEqual(own, redact.Override{}) {
		return base, nil
	}
	return base.For(name, own)
}

// exporterName is what the i-th exporter is called in metrics.
func exporterName(i int, e eventConfig) string {
	if e.Name != "" {
		return e.Name
	}
	return numbered(e.typ, i)
}

func numbered(name string, i int) string {
	if i == 0 {
		return name
	}
	return fmt.Sprintf("%s_%d", name, i)
}

// countActions shows on the metrics page what an exporter counts by itself.
func (s *service) countActions(exporter string, c exporters.Counter) {
	series := map[string]*redact.Series{}
	for action := range c.Counts() {
		series[action] = s.metrics.Series(redact.SinkActions, redact.Name(exporter), redact.Name(action))
	}
	s.metrics.OnScrape(func() {
		for action, n := range c.Counts() {
			series[action].Set(n)
		}
	})
}

// openAPI opens the API, and returns the sinks with those that it reads.
func (s *service) openAPI(sinks []collector.NamedSink) ([]collector.NamedSink, error) {
	events, err := newEventSource(s.cfg, s.policy)
	if err != nil {
		return sinks, err
	}
	sinks = append(sinks, events.sinks()...)
	if s.api, err = listenAPI(s.cfg.API, s.metrics, events); err != nil {
		return sinks, err
	}
	s.reopen = append(s.reopen, s.api.reopeners()...)
	return sinks, nil
}

// closeListeners closes those that are not served.
func (s *service) closeListeners() error {
	var errs []error
	if s.listen != nil {
		errs = append(errs, s.listen.Close())
	}
	if s.api != nil {
		errs = append(errs, s.api.close())
	}
	if s.live != nil {
		errs = append(errs, s.live.listen.Close())
	}
	return errors.Join(errs...)
}

func closeSinks(sinks []collector.NamedSink) {
	for _, s := range sinks {
		s.Sink.Close(context.Background())
	}
}

// metricsAddress is where the page is, "" for nowhere.
func (s *service) metricsAddress() string {
	if s.listen == nil {
		return ""
	}
	return s.listen.Addr().String()
}

// run serves until ctx is done.
func (s *service) run(ctx context.Context) error {
	g, ctx := errgroup.WithContext(ctx)
	if s.listen != nil {
		s.addHealth(ctx)
		g.Go(func() error { return s.page.Serve(ctx, s.listen) })
	}
	if s.api != nil {
		g.Go(func() error { return s.api.run(ctx, s.agent, s.policy) })
	}
	if s.live != nil {
		g.Go(func() error { return s.live.Run(ctx, s.live.listen) })
	}
	for _, push := range s.pushes {
		g.Go(func() error {
			select {
			case <-ctx.Done():
				return nil
			case <-s.agent.Ready(): // counters of a datapath that was there are there now
				return push.Run(ctx)
			}
		})
	}
	g.Go(func() error { return s.agent.Run(ctx) })
	return g.Wait()
}

// errReopen: the new configuration is in force, but a file is not open again.
var errReopen = errors.New("not opened again")

// reload puts a new configuration in force, or leaves the old one, keys and all.
// After errReopen the new one is in force.
func (s *service) reload(path string) error {
	cfg, err := loadConfig(path)
	if err == nil {
		err = s.cfg.fixed(cfg)
	}
	if err == nil {
		err = s.agent.Accepts(cfg.Config)
	}
	if err == nil {
		err = s.policy.ReloadKeys()
	}
	if err == nil {
		err = s.agent.Reload(cfg.Config)
	}
	s.reloaded(err == nil)
	if err != nil {
		return err
	}
	s.cfg = cfg
	var errs []error
	for _, r := range s.reopen {
		errs = append(errs, r.Reopen())
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("%w: %w", errReopen, err)
	}
	return nil
}

// fixed returns an error if next changes what only a restart can change; the
// agent refuses the rest itself.
func (c config) fixed(next config) error {
	for _, part := range []struct {
		key      string
		was, now any
	}{
		{"metrics", c.Metrics, next.Metrics}, {"events", c.Events, next.Events}, {"redact", c.Redact, next.Redact},
		{"api", c.API, next.API}, {"history", c.History, next.History}, {"live", c.Live, next.Live},
	} {
		if !reflect.DeepEqual(part.was, part.now) {
			return fmt.Errorf("%s changed: %w", part.key, collector.ErrNeedsRestart)
		}
	}
	return nil
}

func (s *service) reloaded(ok bool) {
	s.refused.Store(!ok)
	if !ok {
		s.reloadOK.Set(0)
		return
	}
	s.reloadOK.Set(1)
	s.reloadTime.SetFloat(float64(time.Now().UnixNano()) / 1e9)
}

func run(ctx context.Context, e env, log *slog.Logger, path string, cfg config) error {
	s, err := newService(cfg, log)
	if err != nil {
		return err
	}
	sv := newSupervisor(log)
	g, ctx := errgroup.WithContext(ctx)
	stop := context.AfterFunc(ctx, sv.stopping)
	defer stop()
	g.Go(func() error { return s.run(ctx) })
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.agent.Ready():
		}
		if e.confine != nil {
			if err := e.confine(); errors.Is(err, syscall.ENOTSUP) {
				log.Warn("capabilities are kept: this binary was built with cgo")
			} else if err != nil {
				return err
			}
		}
		doing := "forwarding"
		if len(cfg.Domains) == 0 {
			doing = "observing"
		}
		log.Info(doing, "metrics", s.metricsAddress())
		if url := s.liveURL(); url != "" {
			log.Info("live page", "url", url)
		}
		sv.ready(s.statusLine())
		g.Go(func() error { sv.keepStatus(ctx, s.statusLine); return nil })
		sv.guard(ctx, s.agent.Stuck)
		return nil
	})
	g.Go(func() error {
		select {
		case <-ctx.Done():
			return nil
		case <-s.agent.Ready(): // a signal that comes earlier waits
		}
		for {
			select {
			case <-ctx.Done():
				return nil
			case <-e.reload:
				sv.reloading()
				err := s.reload(path)
				sv.ready(s.statusLine())
				switch {
				case err == nil:
					log.Info("configuration reloaded")
				case errors.Is(err, collector.ErrHalfReloaded):
					return err // the kernel forwards on, and the next agent begins with the new one
				case errors.Is(err, errReopen):
					log.Error("configuration reloaded, but an exporter goes on with its old file", "error", err)
				default:
					log.Error("configuration refused; the old one goes on", "error", err)
				}
			}
		}
	})
	return g.Wait()
}
