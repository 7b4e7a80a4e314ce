package redact

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"
)

// Origin says where records come from.
type Origin struct {
	// Node is the host's own name. It is the operator's to know, so profiles
	// keep it.
	Node string
	// BootID identifies the boot, within which kernel rings count.
	BootID string
	// Instance must change when a ring's numbering starts again within one
	// boot, because event ids come from BootID, Instance, ring and number. It
	// may be empty while numbering survives restarts.
	Instance string
}

// LocalOrigin returns this host's name and boot id.
func LocalOrigin() (Origin, error) {
	node, err := os.Hostname()
	if err != nil {
		return Origin{}, fmt.Errorf("host name: %w", err)
	}
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return Origin{}, fmt.Errorf("boot id: %w", err)
	}
	return Origin{Node: node, BootID: strings.TrimSpace(string(boot))}, nil
}

// origin is what all records of a policy share.
type origin struct {
	node, bootID string
	idPrefix     string // of event ids
	json         []byte // the opening of each JSON object
}

func newOrigin(o Origin, e *engine) (*origin, error) {
	if o.BootID == "" {
		return nil, errors.New("origin: boot id is missing: event ids would not be unique")
	}
	sum := sha256.Sum256([]byte(o.BootID + "\x00" + o.Instance))
	shared := &origin{idPrefix: hex.EncodeToString(sum[:8]) + "-"}
	always := e.match(netip.Addr{}, "")
	shared.node, _ = e.treatment(0, fieldNode, always).name(o.Node)
	shared.bootID, _ = e.treatment(0, fieldBootID, always).name(o.BootID)
	shared.json = shared.appendJSON(nil)
	return shared, nil
}
