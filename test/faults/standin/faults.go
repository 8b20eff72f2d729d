package standin

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// Fault is what a service does to a call instead of answering it as it should.
type Fault struct {
	Name string
	do   func(to service, w http.ResponseWriter, c *Call)
}

// Faults decides which calls of one service meet a fault.
type Faults struct {
	mu     sync.Mutex
	random *rand.Rand
	share  float64
	faults []Fault
	calls  int
	met    map[string]int
}

// Set lets the given share of all calls from now on (0 to 1) meet one of the faults,
// each as likely as the others. With a seed the choice is the same in every run in
// which the calls come in the same order.
func (f *Faults) Set(seed uint64, share float64, faults ...Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.random, f.share, f.faults = rand.New(rand.NewPCG(seed, 0)), share, faults //nolint:gosec // a choice, no secret
}

// Heal ends the faults. Calls that are under way keep theirs.
func (f *Faults) Heal() { f.Set(0, 0) }

// Calls returns how many calls there were and how many met each fault.
func (f *Faults) Calls() (calls int, met map[string]int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	met = make(map[string]int)
	for name, n := range f.met {
		met[name] = n
	}
	return f.calls, met
}

func (f *Faults) serve(to service, w http.ResponseWriter, c *Call) {
	if fault, ok := f.choose(); ok {
		fault.do(to, w, c)
		return
	}
	to.answer(w, c)
}

func (f *Faults) choose() (Fault, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls++
	if len(f.faults) == 0 || f.random.Float64() >= f.share {
		return Fault{}, false
	}
	fault := f.faults[f.random.IntN(len(f.faults))]
	if f.met == nil {
		f.met = make(map[string]int)
	}
	f.met[fault.Name]++
	return fault, true
}

// Refuse answers with an error of the service.
func Refuse(r Refusal) Fault {
	return Fault{r.Code + " " + strconv.Itoa(r.Status), func(to service, w http.ResponseWriter, _ *Call) { to.refuse(w, r) }}
}

// BlackHole takes the request and never answers.
func BlackHole() Fault {
	return Fault{"black hole", func(_ service, _ http.ResponseWriter, c *Call) {
		c.wait(time.Hour) // until the caller hangs up
		panic(http.ErrAbortHandler)
	}}
}

// Late does nothing for up to d, then answers as usual.
func Late(d time.Duration) Fault {
	return Fault{"late by up to " + d.String(), func(to service, w http.ResponseWriter, c *Call) {
		if c.wait(time.Duration(rand.Int64N(int64(d)))) { //nolint:gosec // a delay
			to.answer(w, c)
		}
	}}
}

// DoneLate does what is asked, and answers only after d: longer than the receiver waits.
func DoneLate(d time.Duration) Fault {
	return Fault{"done, answered after " + d.String(), func(to service, w http.ResponseWriter, c *Call) {
		answer := recorded(to, c)
		if c.wait(d) {
			replay(w, answer)
		}
	}}
}

// Cut does what is asked and breaks off in the middle of the answer.
func Cut() Fault {
	return Fault{"done, answer cut", func(to service, w http.ResponseWriter, c *Call) {
		answer := recorded(to, c)
		text := answer.Body.Bytes()
		for name, values := range answer.Header() {
			w.Header()[name] = values
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(text)+100)) // more than will come
		w.WriteHeader(answer.Code)
		_, _ = w.Write(text[:len(text)/2]) // the server closes the connection, as the length is not kept
		panic(http.ErrAbortHandler)
	}}
}

// ResetBefore resets the connection and does nothing.
func ResetBefore() Fault {
	return Fault{"reset", func(_ service, _ http.ResponseWriter, c *Call) { c.reset() }}
}

// ResetAfter does what is asked and resets the connection instead of answering.
func ResetAfter() Fault {
	return Fault{"done, then reset", func(to service, _ http.ResponseWriter, c *Call) {
		recorded(to, c)
		c.reset()
	}}
}

