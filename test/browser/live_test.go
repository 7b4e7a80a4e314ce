package browser

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

const port = 5000

var addr = netip.MustParseAddr

// Scripts that say what the page shows.
const (
	fanText  = `document.querySelector('#fan').textContent`
	title    = `document.querySelector('#group-title').textContent`
	selected = `document.querySelector('#groups [aria-selected=true] .name')?.textContent`
	focused  = `document.activeElement.id`
)

// changes counts the entries of the timeline that match.
func changes(pattern string) string {
	return `[...document.querySelectorAll('#changes li')].filter(e => ` + pattern + `.test(e.textContent)).length`
}

func listen(t *testing.T, h *lab.Host, group string) *lab.Receiver {
	t.Helper()
	r, err := h.Listen(lab.ListenConfig{Group: addr(group), Port: port})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func stream(t *testing.T, h *lab.Host, group string, rate float64) {
	t.Helper()
	if _, err := h.Stream(lab.SendConfig{Group: addr(group), Port: port, Rate: rate, Size: 1316}); err != nil {
		t.Fatal(err)
	}
}

// studio is
//
//	camera ─┐          ┌─ wall    239.1.1.1, ff15::1:1
//	        ├─ switch ─┼─ mixer   239.1.1.1, 239.1.1.2
//	        │          └─ late    joins in the middle
//
// with 200 packets a second to 239.1.1.1, and as many to 238.0.0.1, which is not
// allowed.
func studio(t *testing.T, extra ...string) (n *lab.Net, page string) {
	t.Helper()
	n = labtest.New(t, labtest.Hosts("camera", "wall", "mixer", "late")...)
	page = startAgent(t, n, extra...).page
	listen(t, n.Host("wall"), "239.1.1.1")
	listen(t, n.Host("wall"), "ff15::1:1")
	listen(t, n.Host("mixer"), "239.1.1.1")
	listen(t, n.Host("mixer"), "239.1.1.2")
	stream(t, n.Host("camera"), "239.1.1.1", 200)
	stream(t, n.Host("camera"), "238.0.0.1", 200)
	return n, page
}

func TestLivePage(t *testing.T) {
	n, at := studio(t, "redact: {profile: reveal}")
	c := Start(t)
	p := c.Open(at, 1440, 900)
	p.Wait(title + ` === '239.1.1.1'`) // the busiest
	camera := n.Host("camera").Addr4.String()
	for _, who := range []string{camera, "p-wall", "p-mixer", "×2"} {
		p.Wait(fanText + `.includes('` + who + `')`)
	}

	t.Run("rates", func(t *testing.T) {
		rate := `parseFloat(document.querySelector('#group-rates dd').textContent.replace(',', ''))`
		p.Wait(rate + ` > 150 && ` + rate + ` < 250`)
		p.Wait(`[...document.querySelectorAll('#subscribers tbody tr')].every(r => parseFloat(r.cells[4].textContent) > 100)`)
		p.Wait(`document.querySelectorAll('#totals dd')[0].textContent >= 3`)
	})
	t.Run("losses", func(t *testing.T) {
		p.Wait(`document.querySelector('#losses').textContent.includes('not_allowed')`)
		p.Wait(`document.querySelector('#losses').textContent.includes("outside of the domain's allow list")`)
		p.Wait(`parseFloat(document.querySelector('#losses .bad').textContent) > 100`)
	})
	t.Run("a join shows within a second", func(t *testing.T) {
		var slowest time.Duration
		for i := range 5 {
			began := time.Now()
			r := listen(t, n.Host("late"), "239.1.1.1")
			p.Wait(fanText + `.includes('p-late')`)
			slowest = max(slowest, time.Since(began))
			p.Wait(changes(`/joined239\.1\.1\.1.*p-late/`) + ` === ` + strconv.Itoa(i+1))
			if err := r.Close(); err != nil {
				t.Fatal(err)
			}
			p.Wait(`!` + fanText + `.includes('p-late')`)
			p.Wait(changes(`/left239\.1\.1\.1.*p-late/`) + ` === ` + strconv.Itoa(i+1))
		}
		t.Logf("the slowest of 5 joins showed after %v", slowest)
		if slowest > time.Second {
			t.Errorf("a join showed after %v, more than a second", slowest)
		}
	})
	t.Run("keys", func(t *testing.T) { checkKeys(t, p) })
	t.Run("links", func(t *testing.T) {
		other := c.Open(at+"#group=ff15%3A%3A1%3A1&domain=studio", 1440, 900)
		other.Wait(title + ` === 'ff15::1:1' && ` + fanText + `.includes('no packets yet')`)
		checkQuiet(t, other, at)
	})
	t.Run("motion", func(t *testing.T) {
		p.Prefer("prefers-reduced-motion", "reduce")
		p.Wait(`document.querySelector('#fan svg')`)
		if got := p.Text(`(() => { const g = document.createElementNS('http://www.w3.org/2000/svg', 'g'); g.setAttribute('class', 'new'); ` +
			`document.querySelector('#fan svg').append(g); const name = getComputedStyle(g).animationName; g.remove(); return name })()`); got != "none" {
			t.Errorf("reduced motion: animation %s", got)
		}
	})
	checkQuiet(t, p, at)
}

// checkKeys does everything without a mouse.
func checkKeys(t *testing.T, p *Page) {
	want := func(what, script, value string) {
		t.Helper()
		p.Wait(script + ` === '` + value + `'`)
	}
	p.Press("/")
	want("search", focused, "search")
	p.Type("239.1 studio")
	p.Wait(`document.querySelectorAll('#groups [role=option]').length === 2`)
	p.Press("Enter")
	want("list", focused, "groups")
	want("first", selected, "239.1.1.1")
	p.Press("ArrowDown")
	want("second", selected, "239.1.1.2")
	want("shown", title, "239.1.1.2")
	p.Wait(`location.hash.includes('239.1.1.2')`)
	p.Wait(`document.getElementById(document.querySelector('#groups').getAttribute('aria-activedescendant')).ariaSelected === 'true'`)
	p.Press("Enter")
	want("details", focused, "group-title")
	p.Press("Escape")
	want("back", focused, "groups")
	p.Press("/")
	p.Press("Escape")
	p.Wait(`document.querySelector('#search').value === '' && document.querySelectorAll('#groups [role=option]').length > 2`)
	p.Press("Home")
	p.Press("End")
	p.Wait(selected + `.startsWith('ff')`)
	p.Press("/")
	p.Type("nothing like it")
	p.Wait(`document.querySelector('.groups').textContent.includes('No group fits')`)
	p.Press("Escape")
	// Tab goes from the search through sort, list and details to the timeline.
	p.Press("/")
	var order []string
	for range 12 {
		p.Press("Tab")
		order = append(order, p.Text(focused))
	}
	if got := strings.Join(order, " "); !strings.HasPrefix(got, "sort groups subscribers") || !strings.Contains(got, "only-group") {
		t.Errorf("Tab goes to %s", got)
	}
}

// checkQuiet fails if the page complained, or asked anybody but its own server.
func checkQuiet(t *testing.T, p *Page, at string) {
	t.Helper()
	for _, what := range p.Problems() {
		t.Errorf("the page complains: %s", what)
	}
	own, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	asked := p.Requests()
	for _, one := range asked {
		u, err := url.Parse(one)
		if err != nil || u.Host != own.Host {
			t.Errorf("the page asks %s", one)
		}
	}
	if len(asked) < 10 {
		t.Errorf("only %d requests were seen: this test is blind", len(asked))
	}
}

// TestLivePageHides: with the default policy no host's address is on the page,
// nor in what it is made of.
func TestLivePageHides(t *testing.T) {
	n, at := studio(t)
	p := Start(t).Open(at, 1440, 900)
	p.Wait(title + ` === '239.1.1.1' && ` + fanText + `.includes('p-wall')`)
	p.Wait(`document.querySelector('#subscribers tbody td:nth-child(2)').textContent.startsWith('host_')`)
	all := p.Text(`document.documentElement.outerHTML`)
	for _, host := range []string{"camera", "wall", "mixer"} {
		if a := n.Host(host).Addr4.String(); strings.Contains(all, a) {
			t.Errorf("the page shows the address of %s", host)
		}
	}
	if !strings.Contains(all, "source_") || !strings.Contains(all, "host_") {
		t.Error("the page shows no pseudonyms")
	}
}

// TestLivePageSeesTheAgentComeBack: the page says so when it is alone, and goes
// on with the next agent.
func TestLivePageSeesTheAgentComeBack(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("camera", "wall")...)
	a := startAgent(t, n)
	listen(t, n.Host("wall"), "239.1.1.1")
	p := Start(t).Open(a.page, 1000, 700)
	connection := `document.querySelector('#connection').textContent`
	p.Wait(connection + ` === 'live' && ` + fanText + `.includes('p-wall')`)
	a.stop()
	p.Wait(connection + `.startsWith('connection lost')`)
	at, err := url.Parse(a.page)
	if err != nil {
		t.Fatal(err)
	}
	startAgentAt(t, n, at.Host)
	p.Wait(connection + ` === 'live' && ` + fanText + `.includes('p-wall')`)
	stream(t, n.Host("camera"), "239.1.1.1", 100)
	p.Wait(fanText + `.includes('/s')`)
}
