package standin

import (
	"bufio"
	"bytes"
	"crypto/md5" //nolint:gosec // it is S3's checksum
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"hash/crc32"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
)

// S3 is one bucket, into which the receiver may put under the prefixes of its policy.
type S3 struct {
	Faults Faults

	mu      sync.Mutex
	objects map[string]Object
}

// Object is one object of the bucket.
type Object struct {
	Content []byte
	At      time.Time
}

// Objects returns what is in the bucket, by key.
func (b *S3) Objects() map[string]Object {
	b.mu.Lock()
	defer b.mu.Unlock()
	all := make(map[string]Object, len(b.objects))
	for key, object := range b.objects {
		all[key] = object
	}
	return all
}

func (b *S3) injector() *Faults { return &b.Faults }

// The errors that PutObject can answer beside those about its parameters.
// docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html
var (
	S3SlowDown = Refusal{503, "SlowDown", "Please reduce your request rate."}
	S3Internal = Refusal{500, "InternalError", "We encountered an internal error. Please try again."}
	S3Denied   = Refusal{403, "AccessDenied", "Access Denied"}
	S3NoBucket = Refusal{404, "NoSuchBucket", "The specified bucket does not exist"}
	S3Conflict = Refusal{409, "ConditionalRequestConflict", "The conditional request cannot succeed due to a conflicting operation against this resource."}

	s3Exists    = Refusal{412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"}
	s3BadDigest = Refusal{400, "BadDigest", "The checksum you specified did not match what we received."}
)

func (b *S3) refuse(w http.ResponseWriter, r Refusal) {
	w.Header().Set("Content-Type", "application/xml")
	w.WriteHeader(r.Status)
	_, _ = io.WriteString(w, xml.Header) // whoever asked may be gone
	_ = xml.NewEncoder(w).Encode(struct {
		XMLName                          xml.Name `xml:"Error"`
		Code, Message, RequestId, HostId string
	}{Code: r.Code, Message: r.Message, RequestId: newID(), HostId: newID()})
}

func (b *S3) answer(w http.ResponseWriter, c *Call) {
	bucket, key, _ := strings.Cut(strings.TrimPrefix(c.request.URL.Path, "/"), "/")
	content, err := payload(c)
	switch {
	case c.request.Method != http.MethodPut:
		b.refuse(w, Refusal{405, "MethodNotAllowed", "The specified method is not allowed against this resource."})
	case bucket != BucketName:
		b.refuse(w, S3NoBucket)
	case !strings.HasPrefix(key, contract.SpillPrefix) && !strings.HasPrefix(key, contract.OverflowPrefix) && !strings.HasPrefix(key, contract.ArchivePrefix):
		b.refuse(w, S3Denied)
	case err != nil:
		b.refuse(w, Refusal{400, "InvalidRequest", err.Error()})
	case !intact(c.request.Header, content):
		b.refuse(w, s3BadDigest)
	case !b.keep(key, Object{content, c.At}, c.request.Header.Get("If-None-Match") == "*"):
		b.refuse(w, s3Exists)
	default:
		digest := md5.Sum(content) //nolint:gosec // it is S3's checksum
		w.Header().Set("ETag", `"`+hex.EncodeToString(digest[:])+`"`)
		w.WriteHeader(http.StatusOK)
	}
}

func (b *S3) keep(key string, object Object, ifNoneMatch bool) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if _, exists := b.objects[key]; exists && ifNoneMatch {
		return false
	}
	if b.objects == nil {
		b.objects = make(map[string]Object)
	}
	b.objects[key] = object
	return true
}

// payload unpacks a body that comes in chunks with its checksum at the end.
// docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html
func payload(c *Call) ([]byte, error) {
	if !strings.Contains(c.request.Header.Get("Content-Encoding"), "aws-chunked") {
		return c.body, nil
	}
	var content []byte
	from := bufio.NewReader(bytes.NewReader(c.body))
	for {
		line, err := from.ReadString('\n')
		if err != nil {
			return nil, fmt.Errorf("read chunk: %w", err)
		}
		text, _, _ := strings.Cut(strings.TrimSpace(line), ";")
		size, err := strconv.ParseUint(text, 16, 31)
		if err != nil {
			return nil, fmt.Errorf("read chunk's size: %w", err)
		}
		if size == 0 {
			return content, nil
		}
		chunk := make([]byte, size+2) // and CR LF
		if _, err := io.ReadFull(from, chunk); err != nil {
			return nil, fmt.Errorf("read chunk: %w", err)
		}
		content = append(content, chunk[:size]...)
	}
}

// intact checks the sums that came with the content.
func intact(header http.Header, content []byte) bool {
	if want := header.Get("X-Amz-Checksum-Crc32"); want != "" {
		got := binary.BigEndian.AppendUint32(nil, crc32.ChecksumIEEE(content))
		if base64.StdEncoding.EncodeToString(got) != want {
			return false
		}
	}
	if want := header.Get("Content-Md5"); want != "" {
		got := md5.Sum(content) //nolint:gosec // it is S3's checksum
		return base64.StdEncoding.EncodeToString(got[:]) == want
	}
	return true
}