// elsewhere is where redirects lead.
const elsewhere = "/elsewhere"

// Redirect sends the caller to a page that has nothing to do with AWS and answers
// everything 200. Nothing is done.
func Redirect(status int) Fault {
	return Fault{"redirect " + strconv.Itoa(status), func(_ service, w http.ResponseWriter, _ *Call) {
		w.Header().Set("Location", elsewhere)
		w.WriteHeader(status)
	}}
}

// welcome is that page. It happens to have all by which AWS's answers are known: an
// ETag, a message id, a version of a secret.
func (c *Call) welcome(w http.ResponseWriter) {
	w.Header().Set("ETag", `"welcome"`)
	answer := map[string]any{"MessageId": newID(), "VersionId": newID(), "SecretString": newID() + newID(), "CreatedDate": 1}
	var m sendMessage
	if err := json.Unmarshal(c.body, &m); err == nil && m.MessageBody != "" { // 307 and 308 bring it along
		answer["MD5OfMessageBody"], answer["MD5OfMessageAttributes"] = sum([]byte(m.MessageBody)), AttributesMD5(m.MessageAttributes)
	}
	writeJSON(w, "1.0", http.StatusOK, answer)
}

// NotAWS answers with a page, as some proxy on the way would. Nothing is done.
func NotAWS(status int) Fault {
	return Fault{fmt.Sprintf("a proxy's %d", status), func(_ service, w http.ResponseWriter, _ *Call) {
		w.Header().Set("Content-Type", "text/html")
		w.Header().Del(requestID)
		w.Header().Del(s3RequestID)
		w.WriteHeader(status)
		_, _ = w.Write([]byte("<html><body>Welcome</body></html>")) // whoever asked may be gone
	}}
}

// Empty answers 200 with an empty JSON object. Nothing is done.
func Empty() Fault {
	return Fault{"200, empty", func(_ service, w http.ResponseWriter, _ *Call) {
		w.Header().Set("Content-Type", "application/x-amz-json-1.0")
		_, _ = w.Write([]byte("{}")) // whoever asked may be gone
	}}
}

// WrongSum keeps the message and answers with the MD5 of another.
func WrongSum() Fault {
	return Fault{"wrong MD5 in the answer", func(to service, w http.ResponseWriter, c *Call) {
		answer := recorded(to, c)
		text := answer.Body.String()
		answer.Body.Reset()
		answer.Body.WriteString(sumInAnswer.ReplaceAllString(text, `"MD5OfMessageBody":"d41d8cd98f00b204e9800998ecf8427e"`))
		answer.Header().Del("Content-Length")
		replay(w, answer)
	}}
}

// Garble keeps another message than was sent, and answers with its true MD5.
func Garble() Fault {
	return Fault{"garbled on the way", func(to service, w http.ResponseWriter, c *Call) {
		garbled := *c
		garbled.body = []byte(strings.Replace(string(c.body), `"MessageBody":"`, `"MessageBody":"garbled`, 1))
		to.answer(w, &garbled)
	}}
}

// Before calls hook with the environment and never answers: whoever the hook kills must
// not see the connection end while it still runs. Nothing is done.
func Before(name string, hook func(environment string)) Fault {
	return Fault{name, func(_ service, _ http.ResponseWriter, c *Call) {
		hook(c.Environment)
		c.wait(time.Hour) // until the caller is gone
		panic(http.ErrAbortHandler)
	}}
}

// After does what is asked, then calls hook and never answers.
func After(name string, hook func(environment string)) Fault {
	return Fault{name, func(to service, _ http.ResponseWriter, c *Call) {
		recorded(to, c)
		hook(c.Environment)
		c.wait(time.Hour) // until the caller is gone
		panic(http.ErrAbortHandler)
	}}
}

// wait returns true after d, false when the caller or the server went away before.
func (c *Call) wait(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.request.Context().Done():
		return false
	case <-c.closed:
		return false
	}
}
