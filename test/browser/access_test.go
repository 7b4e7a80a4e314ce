package browser

import (
	"slices"
	"testing"
)

// findLowContrasts returns the texts whose contrast to what is behind them is
// below WCAG 2's level AA: 4.5, or 3 for large ones (1.4.3).
const findLowContrasts = `(() => {
  const channel = v => (v /= 255) <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
  const light = ([r, g, b]) => 0.2126 * channel(r) + 0.7152 * channel(g) + 0.0722 * channel(b);
  const parse = text => { const n = text.match(/[\d.]+/g).map(Number); return [n[0], n[1], n[2], n[3] ?? 1] };
  const over = (top, under) => [0, 1, 2].map(i => top[i] * top[3] + under[i] * (1 - top[3])).concat(1);
  const behind = e => {
    const c = parse(getComputedStyle(e).backgroundColor);
    return c[3] === 1 ? c : over(c, e.parentElement ? behind(e.parentElement) : [255, 255, 255, 1]);
  };
  const found = [], texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const e = texts.currentNode.parentElement, text = texts.currentNode.textContent.trim();
    if (!text || e.closest('.hidden, title, option, .hub-text') || !e.checkVisibility()) continue;
    const style = getComputedStyle(e), ground = behind(e);
    const ink = over(parse(e.namespaceURI.endsWith('svg') ? style.fill : style.color), ground);
    const [dark, bright] = [light(ink), light(ground)].sort((a, b) => a - b);
    const contrast = (bright + 0.05) / (dark + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && style.fontWeight >= 700);
    if (contrast < (large ? 3 : 4.5)) found.push(text.slice(0, 40) + ' at ' + contrast.toFixed(2));
  }
  return found;
})()`

func lowContrasts(p *Page) (texts []string) {
	p.Eval(findLowContrasts, &texts)
	return texts
}

// TestLivePageIsForAll: texts have the contrast of WCAG 2 AA, in light and dark,
// and a screen reader finds landmarks, and a name for everything that acts.
func TestLivePageIsForAll(t *testing.T) {
	_, at := studio(t, "redact: {profile: reveal}")
	p := Start(t).Open(at, 1440, 900)
	p.Wait(title + ` === '239.1.1.1' && ` + fanText + `.includes('p-wall')`)
	p.Wait(`document.querySelector('#losses').textContent.includes('not_allowed')`)
	p.Eval(`document.querySelectorAll('details').forEach(d => d.open = true)`, nil)

	for _, scheme := range []string{"light", "dark"} {
		p.Prefer("prefers-color-scheme", scheme)
		p.Wait(`getComputedStyle(document.body).colorScheme !== ''`)
		for _, text := range lowContrasts(p) {
			t.Errorf("%s: hard to read: %s", scheme, text)
		}
	}
	p.Eval(`document.querySelector('h1').style.color = getComputedStyle(document.querySelector('header')).backgroundColor`, nil)
	if len(lowContrasts(p)) == 0 {
		t.Error("a text that can't be read has enough contrast: this test is blind")
	}

	nodes := p.Nodes()
	named := []string{"button", "searchbox", "combobox", "checkbox", "listbox", "option", "region", "image", "heading", "list", "status"}
	count := map[string]int{}
	for _, n := range nodes {
		count[n.Role]++
		if slices.Contains(named, n.Role) && n.Name == "" && n.Role != "status" && n.Role != "list" {
			t.Errorf("a %s has no name", n.Role)
		}
	}
	for _, role := range []string{"main", "banner", "region", "listbox", "option", "searchbox", "combobox", "checkbox", "status", "table", "columnheader", "image"} {
		if count[role] == 0 {
			t.Errorf("there is no %s among %v", role, count)
		}
	}
	if want := (Node{"image", "Fan of 239.1.1.1: 1 source, 2 subscribers"}); !slices.Contains(nodes, want) {
		t.Errorf("the fan is not told as %q", want.Name)
	}
	checkQuiet(t, p, at)
}
