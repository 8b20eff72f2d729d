package app

import (
	"io"
	"os"
	"path/filepath"
	"testing"
)

func TestCloseJSIIPrintsAllButTheKnownSentence(t *testing.T) {
	for _, test := range []struct{ said, want string }{
		{"", ""},
		{"Runtime process exited abnormally: waitid: no child processes", ""},
		{"Runtime process exited abnormally: exit status 1", "Runtime process exited abnormally: exit status 1"},
		{"one error\nRuntime process exited abnormally: waitid: no child processesanother\n", "one error\nanother\n"},
	} {
		read, write, err := os.Pipe()
		if err != nil {
			t.Fatal(err)
		}
		users := os.Stderr
		os.Stderr = write
		err = closeJSII(func() {
			if _, err := io.WriteString(os.Stderr, test.said); err != nil {
				t.Error(err)
			}
		})
		os.Stderr = users
		if err != nil {
			t.Error(err)
		}
		if err := write.Close(); err != nil {
			t.Error(err)
		}
		printed, err := io.ReadAll(read)
		if err != nil {
			t.Error(err)
		}
		if string(printed) != test.want {
			t.Errorf("%q became %q, want %q", test.said, printed, test.want)
		}
	}
}

func TestUnpackWithoutAHomeThatCanBeWritten(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"", file} { // below a file nobody can make a folder, not even root
		t.Setenv("HOME", home)
		t.Setenv("XDG_CACHE_HOME", "")
		t.Setenv("JSII_RUNTIME_PACKAGE_CACHE_ROOT", "")
		t.Setenv("JSII_RUNTIME_PACKAGE_CACHE", "")
		if err := unpack(); err != nil {
			t.Fatal(err)
		}
		if got := os.Getenv("JSII_RUNTIME_PACKAGE_CACHE"); got != "disabled" {
			t.Errorf("HOME=%q: the cache is %q", home, got)
		}
	}
	t.Setenv("HOME", t.TempDir())
	t.Setenv("JSII_RUNTIME_PACKAGE_CACHE", "")
	if err := unpack(); err != nil || os.Getenv("JSII_RUNTIME_PACKAGE_CACHE") != "" {
		t.Errorf("a HOME that can be written to: %v, and the cache is %q", err, os.Getenv("JSII_RUNTIME_PACKAGE_CACHE"))
	}
}
