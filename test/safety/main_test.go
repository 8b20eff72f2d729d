package safety

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/onepagecrm/nylas-webhooks/test/engine"
)

var (
	// account is the engine that plays the person's own AWS account.
	account *engine.Engine
	// checkout is the copy in which make runs.
	checkout string
)

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	var err error
	account, err = engine.Start(ctx, "safety")
	defer func() {
		if err := account.Stop(); err != nil {
			fmt.Fprintln(os.Stderr, "safety:", err)
			code = 1
		}
	}()
	if err == nil {
		checkout = filepath.Join(account.Dir, "checkout")
		// What is missing would be installed through the link, with the copy's paths in it.
		_, err = os.Stat(filepath.Join(account.Root, ".local/venv/lint/.installed"))
	}
	if err == nil {
		err = copyCheckout(account.Root, checkout)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "safety:", err)
		return 1
	}
	code = m.Run()
	if _, err := account.Run(context.Background(), "make", "-C", checkout, "stop"); err != nil {
		fmt.Fprintln(os.Stderr, "safety:", err)
		return 1
	}
	return code
}

// copyCheckout copies the project's own files; what is installed beside them is linked.
func copyCheckout(from, to string) error {
	// What an earlier run has left, but for the engine's own files: it may still run.
	old, err := os.ReadDir(to)
	if errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	for _, entry := range old {
		if entry.Name() != ".local" {
			err = errors.Join(err, os.RemoveAll(filepath.Join(to, entry.Name())))
		}
	}
	if err = errors.Join(err, os.RemoveAll(filepath.Join(to, ".local", "run"))); err != nil {
		return err
	}
	installed := []string{"tools/node_modules", ".local/venv"}
	left := append([]string{".git", ".local", "cdk.out", "bin", "tools/policy/node_modules", "test/nylas/node_modules"}, installed...)
	err = filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, err := filepath.Rel(from, path)
		switch {
		case err != nil:
			return err
		case slices.Contains(left, name) && entry.IsDir():
			return fs.SkipDir
		case slices.Contains(left, name):
			return nil // .git is a file in a work tree
		case entry.IsDir():
			return os.MkdirAll(filepath.Join(to, name), 0o750)
		case !entry.Type().IsRegular():
			return nil
		}
		return copyFile(path, filepath.Join(to, name))
	})
	for _, name := range installed {
		link := filepath.Join(to, name)
		// The link of an earlier run may lead to what is gone.
		if err == nil {
			err = errors.Join(os.RemoveAll(link), os.MkdirAll(filepath.Dir(link), 0o750), os.Symlink(filepath.Join(from, name), link))
		}
	}
	return err
}

// copyFile keeps the time, by which make knows that what a lock file names is installed.
func copyFile(from, to string) error {
	about, err := os.Stat(from)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	if err := os.WriteFile(to, text, about.Mode().Perm()); err != nil { //nolint:gosec // within the copy of the checkout
		return err
	}
	return os.Chtimes(to, about.ModTime(), about.ModTime())
}

// watched listens in front of the account and counts the connections, so that the test
// knows of everything that reaches it. It returns a shell's environment that leads there
// by every way that AWS's tools know.
func watched(t *testing.T) (environment []string, connections *atomic.Int32) {
	t.Helper()
	target, err := url.Parse(os.Getenv("AWS_ENDPOINT_URL"))
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() }) //nolint:errcheck // nobody is left to tell
	connections = new(atomic.Int32)
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			go forward(client, target.Host)
		}
	}()
	address := "https://localhost:" + listener.Addr().String()[strings.LastIndex(listener.Addr().String(), ":")+1:]
	profile := filepath.Join(t.TempDir(), "config")
	text := "[default]\nregion = us-east-1\naws_access_key_id = test\naws_secret_access_key = test\nendpoint_url = " + address +
		"\n[profile mine]\nregion = us-east-1\naws_access_key_id = test\naws_secret_access_key = test\nendpoint_url = " + address + "\n"
	if err := os.WriteFile(profile, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	environment = append(shell(),
		"AWS_ENDPOINT_URL="+address, "AWS_ENDPOINT_URL_S3="+address, "AWS_ENDPOINT_URL_STS="+address, "AWS_ENDPOINT_URL_SQS="+address,
		"AWS_ENDPOINT_URL_CLOUDFORMATION="+address, "AWS_CONFIG_FILE="+profile, "AWS_PROFILE=mine", "CDK_PROFILE=mine")
	return environment, connections
}

func forward(client net.Conn, host string) {
	defer client.Close()                 //nolint:errcheck // nobody is left to tell
	server, err := net.Dial("tcp", host) //nolint:gosec // the test's own engine
	if err != nil {
		return
	}
	defer server.Close()                               //nolint:errcheck // nobody is left to tell
	go func() { io.Copy(server, client) }()            //nolint:errcheck // the other direction ends both
	if _, err := io.Copy(client, server); err != nil { // until either side hangs up
		return
	}
}

// shell is this process's environment, which leads to the account, without what a make
// that runs this test has put into it.
func shell() []string {
	return slices.DeleteFunc(os.Environ(), func(setting string) bool {
		name, _, _ := strings.Cut(setting, "=")
		return strings.HasPrefix(name, "MAKE") || name == "MFLAGS" || name == "STAGE"
	})
}

// in runs a program in the copy of the checkout. line is told every line as it is printed,
// and may be nil. After patience, the program and what it started are killed: one that
// waits for a frozen engine may wait for long.
func in(t *testing.T, environment []string, stdin string, line func(string), patience time.Duration, program ...string) (output string, err error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	cmd := exec.CommandContext(ctx, program[0], program[1:]...)
	cmd.Dir, cmd.Env, cmd.Stdin = checkout, environment, strings.NewReader(stdin)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	read, write := io.Pipe()
	cmd.Stdout, cmd.Stderr = write, write
	var all strings.Builder
	done := make(chan struct{})
	go func() {
		defer close(done)
		for lines := bufio.NewScanner(read); lines.Scan(); {
			all.WriteString(lines.Text() + "\n")
			if line != nil {
				line(lines.Text())
			}
		}
	}()
	err = cmd.Run()
	if err := write.Close(); err != nil {
		t.Error(err)
	}
	<-done
	return all.String(), err
}
