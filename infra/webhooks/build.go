package webhooks

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-cdk-go/awscdk/v2"
	"github.com/aws/aws-cdk-go/awscdk/v2/awslambda"
	"github.com/aws/jsii-runtime-go"

	"github.com/onepagecrm/nylas-webhooks/infra/stages"
)

const (
	// modulePath is this module's.
	modulePath = "github.com/onepagecrm/nylas-webhooks"
	// receiverProgram is the deployed program, relative to the module's root.
	receiverProgram = "./lambda/receiver"
)

// ModuleRoot returns the folder of this module's source: the checkout, or its place among
// Go's downloaded modules where another module uses it. It asks the go command in the
// current folder. The receiver is compiled there, with this module's own go.mod, so that
// what else the other module depends on does not change its bytes.
func ModuleRoot() (string, error) {
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", modulePath).Output()
	if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
		err = fmt.Errorf("%w: %s", err, bytes.TrimSpace(exit.Stderr))
	}
	if err != nil {
		return "", fmt.Errorf("find the source of %s: go list: %w", modulePath, err)
	}
	root := strings.TrimSpace(string(out))
	if root == "" {
		return "", fmt.Errorf("the source of %s is not here, and the receiver is compiled from it. Run: go mod download %[1]s (a vendor folder does not have it; use -mod=mod or -mod=readonly)", modulePath)
	}
	return root, nil
}

// buildFlags make the binary the same in every directory and after every commit that
// does not touch it; otherwise every commit would redeploy the function.
var buildFlags = []string{
	// Leave out the old RPC mode, which provided.al2023 does not use, and HTTP/2, which package
	// sdkhttp does not speak in a function: a tenth of the bytes.
	"-tags", "lambda.norpc,nethttpomithttp2",
	"-trimpath",       // no directory of this machine in the binary
	"-buildvcs=false", // no commit in it
	// No symbol table and debug information (half the size), no build id.
	"-ldflags", "-s -w -buildid=",
}

// Builder compiles the receiver with the host's Go, once per architecture, for all
// stacks of an app. The asset's hash is the binary's, so it covers every input that
// changes the binary and nothing else.
type Builder struct {
	root string
	dirs map[stages.Architecture]string
}

// NewBuilder returns a Builder for the module whose go.mod lies in root. Call Close
// when the app has been synthesized.
func NewBuilder(root string) *Builder {
	return &Builder{root: root, dirs: make(map[stages.Architecture]string)}
}

// Close removes what was built; the CDK has its own copy in the assembly.
func (b *Builder) Close() error {
	for _, dir := range b.dirs {
		if err := os.RemoveAll(dir); err != nil {
			return fmt.Errorf("remove build directory: %w", err)
		}
	}
	return nil
}

// build returns a directory that holds nothing but the program, as "bootstrap".
func (b *Builder) build(architecture stages.Architecture) (string, error) {
	if dir, ok := b.dirs[architecture]; ok {
		return dir, nil
	}
	dir, err := os.MkdirTemp("", "receiver-")
	if err != nil {
		return "", fmt.Errorf("build the receiver: %w", err)
	}
	b.dirs[architecture] = dir
	bootstrap := filepath.Join(dir, "bootstrap")
	cmd := exec.Command("go", append(append([]string{"build", "-o", bootstrap}, buildFlags...), receiverProgram)...)
	cmd.Dir = b.root
	// Settings of this shell would change the binary. GOAMD64 and GOARM64 are the oldest,
	// because Lambda names no processor.
	cmd.Env = append(os.Environ(), "GOOS=linux", "GOARCH="+string(architecture), "CGO_ENABLED=0",
		"GOFLAGS=", "GOWORK=off", "GOEXPERIMENT=", "GOAMD64=v1", "GOARM64=v8.0")
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("build the receiver for %s: go build %s failed (%w); fix it and run again:\n%s",
			architecture, receiverProgram, err, output.Bytes())
	}
	// The zip holds the mode, which a umask must not change. Its times are the CDK CLI's.
	if err := os.Chmod(bootstrap, 0o755); err != nil { //nolint:gosec // Lambda runs it
		return "", fmt.Errorf("build the receiver: %w", err)
	}
	return dir, nil
}

// receiverCode returns the function's code. The CDK CLI says which stacks it needs
// the code of ("cdk list" needs none); for the others the source directory stands
// in, and only the asset's hash in the template differs.
func receiverCode(stack awscdk.Stack, stage stages.Stage, builder *Builder) (awslambda.Code, error) {
	if !*stack.BundlingRequired() {
		return awslambda.Code_FromAsset(jsii.String(filepath.Join(builder.root, receiverProgram)), nil), nil
	}
	dir, err := builder.build(stage.Architecture)
	if err != nil {
		return nil, err
	}
	return awslambda.Code_FromAsset(&dir, nil), nil
}
