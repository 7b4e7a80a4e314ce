// Package bytesize reads and writes sizes of files and messages in
// configurations.
package bytesize

import (
	"fmt"
	"strconv"
	"strings"
)

// Size is a number of bytes, written as 64MiB, 100MB or 4096.
type Size int64

var byteUnits = []struct {
	name  string
	bytes int64
}{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"TiB", 1 << 40},
	{"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"TB", 1e12}, {"B", 1}, {"", 1},
}

// UnmarshalText reads a number with or without a unit.
func (b *Size) UnmarshalText(text []byte) error {
	for _, unit := range byteUnits {
		digits, ok := strings.CutSuffix(string(text), unit.name)
		if !ok {
			continue
		}
		n, err := strconv.ParseInt(strings.TrimSpace(digits), 10, 64)
		if err != nil || n < 0 || n > (1<<62)/unit.bytes {
			break
		}
		*b = Size(n * unit.bytes)
		return nil
	}
	return fmt.Errorf("size %q: want a number with B, kB, MB, GB, TB, KiB, MiB, GiB or TiB behind it, as in 64MiB", text)
}

// String returns the size with the largest unit that divides it.
func (b Size) String() string {
	for _, unit := range []int{3, 2, 1, 0} {
		if u := byteUnits[unit]; b != 0 && int64(b)%u.bytes == 0 {
			return strconv.FormatInt(int64(b)/u.bytes, 10) + u.name
		}
	}
	return strconv.FormatInt(int64(b), 10)
}
