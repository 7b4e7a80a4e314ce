package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/fanlight-io/fanlight/lab"
	"github.com/fanlight-io/fanlight/lab/labtest"
)

// openAPIDoc is openapi.yaml, as far as tests look into it.
type openAPIDoc struct {
	OpenAPI    string                                 `yaml:"openapi"`
	Paths      map[string]map[string]openAPIOperation `yaml:"paths"`
	Components struct {
		Parameters map[string]openAPIParameter `yaml:"parameters"`
	} `yaml:"components"`

	compiler *jsonschema.Compiler
}

type openAPIOperation struct {
	OperationID string             `yaml:"operationId"`
	Summary     string             `yaml:"summary"`
	Parameters  []openAPIParameter `yaml:"parameters"`
	Responses   map[string]any     `yaml:"responses"`
}

type openAPIParameter struct {
	Ref     string `yaml:"$ref"`
	Name    string `yaml:"name"`
	In      string `yaml:"in"`
	Example any    `yaml:"example"`
}

// loadOpenAPI reads the document. Since OpenAPI 3.1 its schemas are JSON
// Schema 2020-12.
func loadOpenAPI(t testing.TB) *openAPIDoc {
	t.Helper()
	doc := &openAPIDoc{compiler: jsonschema.NewCompiler()}
	doc.compiler.DefaultDraft(jsonschema.Draft2020)
	doc.compiler.AssertFormat()
	var all map[string]any
	for _, into := range []any{doc, &all} {
		if err := yaml.Unmarshal(openAPIDocument, into); err != nil {
			t.Fatal(err)
		}
	}
	raw, err := json.Marshal(all)
	if err != nil {
		t.Fatal(err)
	}
	plain, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	if err := doc.compiler.AddResource("openapi.yaml", plain); err != nil {
		t.Fatal(err)
	}
	for path, item := range doc.Paths {
		for method, op := range item {
			for i, p := range op.Parameters {
				if name, ok := strings.CutPrefix(p.Ref, "#/components/parameters/"); ok {
					op.Parameters[i] = doc.Components.Parameters[name]
				}
				if op.Parameters[i].Name == "" {
					t.Errorf("%s %s: parameter %d has no name", method, path, i)
				}
			}
		}
	}
	return doc
}

// schema returns the schema of an answer: that of its status, or of default.
func (d *openAPIDoc) schema(path, method string, status int, contentType string) (*jsonschema.Schema, error) {
	escape := strings.NewReplacer("~", "~0", "/", "~1").Replace
	response := d.Paths[path][method].Responses
	code := fmt.Sprint(status)
	if response[code] == nil {
		code = "default"
	}
	at := fmt.Sprintf("/paths/%s/%s/responses/%s", escape(path), method, code)
	if ref, ok := response[code].(map[string]any)["$ref"].(string); ok {
		at = strings.TrimPrefix(ref, "#")
	}
	return d.compiler.Compile("openapi.yaml#" + url.PathEscape(at+"/content/"+escape(contentType)+"/schema"))
}

// TestEveryRouteIsDescribed, and nothing else is.
func TestEveryRouteIsDescribed(t *testing.T) {
	doc := loadOpenAPI(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("version %s", doc.OpenAPI)
	}
	var described []string
	ids := map[string]bool{}
	for path, item := range doc.Paths {
		for method, op := range item {
			described = append(described, strings.ToUpper(method)+" "+path)
			if op.OperationID == "" || ids[op.OperationID] || op.Summary == "" || op.Responses["default"] == nil || len(op.Responses) < 2 {
				t.Errorf("%s %s: want an operationId of its own, a summary, and responses for success and default", method, path)
			}
			ids[op.OperationID] = true
		}
	}
	routes := slices.Clone(apiHandler(viewer{}).patterns)
	slices.Sort(described)
	slices.Sort(routes)
	if diff := cmp.Diff(routes, described); diff != "" {
		t.Errorf("routes and openapi.yaml (-routes +described):\n%s", diff)
	}
}

// Each filter is described, with its opposite.
func TestEveryEventParameterIsDescribed(t *testing.T) {
	var described []string
	for _, p := range loadOpenAPI(t).Paths[eventsPath]["get"].Parameters {
		described = append(described, p.Name)
	}
	want := slices.Clone(eventParameters)
	for name := range eventFilters {
		want = append(want, name, notPrefix+name)
	}
	slices.Sort(described)
	slices.Sort(want)
	if diff := cmp.Diff(want, described); diff != "" {
		t.Errorf("parameters (-known +described):\n%s", diff)
	}
}

