package browser

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Page is one tab.
type Page struct {
	*Chromium
	session string

	seen     sync.Mutex
	requests []string // their addresses
	problems []string // errors on the console, exceptions, refused loads, issues that the browser sees
}

// Open opens a page of so many CSS pixels, and returns when it is loaded.
func (c *Chromium) Open(url string, width, height int) *Page {
	c.t.Helper()
	var target struct{ TargetID string }
	c.must(c.call("", "Target.createTarget", map[string]any{"url": "about:blank"}, &target))
	var attached struct{ SessionID string }
	c.must(c.call("", "Target.attachToTarget", map[string]any{"targetId": target.TargetID, "flatten": true}, &attached))
	p := &Page{Chromium: c, session: attached.SessionID}
	c.mu.Lock()
	c.sessions[p.session] = p
	c.mu.Unlock()
	for _, domain := range []string{"Page", "Network", "Runtime", "Log", "Audits", "Accessibility"} {
		p.Call(domain+".enable", nil, nil)
	}
	p.Call("Emulation.setDeviceMetricsOverride", map[string]any{"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false}, nil)
	p.Call("Page.navigate", map[string]any{"url": url}, nil)
	p.Wait("document.readyState === 'complete' && location.href !== 'about:blank'")
	return p
}

func (c *Chromium) must(err error) {
	c.t.Helper()
	if err != nil {
		c.t.Fatal(err)
	}
}

// Call sends a command of the DevTools protocol to the page.
func (p *Page) Call(method string, params, result any) {
	p.t.Helper()
	if params == nil {
		params = map[string]any{}
	}
	p.must(p.call(p.session, method, params, result))
}

// event notes what the page did.
func (p *Page) event(method string, params json.RawMessage) {
	var e struct {
		Request          struct{ URL string }
		Type             string
		Args             []struct{ Value, Description any }
		ExceptionDetails struct {
			Text      string
			Exception struct{ Description string }
		}
		Entry struct{ Level, Text, URL string }
		Issue struct{ Code string }
	}
	if err := json.Unmarshal(params, &e); err != nil {
		return // of a kind that is of no interest here
	}
	p.seen.Lock()
	defer p.seen.Unlock()
	switch {
	case method == "Network.requestWillBeSent":
		p.requests = append(p.requests, e.Request.URL)
	case method == "Audits.issueAdded":
		p.problems = append(p.problems, "issue "+e.Issue.Code)
	case method == "Runtime.exceptionThrown":
		p.problems = append(p.problems, e.ExceptionDetails.Text+" "+e.ExceptionDetails.Exception.Description)
	case method == "Runtime.consoleAPICalled" && (e.Type == "error" || e.Type == "warning" || e.Type == "assert"):
		p.problems = append(p.problems, fmt.Sprint(e.Type, " ", e.Args))
	case method == "Log.entryAdded" && (e.Entry.Level == "error" || e.Entry.Level == "warning"):
		p.problems = append(p.problems, e.Entry.Level+" "+e.Entry.Text+" "+e.Entry.URL)
	}
}

// Requests returns the addresses of all requests so far.
func (p *Page) Requests() []string {
	p.seen.Lock()
	defer p.seen.Unlock()
	return append([]string(nil), p.requests...)
}

// Problems returns what the page complained of so far.
func (p *Page) Problems() []string {
	p.seen.Lock()
	defer p.seen.Unlock()
	return append([]string(nil), p.problems...)
}

// Node is one thing that a screen reader tells of.
type Node struct {
	Role, Name string
}

// Nodes returns what screen readers tell of the page.
func (p *Page) Nodes() (list []Node) {
	p.t.Helper()
	var tree struct {
		Nodes []struct {
			Ignored    bool
			Role, Name struct{ Value any }
		}
	}
	p.Call("Accessibility.getFullAXTree", nil, &tree)
	for _, n := range tree.Nodes {
		if n.Ignored {
			continue
		}
		role, _ := n.Role.Value.(string)
		name, _ := n.Name.Value.(string)
		list = append(list, Node{role, name})
	}
	return list
}

// Eval evaluates JavaScript, awaits its promise, and decodes its value.
func (p *Page) Eval(script string, into any) {
	p.t.Helper()
	p.must(p.eval(script, into))
}

func (p *Page) eval(script string, into any) error {
	var out struct {
		Result           struct{ Value json.RawMessage }
		ExceptionDetails *struct {
			Text      string
			Exception struct{ Description string }
		}
	}
	err := p.call(p.session, "Runtime.evaluate", map[string]any{"expression": script, "awaitPromise": true, "returnByValue": true}, &out)
	switch {
	case err != nil:
		return err
	case out.ExceptionDetails != nil:
		return fmt.Errorf("%s: %s %s", script, out.ExceptionDetails.Text, out.ExceptionDetails.Exception.Description)
	case into == nil || out.Result.Value == nil:
		return nil
	}
	return json.Unmarshal(out.Result.Value, into)
}

// Text returns what the script says.
func (p *Page) Text(script string) (text string) {
	p.t.Helper()
	p.Eval("String("+script+")", &text)
	return text
}

// Wait polls until the script is true, and returns how long that took.
func (p *Page) Wait(script string) time.Duration {
	p.t.Helper()
	began := time.Now()
	for {
		var ok bool
		err := p.eval("Boolean("+script+")", &ok)
		took := time.Since(began)
		if ok {
			return took
		}
		if took > Timeout {
			p.t.Fatalf("after %v still not: %s (%v); the page shows:\n%s", Timeout, script, err, p.Text("document.body.innerText"))
		}
		time.Sleep(10 * time.Millisecond) // between two looks at the condition
	}
}

// Press presses and releases a key, such as Enter or ArrowDown.
func (p *Page) Press(key string) {
	p.t.Helper()
	code := map[string]int{"Enter": 13, "Escape": 27, "Tab": 9, "ArrowDown": 40, "ArrowUp": 38, "Home": 36, "End": 35, "PageDown": 34, "PageUp": 33}[key]
	text := map[string]string{"Enter": "\r"}[key]
	if code == 0 {
		text = key
	}
	down := map[string]any{"type": "keyDown", "key": key, "windowsVirtualKeyCode": code, "text": text}
	if text == "" {
		down["type"] = "rawKeyDown"
	}
	p.Call("Input.dispatchKeyEvent", down, nil)
	p.Call("Input.dispatchKeyEvent", map[string]any{"type": "keyUp", "key": key, "windowsVirtualKeyCode": code}, nil)
}

// Type puts text where the focus is.
func (p *Page) Type(text string) {
	p.t.Helper()
	p.Call("Input.insertText", map[string]any{"text": text}, nil)
}

// Prefer sets a media feature, such as prefers-color-scheme to dark.
func (p *Page) Prefer(features ...string) {
	p.t.Helper()
	list := []map[string]string{}
	for i := 0; i+1 < len(features); i += 2 {
		list = append(list, map[string]string{"name": features[i], "value": features[i+1]})
	}
	p.Call("Emulation.setEmulatedMedia", map[string]any{"features": list}, nil)
}

// Screenshot returns what is in sight, as PNG.
func (p *Page) Screenshot() []byte {
	p.t.Helper()
	var shot struct{ Data string }
	p.Call("Page.captureScreenshot", map[string]any{"format": "png"}, &shot)
	raw, err := base64.StdEncoding.DecodeString(shot.Data)
	p.must(err)
	return raw
}
