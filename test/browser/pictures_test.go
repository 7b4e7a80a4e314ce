package browser

import (
	"bytes"
	"flag"
	"image"
	"image/color"
	"image/png"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

var pictures = flag.Bool("pictures", false, "take a minute, and rewrite the pictures in docs/pictures")

const maxPicture = 200 << 10 // bytes

// TestPictures takes the pictures of the documentation: a studio with two
// cameras, a loss that lasts, and members that come and go.
func TestPictures(t *testing.T) {
	length, dir := 3*time.Second, t.TempDir()
	if *pictures {
		length, dir = 70*time.Second, "../../docs/pictures"
	}
	hosts := []lab.HostConfig{{Name: "camera-1"}, {Name: "camera-2"}}
	for _, name := range []string{"wall-1", "wall-2", "wall-3", "mixer", "replay", "archive", "truck"} {
		hosts = append(hosts, lab.HostConfig{Name: name, IGMPVersion: 3})
	}
	hosts[7].IGMPVersion = 2
	n := labtest.New(t, hosts...)
	at := startAgent(t, n, "redact: {profile: reveal}").page
	for _, name := range []string{"wall-1", "wall-2", "wall-3", "mixer", "replay", "archive"} {
		listen(t, n.Host(name), "239.10.1.1")
	}
	for _, name := range []string{"wall-1", "mixer", "replay"} {
		listen(t, n.Host(name), "239.10.1.2")
	}
	listen(t, n.Host("mixer"), "239.10.9.1")
	listen(t, n.Host("wall-2"), "ff15::10:1")
	stream(t, n.Host("camera-1"), "239.10.1.1", 900)
	stream(t, n.Host("camera-2"), "239.10.1.1", 300)
	stream(t, n.Host("camera-2"), "239.10.1.2", 600)
	stream(t, n.Host("camera-1"), "ff15::10:1", 150)
	stream(t, n.Host("camera-2"), "238.1.1.1", 25)

	p := Start(t).Open(at, 1440, 860)
	p.Wait(title + ` === '239.10.1.1' && ` + fanText + `.includes('p-archive')`)
	for began := time.Now(); time.Since(began) < length; {
		r := listen(t, n.Host("truck"), "239.10.1.1")
		p.Wait(fanText + `.includes('p-truck')`)
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		p.Wait(`!` + fanText + `.includes('p-truck')`)
		time.Sleep(length / 7) // so that the timeline has something to tell apart
	}
	listen(t, n.Host("truck"), "239.10.1.1")
	p.Wait(fanText + `.includes('p-truck')`)
	p.Wait(`!document.querySelector('#subscribers').textContent.includes('–')`) // its rate is known
	for _, scheme := range []string{"light", "dark"} {
		p.Prefer("prefers-color-scheme", scheme)
		seen := p.Text(`document.querySelector('#subscribers').textContent`)
		p.Wait(`document.querySelector('#subscribers').textContent !== ` + strconv.Quote(seen)) // drawn anew
		savePicture(t, filepath.Join(dir, "live-"+scheme+".png"), p.Screenshot())
	}
}

// withPalette keeps the 256 commonest colours that differ; the shades between
// letters and ground that are rarer become the nearest of them.
func withPalette(img image.Image) *image.Paletted {
	uses := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	b := img.Bounds()
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			uses[at(x, y)]++
		}
	}
	common := slices.SortedFunc(maps.Keys(uses), func(a, b color.RGBA) int { return uses[b] - uses[a] })
	var p color.Palette
	for _, c := range common {
		if len(p) < 256 && (len(p) == 0 || distance(c, p.Convert(c).(color.RGBA)) > 100) {
			p = append(p, c)
		}
	}
	out := image.NewPaletted(b, p)
	nearest := map[color.RGBA]uint8{}
	for y := b.Min.Y; y < b.Max.Y; y++ {
		for x := b.Min.X; x < b.Max.X; x++ {
			c := at(x, y)
			i, known := nearest[c]
			if !known {
				i = uint8(p.Index(c))
				nearest[c] = i
			}
			out.SetColorIndex(x, y, i)
		}
	}
	return out
}

// distance is the square of how far two colours are apart.
func distance(a, b color.RGBA) int {
	square := func(x, y uint8) int { return (int(x) - int(y)) * (int(x) - int(y)) }
	return square(a.R, b.R) + square(a.G, b.G) + square(a.B, b.B)
}

// savePicture packs a picture as well as PNG can.
func savePicture(t *testing.T, path string, raw []byte) {
	t.Helper()
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	var packed bytes.Buffer
	if err := (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&packed, withPalette(img)); err != nil {
		t.Fatal(err)
	}
	if packed.Len() > maxPicture {
		t.Errorf("%s has %d bytes, more than %d", filepath.Base(path), packed.Len(), maxPicture)
	}
	if err := os.WriteFile(path, packed.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}