// get asks the API of the agent and returns the answer with its body read.
func (a *agent) get(path string) (*http.Response, []byte) {
	a.t.Helper()
	socket := filepath.Join(filepath.Dir(a.events), "api.sock")
	c := http.Client{Timeout: patience, Transport: &http.Transport{
		DisableKeepAlives: true,
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "unix", socket)
		},
	}}
	resp, err := c.Get("http://localhost" + path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		a.t.Fatal(err)
	}
	return resp, body
}

// TestAnswersAreAsDescribed asks a running agent for all that openapi.yaml
// describes, with the examples of its parameters and without, and wrongly.
func TestAnswersAreAsDescribed(t *testing.T) {
	n := labtest.New(t, labtest.Hosts("pub", "sub")...)
	a := startAgent(t, n, quickQuerier, `allow: ["239.0.0.0/8", "ff00::/8"]`)
	joinGroup(t, n.Host("sub"), testGroup)
	a.joined(testGroup, 1)
	send(t, n.Host("pub"), lab.SendConfig{Group: testGroup, Count: 10})
	send(t, n.Host("pub"), lab.SendConfig{Group: addr("233.252.0.7"), Count: 10}) // not allowed
	a.waitEvent(`"kind":"drop"`)
	a.wait("the history has it all", func(s series) bool { return closes(s, historySink) })

	doc := loadOpenAPI(t)
	for path, item := range doc.Paths {
		op, ok := item["get"]
		if !ok {
			continue // what changes something is tested by whoever adds it
		}
		succeeded := 0
		for _, query := range append(op.examples(), url.Values{}, url.Values{"reveal": {"perhaps"}}) {
			if path == eventsPath && !query.Has("last") {
				query.Set("last", "100") // live, it would not end
			}
			succeeded += a.checkAnswer(doc, path, query)
		}
		if succeeded == 0 {
			t.Errorf("GET %s: no answer with content was checked", path)
		}
	}
	for path, code := range map[string]int{
		"/v1/nothing": 404, "/": 404, "/v1/groups?group=10.0.0.1": 400, "/v1/events?since=1h": 410, "/v1/events?last=0": 400,
	} {
		resp, body := a.get(path)
		if resp.StatusCode != code || !bytes.HasPrefix(body, []byte(`{"error":"`)) {
			t.Errorf("%s: status %d, want %d: %s", path, resp.StatusCode, code, body)
		}
	}
}

// examples are query strings with all of an operation's examples, and with each
// alone.
func (op openAPIOperation) examples() []url.Values {
	all := url.Values{}
	list := []url.Values{all}
	for _, p := range op.Parameters {
		var texts []string
		switch x := p.Example.(type) {
		case nil:
			continue
		case []any:
			for _, v := range x {
				texts = append(texts, fmt.Sprint(v))
			}
		default:
			texts = append(texts, fmt.Sprint(x))
		}
		all[p.Name] = texts
		list = append(list, url.Values{p.Name: texts})
	}
	return list
}

// checkAnswer asks, and validates what comes. It returns 1 for a success with
// content.
func (a *agent) checkAnswer(doc *openAPIDoc, path string, query url.Values) (succeeded int) {
	a.t.Helper()
	query = maps.Clone(query)
	target := path
	for _, p := range doc.Paths[path]["get"].Parameters {
		if p.In == "path" {
			target = strings.ReplaceAll(target, "{"+p.Name+"}", url.PathEscape(fmt.Sprint(p.Example)))
			query.Del(p.Name)
		}
	}
	target += "?" + query.Encode()
	resp, body := a.get(target)
	contentType := resp.Header.Get("Content-Type")
	schema, err := doc.schema(path, "get", resp.StatusCode, contentType)
	if err != nil {
		a.t.Errorf("GET %s: status %d, %s: no schema: %v", target, resp.StatusCode, contentType, err)
		return 0
	}
	var values []any
	switch contentType {
	case "application/yaml":
		var v any
		err = yaml.Unmarshal(body, &v)
		values = append(values, v)
	default: // one value, or one a line
		for d := json.NewDecoder(bytes.NewReader(body)); d.More() && err == nil; {
			d.UseNumber()
			var v any
			err = d.Decode(&v)
			values = append(values, v)
		}
	}
	if err != nil {
		a.t.Errorf("GET %s: %v in %s", target, err, body)
	}
	for _, v := range values {
		if err := schema.Validate(v); err != nil {
			a.t.Errorf("GET %s: %v\n%s", target, err, body)
		}
	}
	if resp.StatusCode == http.StatusOK && len(body) > len("[]\n") {
		return 1
	}
	return 0
}
