package main

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"log"
	"math/big"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Without a right environment.
func TestCommandLine(t *testing.T) {
	for _, test := range []struct {
		args           string
		err            error
		stdout, stderr string
	}{
		{"--version", nil, "hookworker ", ""},
		{"--help", nil, "", "HOOKWORKER_REJECT_STATUSES"},
		{"-h", nil, "", "required: where to POST"},
		{"--verbose", errUsage, "", "flag provided but not defined"},
		{"run", errUsage, "", "takes no arguments"},
	} {
		var stdout, stderr bytes.Buffer
		err := run(t.Context(), []string{test.args}, nil, &stdout, &stderr)
		if !errors.Is(err, test.err) || !strings.Contains(stdout.String(), test.stdout) || !strings.Contains(stderr.String(), test.stderr) {
			t.Errorf("%s: %v\n%s%s", test.args, err, &stdout, &stderr)
		}
	}
}

func write(t *testing.T, text string) (path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestMoreSettings(t *testing.T) {
	s, err := load(environment(map[string]string{
		secretsVar: "", secretsFileVar: write(t, signingSecret+"\n"+signingSecret+"\n"), rejectVar: "400, 409", stopVar: "50s",
		retryMinVar: "1s", retryMaxVar: "2s", pauseMinVar: "3s", pauseMaxVar: "4s", logLevelVar: "debug", "HOME": "/nowhere",
	}))
	if err != nil {
		t.Fatal(err)
	}
	if len(s.signers) != 2 || !s.rejects[409] || s.rejects[422] || s.stop != 50*time.Second || s.retryMin != time.Second ||
		s.retryMax != 2*time.Second || s.pauseMin != 3*time.Second || s.pauseMax != 4*time.Second || s.logLevel.String() != "DEBUG" || s.tls != nil {
		t.Errorf("%+v", s)
	}
	for name, c := range map[string]struct{ variable, value, says string }{
		"misspelt":              {"HOOKWORKER_CONCURENCY", "20", "HOOKWORKER_CONCURENCY is no setting"},
		"secrets twice":         {secretsFileVar, write(t, signingSecret), "only one of them can be set"},
		"and a third time":      {secretARNVar, "arn:aws:secretsmanager:eu-west-1:111122223333:secret:x", "only one of them can be set"},
		"no ARN":                {webhookVar, "nylas-secret", webhookVar + " is not the ARN of a secret"},
		"ARN of something else": {webhookVar, "arn:aws:kms:eu-west-1:111122223333:key/x", "the stack's output SecretName is"},
		"headers of ours":       {headersVar, write(t, "webhook-id: 1"), "line 1: webhook-id is set by hookworker itself"},
		"headers that are gone": {headersVar, "/nowhere/headers", headersVar + " cannot be used"},
		"a status that is OK":   {rejectVar, "200", rejectVar},
		"statuses with blanks":  {rejectVar, "400 409", rejectVar},
		"no duration":           {stopVar, "30", stopVar},
		"longest first":         {retryMaxVar, "1s", "less than " + retryMinVar + ", which is 10s"},
		"no level":              {logLevelVar, "loud", logLevelVar},
		"no certificate":        {caVar, write(t, "none"), "holds no certificate"},
		"no key":                {certVar, write(t, "none"), "belong together"},
		"too many at once":      {concurrencyVar, "1001", "from 1 to 1000"},
		"too long a delivery":   {timeoutVar, "6h", "5h0m0s at most"},
	} {
		if _, err := load(environment(map[string]string{c.variable: c.value})); err == nil || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestSecretsFromAFileThatIsGone(t *testing.T) {
	if _, err := load(environment(map[string]string{secretsVar: "", secretsFileVar: "/nowhere/secret"})); err == nil || !strings.Contains(err.Error(), "cannot be read") {
		t.Error(err)
	}
}

// The CRM's certificate is of an authority of its own, and it asks for the worker's.
func TestCertificates(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "hookworker"}, NotAfter: time.Now().Add(time.Hour),
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}
	der, err := x509.CreateCertificate(rand.Reader, &template, &template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyBytes, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	encoded := func(kind string, bytes []byte) string {
		return write(t, string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: bytes})))
	}
	shown := ""
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { shown = r.TLS.PeerCertificates[0].Subject.CommonName }))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.TLS = &tls.Config{ClientAuth: tls.RequireAnyClientCert, MinVersion: tls.VersionTLS12}
	server.StartTLS()
	defer server.Close()
	for _, test := range []struct {
		changes map[string]string
		taken   bool
	}{
		{map[string]string{caVar: encoded("CERTIFICATE", server.Certificate().Raw), certVar: encoded("CERTIFICATE", der), keyVar: encoded("PRIVATE KEY", keyBytes)}, true},
		{map[string]string{caVar: encoded("CERTIFICATE", server.Certificate().Raw)}, false},
		{map[string]string{certVar: encoded("CERTIFICATE", der), keyVar: encoded("PRIVATE KEY", keyBytes)}, false},
		{nil, false},
	} {
		changes := map[string]string{crmVar: server.URL}
		for name, value := range test.changes {
			changes[name] = value
		}
		s, err := load(environment(changes))
		if err != nil {
			t.Fatal(err)
		}
		d, err := newDeliverer(s, newMetrics(prometheus.NewRegistry(), s.timeout))
		if err != nil {
			t.Fatal(err)
		}
		if err := d.deliver(t.Context(), note([]byte("{}"))); (err == nil) != test.taken {
			t.Errorf("%v: %v", test.changes, err)
		}
	}
	if shown != "hookworker" {
		t.Errorf("shown %q", shown)
	}
}
