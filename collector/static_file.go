package collector

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/fanlight-io/fanlight/bpf"
)

// DefaultState is the directory where orders are kept by default.
const DefaultState = "/var/lib/fanlight"

// ErrNotKept: a static group can't be written to disk, or what is there can't be
// read. What was asked for is not in force.
var ErrNotKept = errors.New("static groups can't be kept")

// staticFile keeps the orders of requests, so that they outlive the agent and
// the machine. One file is written as a whole and renamed: it holds the old
// orders or the new ones, never a part.
type staticFile struct {
	dir string // "" keeps nothing
	// broken is why the file must not be written: what is in it is not in
	// memory and would be lost.
	broken error
}

const (
	staticName    = "static.json"
	staticVersion = 1
	maxStaticFile = 64 << 20
)

// savedStatics is the file.
type savedStatics struct {
	Version int           `json:"version"`
	Static  []savedStatic `json:"static"`
}

type savedStatic struct {
	Domain    string     `json:"domain"`
	VLAN      string     `json:"vlan,omitempty"`
	Group     netip.Addr `json:"group"`
	Interface string     `json:"interface,omitempty"`
	Source    netip.Addr `json:"source,omitzero"`
}

func newStaticFile(dir string) *staticFile {
	switch dir {
	case "":
		return &staticFile{dir: DefaultState}
	case "none":
		return &staticFile{broken: fmt.Errorf("%w: 'state' is none in the configuration; name a directory there", ErrNotKept)}
	}
	return &staticFile{dir: dir}
}

func (f *staticFile) path() string { return filepath.Join(f.dir, staticName) }

// load returns what an earlier agent kept; no file is no error. After another
// error nothing is kept until a new agent can read the file.
func (f *staticFile) load() ([]Static, error) {
	if f.dir == "" {
		return nil, nil
	}
	list, err := f.read()
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		f.broken = fmt.Errorf("%w: %s: %w; mend or remove the file, and start the agent again", ErrNotKept, f.path(), err)
		return nil, f.broken
	}
	return list, nil
}

func (f *staticFile) read() ([]Static, error) {
	info, err := os.Stat(f.path())
	if err != nil {
		return nil, err
	}
	if info.Size() > maxStaticFile {
		return nil, fmt.Errorf("has more than %d bytes", maxStaticFile)
	}
	raw, err := os.ReadFile(f.path())
	if err != nil {
		return nil, err
	}
	return parseStatics(raw)
}

// parseStatics reads the content of the file. Its errors show no address.
func parseStatics(raw []byte) ([]Static, error) {
	var saved savedStatics
	if err := json.Unmarshal(raw, &saved); err != nil {
		return nil, errors.New("is no valid JSON of static groups")
	}
	if saved.Version != staticVersion {
		return nil, fmt.Errorf("has version %d, and this agent knows %d", saved.Version, staticVersion)
	}
	var list []Static
	for i, s := range saved.Static {
		vlan, err := bpf.ParseVLAN(s.VLAN)
		order := Static{s.Domain, vlan, s.Group, s.Interface, s.Source}
		if err = errors.Join(err, order.validate()); err != nil {
			return nil, fmt.Errorf("entry %d: %w", i, err)
		}
		list = append(list, order)
	}
	return list, nil
}

func formatStatics(list []Static) ([]byte, error) {
	saved := savedStatics{staticVersion, []savedStatic{}}
	for _, s := range list {
		saved.Static = append(saved.Static, savedStatic{s.Domain, s.VLAN.String(), s.Group, s.Interface, s.Source})
	}
	raw, err := json.MarshalIndent(saved, "", " ")
	return append(raw, '\n'), err
}

// save writes the orders and returns when they are on disk.
func (f *staticFile) save(list []Static) error {
	if f.broken != nil {
		return f.broken
	}
	raw, err := formatStatics(list)
	if err == nil {
		err = os.MkdirAll(f.dir, 0o700)
	}
	if err == nil {
		err = replaceFile(f.path(), raw)
	}
	if err != nil {
		return fmt.Errorf("%w: %w", ErrNotKept, err)
	}
	return nil
}

// replaceFile makes the file hold raw, for good.
func replaceFile(path string, raw []byte) (err error) {
	fresh := path + ".new"
	f, err := os.OpenFile(fresh, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(raw)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, os.Remove(fresh))
	}
	if err := os.Rename(fresh, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

func syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
