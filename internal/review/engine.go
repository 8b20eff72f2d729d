package review

import (
	"bufio"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
)

// program asks the CDK's diff engine.
//
//go:embed cfndiff.mjs
var program string

// enginePackage is what has to be installed beside the CDK CLI.
const enginePackage = "@aws-cdk/cloudformation-diff"

// Engine is the CDK's diff engine, in a process of Node.
type Engine struct {
	cmd    *exec.Cmd
	in     io.WriteCloser
	out    *bufio.Reader
	stderr strings.Builder
	ended  func() error // once
}

// NewEngine starts it with what is installed in dir/node_modules, or in dir/tools/node_modules.
func NewEngine(dir string) (*Engine, error) {
	for _, at := range []string{dir, filepath.Join(dir, "tools")} {
		if _, err := os.Stat(filepath.Join(at, "node_modules", enginePackage)); err != nil {
			continue
		}
		e := &Engine{}
		node := "node"
		if own := filepath.Join(at, "node_modules", ".bin", "node"); executable(own) {
			var err error
			if node, err = filepath.Abs(own); err != nil { // pinned beside it
				return nil, err
			}
		}
		e.cmd = exec.Command(node, "--input-type=module", "--eval", program)
		e.cmd.Dir = at
		e.cmd.Stderr = &e.stderr
		var err error
		if e.in, err = e.cmd.StdinPipe(); err != nil {
			return nil, err
		}
		out, err := e.cmd.StdoutPipe()
		if err != nil {
			return nil, err
		}
		e.out = bufio.NewReader(out)
		if err := e.cmd.Start(); err != nil {
			return nil, fmt.Errorf("start Node for %s: %w", enginePackage, err)
		}
		e.ended = sync.OnceValue(e.cmd.Wait)
		return e, nil
	}
	return nil, fmt.Errorf("%s is not installed in %s/node_modules. Run make, which installs it, or: npm install %s", enginePackage, dir, enginePackage)
}

func executable(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode()&0o111 != 0
}

// diff returns what CloudFormation would do with each resource that differs.
func (e *Engine) diff(old, new map[string]any) (map[string]change, error) {
	pair, err := json.Marshal(map[string]any{"old": old, "new": new})
	if err == nil {
		_, err = e.in.Write(append(pair, '\n'))
	}
	var line []byte
	if err == nil {
		line, err = e.out.ReadBytes('\n')
	}
	var changes map[string]change
	if err == nil {
		err = json.Unmarshal(line, &changes)
	}
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", enginePackage, errors.Join(err, e.Close()))
	}
	return changes, nil
}

// Close ends it, and returns what it said where it failed.
func (e *Engine) Close() error {
	_ = e.in.Close() // it ends with its input
	if err := e.ended(); err != nil {
		return fmt.Errorf("%w\n%s", err, e.stderr.String())
	}
	return nil
}
