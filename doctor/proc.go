package doctor

import (
	"bufio"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// threadProc is the calling thread's view, for the thread may be in another
// network namespace than the process.
const threadProc = "/proc/thread-self"

// readNet parses a file of the thread's /proc/net.
func readNet[T any](name string, parse func(io.Reader) (T, error)) (v T, err error) {
	f, err := os.Open(filepath.Join(threadProc, "net", name))
	if err != nil {
		return v, err
	}
	defer f.Close()
	if v, err = parse(f); err != nil {
		return v, fmt.Errorf("read /proc/net/%s: %w", name, err)
	}
	return v, nil
}

// eachLine calls visit with the words of each line but the first skip.
func eachLine(r io.Reader, skip int, visit func(line string, words []string) error) error {
	lines := bufio.NewScanner(r)
	for n := 0; lines.Scan(); n++ {
		if n < skip {
			continue
		}
		if err := visit(lines.Text(), strings.Fields(lines.Text())); err != nil {
			return fmt.Errorf("line %d: %w", n+1, err)
		}
	}
	return lines.Err()
}

func tooShort(words []string) error { return fmt.Errorf("%d words are too few", len(words)) }

// parseIGMP reads /proc/net/igmp: an interface, then its groups on lines that
// begin with a tab. A group is in the byte order of the machine.
func parseIGMP(r io.Reader) (list []Membership, err error) {
	var at Membership
	err = eachLine(r, 1, func(line string, words []string) error {
		if !strings.HasPrefix(line, "\t") {
			if len(words) < 2 {
				return tooShort(words)
			}
			at = Membership{}
			if at.Index, err = strconv.Atoi(words[0]); err != nil {
				return err
			}
			_, err := fmt.Sscanf(words[len(words)-1], "V%d", &at.Version)
			return err
		}
		if len(words) < 2 {
			return tooShort(words)
		}
		raw, err := strconv.ParseUint(words[0], 16, 32)
		if err != nil {
			return err
		}
		at.Group = netip.AddrFrom4([4]byte(binary.NativeEndian.AppendUint32(nil, uint32(raw))))
		if at.Users, err = strconv.Atoi(words[1]); err != nil {
			return err
		}
		list = append(list, at)
		return nil
	})
	return list, err
}

// parseIGMP6 reads /proc/net/igmp6: index, name, group, users, flags, timer.
func parseIGMP6(r io.Reader) (list []Membership, err error) {
	err = eachLine(r, 0, func(_ string, words []string) (err error) {
		if len(words) < 4 {
			return tooShort(words)
		}
		var m Membership
		if m.Index, err = strconv.Atoi(words[0]); err != nil {
			return err
		}
		if m.Group, err = hexAddr(words[2]); err != nil {
			return err
		}
		if m.Users, err = strconv.Atoi(words[3]); err != nil {
			return err
		}
		list = append(list, m)
		return nil
	})
	return list, err
}

// parseFilters reads /proc/net/mcfilter and mcfilter6: index, cut name, group,
// source, sockets that include it, sockets that exclude it.
func parseFilters(r io.Reader) (list []SourceFilter, err error) {
	err = eachLine(r, 1, func(_ string, words []string) (err error) {
		if len(words) < 6 {
			return tooShort(words)
		}
		var f SourceFilter
		if f.Index, err = strconv.Atoi(words[0]); err != nil {
			return err
		}
		if f.Group, err = hexAddr(strings.TrimPrefix(words[2], "0x")); err != nil {
			return err
		}
		if f.Source, err = hexAddr(strings.TrimPrefix(words[3], "0x")); err != nil {
			return err
		}
		if f.Includes, err = strconv.Atoi(words[4]); err != nil {
			return err
		}
		if f.Exclude, err = strconv.Atoi(words[5]); err != nil {
			return err
		}
		list = append(list, f)
		return nil
	})
	return list, err
}

// hexAddr reads 8 or 32 digits, the most significant first.
func hexAddr(text string) (netip.Addr, error) {
	b, err := hex.DecodeString(text)
	if err != nil {
		return netip.Addr{}, err
	}
	a, ok := netip.AddrFromSlice(b)
	if !ok {
		return a, fmt.Errorf("%d digits are no address", len(text))
	}
	return a, nil
}

// parseDeviceGroups reads /proc/net/dev_mcast: index, name, users, global users,
// address.
func parseDeviceGroups(r io.Reader) (list []DeviceGroup, err error) {
	err = eachLine(r, 0, func(_ string, words []string) (err error) {
		if len(words) < 5 {
			return tooShort(words)
		}
		var d DeviceGroup
		if d.Index, err = strconv.Atoi(words[0]); err != nil {
			return err
		}
		b, err := hex.DecodeString(words[4])
		if err != nil {
			return err
		}
		if len(b) != len(d.MAC) {
			return nil // no Ethernet
		}
		d.MAC = [6]byte(b)
		list = append(list, d)
		return nil
	})
	return list, err
}

// parseCounterPairs reads /proc/net/snmp and netstat: a line of names, then a
// line of numbers, both after the same prefix.
func parseCounterPairs(r io.Reader) (map[string]uint64, error) {
	counters := map[string]uint64{}
	var names []string
	err := eachLine(r, 0, func(_ string, words []string) error {
		if names == nil {
			names = words
			return nil
		}
		values := words
		defer func() { names = nil }()
		if len(values) != len(names) || len(names) == 0 || values[0] != names[0] {
			return fmt.Errorf("%d numbers for %d names", len(values), len(names))
		}
		prefix := strings.TrimSuffix(names[0], ":") + "."
		for i := 1; i < len(names); i++ {
			if n, err := strconv.ParseUint(values[i], 10, 64); err == nil { // Tcp.MaxConn is -1
				counters[prefix+names[i]] = n
			}
		}
		return nil
	})
	return counters, err
}

// parseCounterLines reads /proc/net/snmp6: a name and a number on each line.
func parseCounterLines(r io.Reader) (map[string]uint64, error) {
	counters := map[string]uint64{}
	err := eachLine(r, 0, func(_ string, words []string) error {
		if len(words) != 2 {
			return tooShort(words)
		}
		n, err := strconv.ParseUint(words[1], 10, 64)
		if err != nil {
			return err
		}
		counters[words[0]] = n
		return nil
	})
	return counters, err
}

// readNames reads one of /proc/net's lists of names; none if there is no such
// file.
func readNames(name string) ([]string, error) {
	b, err := os.ReadFile(filepath.Join(threadProc, "net", name))
	if os.IsNotExist(err) {
		return nil, nil
	}
	return strings.Fields(string(b)), err
}
