package dashboards

import (
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

var pictures = flag.String("pictures", "", "`directory` to put the pictures of the dashboards into")

// Grafana's grid in pixels, as in picture.html.
const (
	pictureWidth  = gridWidth*58 + 8
	pictureHeader = 40
	pictureLine   = 34
)

// maxPicture keeps the repository small.
const maxPicture = 200 << 10

// shot is what picture.html draws.
type shot struct {
	Title  string      `json:"title"`
	From   int64       `json:"from"` // milliseconds
	To     int64       `json:"to"`
	Step   int64       `json:"step"`
	Marks  []shotMark  `json:"marks"`
	Rows   []shotRow   `json:"rows"`
	Panels []shotPanel `json:"panels"`
}

type shotMark struct {
	Name  string  `json:"name"`
	Color string  `json:"color"`
	Times []int64 `json:"times"`
}

type shotRow struct {
	Title string `json:"title"`
	Y     uint32 `json:"y"`
}

type shotPanel struct {
	Kind  string  `json:"kind"`
	Title string  `json:"title"`
	Unit  string  `json:"unit"`
	X     uint32  `json:"x"`
	Y     uint32  `json:"y"`
	W     uint32  `json:"w"`
	H     uint32  `json:"h"`
	Bad   float64 `json:"bad"`
	Most  float64 `json:"most"`

	Series []shotSeries `json:"series"`

	Columns []string `json:"columns"` // of a table: labels first, then values
	Labels  int      `json:"labels"`
	Table   [][]any  `json:"rows"`
}

type shotSeries struct {
	Name   string       `json:"name"`
	Points [][2]float64 `json:"points"` // milliseconds, value
}

var kindNames = [...]string{graph: "graph", stat: "stat", table: "table", bars: "bars"}

// takePictures draws each dashboard with what its queries answer.
func takePictures(t *testing.T, m *monitoring) {
	t.Helper()
	chromium := tool(t, "chromium", "chromium")
	page, err := os.ReadFile("testdata/picture.html")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	to := time.Now()
	for _, b := range boards() {
		raw, err := json.Marshal(m.shoot(b, to))
		if err != nil {
			t.Fatal(err)
		}
		html := writeFile(t, filepath.Join(dir, b.uid+".html"), "%s", strings.Replace(string(page), "BOARD", string(raw), 1))
		path := filepath.Join(dir, b.uid+".png")
		if *pictures != "" {
			path = filepath.Join(*pictures, b.uid+".png")
		}
		cmd := exec.CommandContext(t.Context(), chromium, "--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars",
			"--allow-file-access-from-files", "--user-data-dir="+filepath.Join(dir, "profile"),
			fmt.Sprintf("--window-size=%d,%d", pictureWidth, pictureHeader+pictureLine*b.height()), "--screenshot="+path, "file://"+html)
		cmd.Env = append(os.Environ(), "TZ=UTC")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("chromium: %v\n%s", err, out)
		}
		checkPicture(t, path)
	}
}

// height is in units of the grid.
func (b board) height() (lines uint32) {
	for _, r := range b.rows {
		lines += 1 + r.height
	}
	return lines
}

// checkPicture: there is something on it. It is written anew with a palette, and
// then is not too large.
func checkPicture(t *testing.T, path string) {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	img, err := png.Decode(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	small, colors := paletted(img)
	if colors < 100 {
		t.Errorf("%s has %d colours: nothing was drawn", path, colors)
	}
	var out bytes.Buffer
	encoder := png.Encoder{CompressionLevel: png.BestCompression}
	if err := encoder.Encode(&out, small); err != nil {
		t.Fatal(err)
	}
	if out.Len() > maxPicture {
		t.Errorf("%s has %d bytes, more than %d", path, out.Len(), maxPicture)
	}
	if err := os.WriteFile(path, out.Bytes(), 0o644); err != nil {
		t.Fatal(err)
	}
}

// paletted draws the picture in its most frequent colours, and counts all.
func paletted(img image.Image) (*image.Paletted, int) {
	count := map[color.RGBA]int{}
	bounds := img.Bounds()
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(img.At(x, y)).(color.RGBA) }
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			count[at(x, y)]++
		}
	}
	often := slices.SortedFunc(maps.Keys(count), func(a, b color.RGBA) int { return count[b] - count[a] })
	var palette color.Palette
	for _, c := range often[:min(len(often), 256)] {
		palette = append(palette, c)
	}
	index := map[color.RGBA]uint8{}
	for c := range count {
		index[c] = uint8(palette.Index(c))
	}
	small := image.NewPaletted(bounds, palette)
	for y := bounds.Min.Y; y < bounds.Max.Y; y++ {
		for x := bounds.Min.X; x < bounds.Max.X; x++ {
			small.SetColorIndex(x, y, index[at(x, y)])
		}
	}
	return small, len(count)
}

