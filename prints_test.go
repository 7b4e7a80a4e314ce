package fanlight_test

import (
	"fmt"
	"go/ast"
	"go/build"
	"go/parser"
	"go/token"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// hiding are the methods by which a type keeps addresses out of logs, errors
// and JSON, however it is printed.
var hiding = []string{"Format", "LogValue", "MarshalJSON"}

// TestTypesWithAddressesDoNotPrint fails on an exported type that holds an
// address, directly or through types of its package, and that could be printed.
func TestTypesWithAddressesDoNotPrint(t *testing.T) {
	for _, dir := range []string{"bpf", "snoop", "redact"} {
		p := parseTypes(t, dir)
		checked := 0
		for name, spec := range p.types {
			if !ast.IsExported(name) || p.generated[name] || !p.holds(spec, nil) {
				continue
			}
			checked++
			for _, method := range hiding {
				if !p.has(name, method) {
					t.Errorf("%s.%s holds an address and has no method %s: see %s", dir, name, method, filepath.Join(dir, "print.go"))
				}
			}
		}
		if checked == 0 {
			t.Errorf("%s: no type holds an address: this test is blind", dir)
		}
	}
}

// packageTypes are the types that a package declares, and their methods.
type packageTypes struct {
	types     map[string]ast.Expr
	generated map[string]bool
	methods   map[string][]string
}

func parseTypes(t *testing.T, dir string) packageTypes {
	t.Helper()
	pkg, err := build.ImportDir(dir, 0)
	if err != nil {
		t.Fatal(err)
	}
	p := packageTypes{map[string]ast.Expr{}, map[string]bool{}, map[string][]string{}}
	files := token.NewFileSet()
	for _, file := range pkg.GoFiles {
		parsed, err := parser.ParseFile(files, filepath.Join(dir, file), nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range parsed.Decls {
			p.add(d, strings.HasSuffix(file, "_bpfel.go"))
		}
	}
	return p
}

func (p packageTypes) add(d ast.Decl, generated bool) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		if d.Recv != nil {
			receiver := strings.TrimPrefix(nameOf(d.Recv.List[0].Type), "*")
			p.methods[receiver] = append(p.methods[receiver], d.Name.Name)
		}
	case *ast.GenDecl:
		for _, s := range d.Specs {
			if s, ok := s.(*ast.TypeSpec); ok && !s.Assign.IsValid() { // an alias can have no methods
				p.types[s.Name.Name] = s.Type
				p.generated[s.Name.Name] = generated
			}
		}
	}
}

func nameOf(e ast.Expr) string {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name
	case *ast.StarExpr:
		return "*" + nameOf(e.X)
	case *ast.SelectorExpr:
		return nameOf(e.X) + "." + e.Sel.Name
	case *ast.IndexExpr:
		return nameOf(e.X)
	case *ast.IndexListExpr:
		return nameOf(e.X)
	}
	return fmt.Sprintf("%T", e)
}

// holds reports whether a value of the type may have an address in it.
func (p packageTypes) holds(e ast.Expr, seen []string) bool {
	switch e := e.(type) {
	case *ast.SelectorExpr:
		return slices.Contains([]string{"netip.Addr", "bpf.MAC", "bpf.Event"}, nameOf(e))
	case *ast.Ident:
		if e.Name == "MAC" || slices.Contains(seen, e.Name) {
			return e.Name == "MAC"
		}
		spec, ok := p.types[e.Name]
		return ok && p.holds(spec, append(seen, e.Name))
	case *ast.StarExpr:
		return p.holds(e.X, seen)
	case *ast.ArrayType:
		return p.holds(e.Elt, seen) || e.Len != nil && isBytes(e, "6")
	case *ast.MapType:
		return p.holds(e.Key, seen) || p.holds(e.Value, seen)
	case *ast.IndexExpr:
		return p.holds(e.X, seen) || p.holds(e.Index, seen)
	case *ast.IndexListExpr:
		return slices.ContainsFunc(e.Indices, func(x ast.Expr) bool { return p.holds(x, seen) })
	case *ast.StructType:
		return slices.ContainsFunc(e.Fields.List, func(f *ast.Field) bool { return p.holds(f.Type, seen) })
	}
	return false
}

func isBytes(e *ast.ArrayType, length string) bool {
	n, ok := e.Len.(*ast.BasicLit)
	return ok && n.Value == length && nameOf(e.Elt) == "byte"
}

// has reports whether the type, or one that it embeds, has the method.
func (p packageTypes) has(name, method string) bool {
	if slices.Contains(p.methods[name], method) {
		return true
	}
	s, ok := p.types[name].(*ast.StructType)
	return ok && slices.ContainsFunc(s.Fields.List, func(f *ast.Field) bool {
		return len(f.Names) == 0 && p.has(strings.TrimPrefix(nameOf(f.Type), "*"), method)
	})
}
