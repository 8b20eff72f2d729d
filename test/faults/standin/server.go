package standin

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync/atomic"
	"time"
)

const (
	// QueueName, BucketName and SecretARN are what the receiver is configured with.
	QueueName  = "notifications"
	BucketName = "second-place"
	SecretARN  = "arn:aws:secretsmanager:us-east-1:123456789012:secret:webhook-AbCdEf"
	account    = "123456789012"

	// maxSkew: SigV4's requests live five minutes, S3's fifteen; the stricter is taken
	// for all. docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-troubleshooting.html
	maxSkew = 5 * time.Minute
)

// Server is the three services behind one address, which is the receiver's
// AWS_ENDPOINT_URL. It speaks TLS, and HTTP/2 with whoever prefers it.
type Server struct {
	URL string
	// AuthorityFile holds the certificate of who signed the server's, in PEM. Go's TLS
	// trusts what SSL_CERT_FILE names. https://pkg.go.dev/crypto/x509#SystemCertPool
	AuthorityFile string
	SQS           *SQS
	Secrets       *SecretsManager
	S3            *S3

	server   *httptest.Server
	listener *listener
	show     show
	strayed  atomic.Int64
	skew     atomic.Int64 // how far this server's clock is ahead, in nanoseconds
	closed   chan struct{}
}

// New starts a Server on a free port of the loopback interface. Close stops it.
func New() *Server {
	s := &Server{SQS: &SQS{}, Secrets: &SecretsManager{}, S3: &S3{}, AuthorityFile: writeAuthority(), closed: make(chan struct{})}
	s.show.set([]Certificate{Valid})
	s.server = httptest.NewUnstartedServer(s)
	s.listener = &listener{Listener: s.server.Listener, open: make(map[*connection]bool)}
	s.server.Listener = s.listener
	s.server.EnableHTTP2 = true
	s.server.TLS = certificates().configs[Valid].Clone()
	s.server.TLS.GetConfigForClient = s.show.config
	s.server.Config.ErrorLog = log.New(io.Discard, "", 0) // callers that hang up are what is tested here
	s.server.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context {
		return context.WithValue(ctx, connectionKey{}, c)
	}
	s.server.StartTLS()
	s.URL = s.server.URL
	s.SQS.queueURL = s.QueueURL()
	return s
}

// ShowCertificates has new connections be shown these certificates in turn. Those that
// are open end.
func (s *Server) ShowCertificates(which ...Certificate) {
	s.show.set(which)
	s.CloseConnections()
}

// Strayed is how many calls followed a redirect. A correct caller makes none.
func (s *Server) Strayed() int { return int(s.strayed.Load()) }

// QueueURL is the URL of the one queue.
func (s *Server) QueueURL() string { return s.URL + "/" + account + "/" + QueueName }

// Client returns an HTTP client that trusts the server.
func (s *Server) Client() *http.Client { return s.server.Client() }

// Close ends every request that is under way, black holes too, and stops the server.
func (s *Server) Close() {
	close(s.closed)
	s.CloseConnections() // silent ones too, of which the HTTP server knows nothing
	s.server.Close()
	_ = os.RemoveAll(filepath.Dir(s.AuthorityFile)) // a rest in the temporary directory does not matter
}

// SetClock makes this server's clock run ahead of the real one by d, or behind. A
// receiver whose own clock is off sees the same.
func (s *Server) SetClock(d time.Duration) { s.skew.Store(int64(d)) }

// Call is one request to a service.
type Call struct {
	// Environment is the access key that signed it: every execution environment has
	// one of its own. Empty for a request that is not signed.
	Environment string
	At          time.Time
	request     *http.Request
	body        []byte
	closed      <-chan struct{}
}

// The headers by which AWS names a request: everybody else's, and S3's.
const requestID, s3RequestID = "X-Amzn-RequestId", "X-Amz-Request-Id"

// service is what faults are put in front of.
type service interface {
	// answer does what is asked and answers it.
	answer(w http.ResponseWriter, c *Call)
	// refuse answers with an error of the service's protocol.
	refuse(w http.ResponseWriter, r Refusal)
	injector() *Faults
}

// Refusal is an error as AWS answers it.
type Refusal struct {
	Status  int
	Code    string
	Message string
}

var credential = regexp.MustCompile(`Credential=([^/,]+)/`)

// ServeHTTP finds the service by what its protocol has and the others have not.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(http.ErrAbortHandler) // the caller went away
	}
	c := &Call{At: time.Now(), request: r, body: body, closed: s.closed}
	if match := credential.FindStringSubmatch(r.Header.Get("Authorization")); match != nil {
		c.Environment = match[1]
	}
	var to service
	switch target := r.Header.Get("X-Amz-Target"); {
	case strings.HasPrefix(target, "secretsmanager."):
		to = s.Secrets
	case strings.HasPrefix(target, "AmazonSQS."), strings.HasPrefix(r.URL.Path, "/"+account+"/"):
		to = s.SQS
	default:
		to = s.S3
	}
	skew := time.Duration(s.skew.Load())
	w.Header().Set("Date", time.Now().Add(skew).UTC().Format(http.TimeFormat))
	w.Header().Set(requestID, newID())
	w.Header().Set(s3RequestID, newID())
	if r.URL.Path == elsewhere {
		s.strayed.Add(1)
		c.welcome(w)
		return
	}
	if c.Environment != "" {
		if r, ok := checkClock(r, skew); !ok {
			to.refuse(w, r)
			return
		}
	}
	to.injector().serve(to, w, c)
}

// checkClock refuses what was signed by a clock that is too far off, in the words by
// which the SDK knows that it has to correct its own.
func checkClock(r *http.Request, skew time.Duration) (Refusal, bool) {
	signed, err := time.Parse("20060102T150405Z", r.Header.Get("X-Amz-Date"))
	if err != nil {
		return Refusal{400, "IncompleteSignature", "Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."}, false
	}
	if d := time.Until(signed) - skew; d > maxSkew || d < -maxSkew {
		return Refusal{403, "RequestTimeTooSkewed", "The difference between the request time and the current time is too large."}, false
	}
	return Refusal{}, true
}

// recorded does the call and returns the answer instead of sending it.
func recorded(to service, c *Call) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	to.answer(w, c)
	return w
}

// replay sends a recorded answer.
func replay(w http.ResponseWriter, answer *httptest.ResponseRecorder) {
	for name, values := range answer.Header() {
		w.Header()[name] = values
	}
	w.WriteHeader(answer.Code)
	_, _ = bytes.NewReader(answer.Body.Bytes()).WriteTo(w) // whoever asked may be gone
}

// newID returns a random UUID, which is what AWS's ids are.
func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[0:4], b[4:6], b[6:8], b[8:10], b[10:])
}
