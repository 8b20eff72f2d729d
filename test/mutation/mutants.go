package main

import (
	"bytes"
	"go/ast"
	"go/format"
	"go/parser"
	"go/token"
	"math/big"
	"os"
	"strings"
)

// mutant is one change of one file.
type mutant struct {
	file string
	line int
	// id says what was changed where, without a line number, which would move:
	// "ParseSignature: len(text) >= len(prefix) -> len(text) > len(prefix)".
	id     string
	source []byte // the whole file with the change
	value  string // the constant or variable whose value was changed; "" in a function
}

// swaps are the operators that replace another; where there are two, both are tried.
var swaps = map[token.Token][]token.Token{
	token.EQL: {token.NEQ}, token.NEQ: {token.EQL},
	token.LSS: {token.LEQ, token.GEQ}, token.LEQ: {token.LSS, token.GTR},
	token.GTR: {token.GEQ, token.LEQ}, token.GEQ: {token.GTR, token.LSS},
	token.LAND: {token.LOR}, token.LOR: {token.LAND},
	token.ADD: {token.SUB}, token.SUB: {token.ADD}, token.MUL: {token.QUO}, token.QUO: {token.MUL},
	token.REM: {token.MUL}, token.SHL: {token.SHR}, token.SHR: {token.SHL}, token.AND: {token.OR}, token.OR: {token.AND},
}

// mutants returns every mutant of a Go file, but for func main of a program: no unit test can
// call it. The fault proof and the tests of the deployed system run the receiver's.
func mutants(path string) ([]mutant, error) {
	source, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	files := token.NewFileSet()
	file, err := parser.ParseFile(files, path, source, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	m := &mutator{path: path, source: source, files: files}
	for _, declaration := range file.Decls {
		switch d := declaration.(type) {
		case *ast.FuncDecl:
			if file.Name.Name == "main" && d.Recv == nil && d.Name.Name == "main" {
				continue
			}
			m.where, m.value = d.Name.Name, ""
			ast.Inspect(d, m.visit)
		case *ast.GenDecl:
			for _, spec := range d.Specs {
				if values, ok := spec.(*ast.ValueSpec); ok {
					m.where, m.value = values.Names[0].Name, values.Names[0].Name
					ast.Inspect(values, m.visit)
				}
			}
		}
	}
	return m.found, nil
}

type mutator struct {
	path   string
	source []byte
	files  *token.FileSet
	where  string // the function, constant or variable
	value  string // the latter
	found  []mutant
}

func (m *mutator) visit(node ast.Node) bool {
	switch n := node.(type) {
	case *ast.BinaryExpr:
		for _, operator := range swaps[n.Op] {
			from := m.offset(n.OpPos)
			m.change(n, from, from+len(n.Op.String()), operator.String())
		}
	case *ast.UnaryExpr:
		if n.Op == token.NOT {
			m.change(n, m.offset(n.OpPos), m.offset(n.OpPos)+1, "")
		}
	case *ast.BasicLit:
		if changed, ok := otherNumber(n); ok {
			m.change(n, m.offset(n.Pos()), m.offset(n.End()), changed)
		}
	case *ast.Ident:
		if other := map[string]string{"true": "false", "false": "true"}[n.Name]; other != "" {
			m.change(n, m.offset(n.Pos()), m.offset(n.End()), other)
		}
	case *ast.ReturnStmt:
		if len(n.Results) > 0 && isError(n.Results[len(n.Results)-1]) {
			last := n.Results[len(n.Results)-1]
			m.change(n, m.offset(last.Pos()), m.offset(last.End()), "nil")
		}
	case *ast.BlockStmt:
		m.remove(n.List)
	case *ast.CaseClause:
		m.remove(n.Body)
	case *ast.CommClause:
		m.remove(n.Body)
	}
	return true
}

// remove leaves out one statement at a time, of those whose absence still compiles:
// calls, assignments, branches.
func (m *mutator) remove(statements []ast.Stmt) {
	for _, statement := range statements {
		switch s := statement.(type) {
		case *ast.AssignStmt:
			if s.Tok == token.DEFINE {
				continue
			}
		case *ast.ExprStmt, *ast.IncDecStmt, *ast.DeferStmt, *ast.GoStmt, *ast.SendStmt, *ast.BranchStmt:
		default:
			continue
		}
		m.change(statement, m.offset(statement.Pos()), m.offset(statement.End()), "")
	}
}

// change adds the mutant in which source[from:to] reads replacement; node is what the
// id shows of it.
func (m *mutator) change(node ast.Node, from, to int, replacement string) {
	start, end := m.offset(node.Pos()), m.offset(node.End())
	source := bytes.Join([][]byte{m.source[:from], []byte(replacement), m.source[to:]}, nil)
	if _, err := format.Source(source); err != nil {
		return // as the label of a loop that nothing names any more
	}
	before := oneLine(string(m.source[start:end]))
	after := oneLine(string(m.source[start:from]) + replacement + string(m.source[to:end]))
	if after == "" {
		after = "(nothing)"
	}
	m.found = append(m.found, mutant{
		file: m.path, line: m.files.Position(node.Pos()).Line,
		id: m.where + ": " + before + " -> " + after, source: source, value: m.value,
	})
}

func (m *mutator) offset(p token.Pos) int { return m.files.Position(p).Offset }

// otherNumber returns the double of a number, 1 for 0: far enough away that a test
// which means the number notices.
func otherNumber(n *ast.BasicLit) (string, bool) {
	if n.Kind != token.INT {
		return "", false
	}
	value, ok := new(big.Int).SetString(n.Value, 0)
	if !ok {
		return "", false
	}
	if value.Sign() == 0 {
		return "1", true
	}
	return value.Lsh(value, 1).String(), true
}

// isError tells by its looks whether an expression is an error.
func isError(e ast.Expr) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == "err" || strings.HasPrefix(e.Name, "Err") || strings.HasPrefix(e.Name, "err")
	case *ast.CallExpr:
		if s, ok := e.Fun.(*ast.SelectorExpr); ok {
			return s.Sel.Name == "Errorf" || (s.Sel.Name == "Join" || s.Sel.Name == "New") && isNamed(s.X, "errors")
		}
	}
	return false
}

func isNamed(e ast.Expr, name string) bool {
	i, ok := e.(*ast.Ident)
	return ok && i.Name == name
}

// idLength keeps an id readable, in bytes: a call can span a page.
const idLength = 160

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > idLength {
		s = strings.ToValidUTF8(s[:idLength], "") + "…"
	}
	return s
}
