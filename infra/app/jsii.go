package app

import (
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/aws/jsii-runtime-go"
)

// unpack keeps jsii, through which Go calls the CDK's library, from panicking where it
// cannot unpack that into its cache, as with a HOME that is missing or read-only: it is
// unpacked anew each time then.
func unpack() error {
	if os.Getenv("JSII_RUNTIME_PACKAGE_CACHE_ROOT") != "" {
		return nil // the user's own choice
	}
	if folder, err := os.UserCacheDir(); err == nil && writable(filepath.Join(folder, "aws", "jsii", "package-cache")) {
		return nil
	}
	// jsii has read the environment before main began. Closed, it begins anew.
	err := os.Setenv("JSII_RUNTIME_PACKAGE_CACHE", "disabled")
	jsii.Close()
	return err
}

func writable(folder string) bool {
	if err := os.MkdirAll(folder, 0o750); err != nil {
		return false
	}
	probe, err := os.CreateTemp(folder, ".probe")
	if err != nil {
		return false
	}
	return probe.Close() == nil && os.Remove(probe.Name()) == nil
}

// endedTwice is what jsii's runtime prints at its end, about one time in five: two of its
// goroutines wait for the same process, and the second finds it gone.
// https://github.com/aws/jsii/blob/main/packages/%40jsii/go-runtime/jsii-runtime-go/internal/kernel/process/process.go
const endedTwice = "Runtime process exited abnormally: waitid: no child processes"

// closeJSII ends jsii's runtime and prints what it has to say, but for endedTwice. The
// sentence may come a moment later from another goroutine, which then finds nothing to
// write to; os.Stderr is the user's again only in what is returned.
func closeJSII(end func()) error {
	users := os.Stderr
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	said := make(chan []byte)
	go func() {
		text, _ := io.ReadAll(read) // what was read until then is printed
		said <- text
	}()
	os.Stderr = write
	end()
	err = write.Close()
	_, printed := io.WriteString(users, strings.ReplaceAll(string(<-said), endedTwice, ""))
	if err != nil {
		return err
	}
	return printed
}