// shoot asks every query of the dashboard.
func (m *monitoring) shoot(b board, to time.Time) shot {
	m.t.Helper()
	s := shot{Title: b.title, From: m.began.UnixMilli(), To: to.UnixMilli(), Step: labScrape.Milliseconds()}
	for _, a := range b.annotations() {
		s.Marks = append(s.Marks, shotMark{a.name, a.color, moments(m.span(chosen(m.t, m, a.expr), to))})
	}
	y := uint32(0)
	for _, r := range b.rows {
		s.Rows = append(s.Rows, shotRow{r.title, y})
		y++
		x := uint32(0)
		for _, p := range r.panels {
			drawn := shotPanel{
				Kind: kindNames[p.kind], Title: p.title, Unit: p.unit, X: x, Y: y, W: p.width, H: r.height, Bad: p.bad, Most: p.most,
			}
			if p.kind == table {
				m.fillTable(&drawn, p)
			} else {
				m.fillSeries(&drawn, p, to)
			}
			s.Panels = append(s.Panels, drawn)
			x += p.width
		}
		y += r.height
	}
	return s
}

func (m *monitoring) fillSeries(drawn *shotPanel, p panel, to time.Time) {
	drawn.Series = []shotSeries{}
	for _, q := range p.queries {
		for _, line := range m.span(chosen(m.t, m, q.promQL()), to) {
			s := shotSeries{Name: legend(q.legend, line.Metric), Points: [][2]float64{}}
			for _, v := range line.Values {
				if n, ok := number(v); ok {
					s.Points = append(s.Points, [2]float64{1000 * v[0].(float64), n})
				}
			}
			if len(s.Points) > 0 {
				drawn.Series = append(drawn.Series, s)
			}
		}
	}
}

// fillTable has a row for each set of labels, and a column for each query.
func (m *monitoring) fillTable(drawn *shotPanel, p panel) {
	names := map[string]bool{}
	cells := map[string][]any{}
	labels := map[string]map[string]string{}
	for i, q := range p.queries {
		for _, line := range m.now(chosen(m.t, m, q.promQL())) {
			key := fmt.Sprint(line.Metric)
			if labels[key] == nil {
				labels[key] = line.Metric
				cells[key] = make([]any, len(p.queries))
			}
			for name := range line.Metric {
				names[name] = true
			}
			if n, ok := number(line.Value); ok {
				cells[key][i] = n
			}
		}
	}
	drawn.Columns = slices.Sorted(maps.Keys(names))
	drawn.Labels = len(drawn.Columns)
	for _, key := range slices.Sorted(maps.Keys(labels)) {
		var row []any
		for _, name := range drawn.Columns {
			row = append(row, labels[key][name])
		}
		drawn.Table = append(drawn.Table, append(row, cells[key]...))
	}
	for _, q := range p.queries {
		drawn.Columns = append(drawn.Columns, q.legend)
	}
}

// moments are when the annotation begins to have a value.
func moments(all []series) (times []int64) {
	for _, s := range all {
		last := 0.0
		for _, v := range s.Values {
			at := v[0].(float64)
			if at-last > 2*labScrape.Seconds() {
				times = append(times, int64(1000*at))
			}
			last = at
		}
	}
	slices.Sort(times)
	return slices.Compact(times)
}

func number(v [2]any) (float64, bool) {
	text, _ := v[1].(string)
	n, err := strconv.ParseFloat(text, 64)
	return n, err == nil && !math.IsNaN(n) && !math.IsInf(n, 0)
}

var placeholder = regexp.MustCompile(`\{\{(\w+)\}\}`)

func legend(format string, labels map[string]string) string {
	return placeholder.ReplaceAllStringFunc(format, func(m string) string { return labels[m[2:len(m)-2]] })
}
