package observe

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"time"
)

// hostTables are what the host itself has joined, bridges and routes.
type hostTables struct {
	memberships []membership
	bridges     []bridgeEntry
	routes      []route
}

// readHost reads the host's tables again and again.
func (o *Observer) readHost(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
		if err := o.LookAtHost(); err != nil {
			o.countFailure("read", "", err)
		}
		timer.Reset(hostInterval)
	}
}

// LookAtHost reads the host's tables now. What can't be read is empty.
func (o *Observer) LookAtHost() error {
	var t hostTables
	err := o.deps.Do(func() error {
		var errs [3]error
		t.memberships, errs[0] = readMemberships()
		t.bridges, errs[1] = readBridges()
		t.routes, errs[2] = readRoutes()
		return errors.Join(errs[:]...)
	})
	o.mu.Lock()
	defer o.mu.Unlock()
	o.host = t
	return err
}

// readMemberships reads the files of the thread's namespace. IPv6 may be off.
func readMemberships() ([]membership, error) {
	var errs []error
	read := func(name string) []byte {
		b, err := os.ReadFile("/proc/thread-self/net/" + name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			errs = append(errs, fmt.Errorf("read memberships: %w", err))
		}
		return b
	}
	note := func(err error) {
		if err != nil {
			errs = append(errs, fmt.Errorf("read memberships: %w", err))
		}
	}
	all, err := parseIGMP(read("igmp"))
	note(err)
	six, err := parseIGMP6(read("igmp6"))
	note(err)
	all = append(all, six...)
	for name, parse := range map[string]func(string) (netip.Addr, error){"mcfilter": parseHex4, "mcfilter6": parseAddr6} {
		filters, err := parseFilter(read(name), parse)
		note(err)
		addFilters(all, filters)
	}
	return all, errors.Join(errs...)
}
