package standin

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// Certificate is what the server shows to whoever connects.
type Certificate int

const (
	// Valid is signed by the authority of [Server.AuthorityFile], for this address.
	Valid Certificate = iota
	// Expired is the same, but its time was over yesterday.
	Expired
	// OfAnother is for another address.
	OfAnother
	// Unknown is signed by an authority that nobody knows.
	Unknown
)

// certificates are made once: every server of a process shows the same.
var certificates = sync.OnceValue(newCertificates)

type authority struct {
	certificate *x509.Certificate
	key         *ecdsa.PrivateKey
}

type certificateSet struct {
	authority []byte // PEM
	configs   map[Certificate]*tls.Config
}

// newCertificates panics where the machine has no random numbers, as everything would.
func newCertificates() certificateSet {
	known, unknown := newAuthority(), newAuthority()
	yesterday, tomorrow := time.Now().Add(-24*time.Hour), time.Now().Add(24*time.Hour)
	loopback := net.IPv4(127, 0, 0, 1)
	return certificateSet{
		authority: pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: known.certificate.Raw}),
		configs: map[Certificate]*tls.Config{
			Valid:     known.config(loopback, tomorrow),
			Expired:   known.config(loopback, yesterday),
			OfAnother: known.config(net.IPv4(192, 0, 2, 1), tomorrow), // of documentation, RFC 5737
			Unknown:   unknown.config(loopback, tomorrow),
		},
	}
}

func newAuthority() authority {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "the stand-ins' authority"},
		NotBefore: time.Now().Add(-72 * time.Hour), NotAfter: time.Now().Add(72 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	raw := must(x509.CreateCertificate(rand.Reader, template, template, key.Public(), key))
	return authority{must(x509.ParseCertificate(raw)), key}
}

func (a authority) config(address net.IP, until time.Time) *tls.Config {
	key := must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))
	raw := must(x509.CreateCertificate(rand.Reader, &x509.Certificate{
		SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: "AWS"}, IPAddresses: []net.IP{address},
		NotBefore: until.Add(-48 * time.Hour), NotAfter: until, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, a.certificate, key.Public(), a.key))
	return &tls.Config{
		MinVersion:   tls.VersionTLS12,
		NextProtos:   []string{"h2", "http/1.1"}, // the caller chooses
		Certificates: []tls.Certificate{{Certificate: [][]byte{raw}, PrivateKey: key}},
	}
}

func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

// show is which certificates are shown, in turn.
type show struct {
	mu    sync.Mutex
	which []Certificate
	next  int
}

func (s *show) set(which []Certificate) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.which = which
}

func (s *show) config(*tls.ClientHelloInfo) (*tls.Config, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.next++
	return certificates().configs[s.which[s.next%len(s.which)]], nil
}

// writeAuthority writes the authority's certificate into a folder of its own and
// returns the file.
func writeAuthority() string {
	file := filepath.Join(must(os.MkdirTemp("", "standin-")), "authority.pem")
	if err := os.WriteFile(file, certificates().authority, 0o600); err != nil {
		panic(err)
	}
	return file
}
