package bytesize

import "testing"

func TestSize(t *testing.T) {
	tests := []struct {
		text string
		want Size
	}{
		{"0", 0}, {"4096", 4096}, {"1B", 1}, {"10kB", 10000}, {"64MiB", 64 << 20}, {"2 GiB", 2 << 30}, {"1TB", 1e12},
		{"-1", -1}, {"1.5MB", -1}, {"", -1}, {"MB", -1}, {"1mb", -1}, {"9999999TiB", -1},
	}
	for _, tt := range tests {
		got := Size(-1)
		if err := got.UnmarshalText([]byte(tt.text)); (err != nil) != (tt.want < 0) || err == nil && got != tt.want {
			t.Errorf("%q: want %d, got %d, %v", tt.text, tt.want, got, err)
		}
	}
	for size, want := range map[Size]string{0: "0", 1: "1", 4096: "4KiB", 64 << 20: "64MiB", 1 << 41: "2TiB"} {
		if got := size.String(); got != want {
			t.Errorf("%d: want %s, got %s", size, want, got)
		}
	}
}
