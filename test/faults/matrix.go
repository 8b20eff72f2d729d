package faults

import (
	"cmp"
	"fmt"
	"hash/crc32"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/onepagecrm/nylas-webhooks/lambda/contract"
	"github.com/onepagecrm/nylas-webhooks/test/faults/function"
	"github.com/onepagecrm/nylas-webhooks/test/faults/nylas"
	"github.com/onepagecrm/nylas-webhooks/test/faults/standin"
)

// Fault is one thing that fails.
type Fault struct {
	Name string
	// What a service does with its calls; of several, each call meets one.
	sqs, s3, secrets func(s *System) []standin.Fault
	// begin and heal are for what is not a service's.
	begin, heal func(s *System)
	garbles     bool // the Scenario's field
	forgets     bool // afterwards each environment has yet to read the secret
	limits      bool // how many requests it hits depends on how fast the machine is
}

func are(f []standin.Fault) func(*System) []standin.Fault {
	return func(*System) []standin.Fault { return f }
}

func sqs(name string, f ...standin.Fault) Fault { return Fault{Name: "SQS " + name, sqs: are(f)} }
func s3(name string, f ...standin.Fault) Fault  { return Fault{Name: "S3 " + name, s3: are(f)} }
func secrets(name string, f ...standin.Fault) Fault {
	return Fault{Name: "Secrets Manager " + name, secrets: are(f), forgets: true}
}

// redirects are all that lead a client elsewhere.
func redirects() []standin.Fault {
	var all []standin.Fault
	for _, status := range []int{301, 302, 303, 307, 308} {
		all = append(all, standin.Redirect(status))
	}
	return all
}

// killedAtSQS kills whoever asks SQS.
func killedAtSQS(name string, at func(string, func(string)) standin.Fault) Fault {
	return Fault{Name: name, sqs: func(s *System) []standin.Fault { return []standin.Fault{at(name, s.Function.Kill)} }}
}

func killAt(p function.Point) func(*System) {
	return func(s *System) { s.Function.SetHook(p, s.Function.Kill) }
}

func killNever(p function.Point) func(*System) {
	return func(s *System) { s.Function.SetHook(p, nil) }
}

// endpoint gives the function another endpoint for all of AWS.
func endpoint(url string) func(*System) {
	return func(s *System) { s.Function.SetVariable("AWS_ENDPOINT_URL", cmp.Or(url, s.AWS.URL)) }
}

// archiving is a fault of a stage that has an archive.
func archiving(f Fault) Fault {
	f.Name += ", and the stage has an archive"
	f.begin = func(s *System) { s.Function.SetVariable("WEBHOOK_ARCHIVE", contract.ArchiveOn) }
	f.heal = func(s *System) { s.Function.SetVariable("WEBHOOK_ARCHIVE", "") }
	return f
}

// tooLate is longer than the receiver waits for any answer.
const tooLate = 4 * time.Second

// Faults returns every fault of the matrix.
func Faults() []Fault {
	garbled := sqs("keeps another body than was sent", standin.Garble())
	garbled.garbles = true
	return []Fault{
		sqs("throttles", standin.Refuse(standin.SQSThrottled)),
		sqs("is unavailable (503)", standin.Refuse(standin.SQSUnavailable)),
		sqs("has an internal error (500)", standin.Refuse(standin.SQSInternal)),
		sqs("has no such queue", standin.Refuse(standin.SQSNoQueue)),
		sqs("denies access", standin.Refuse(standin.SQSDenied)),
		sqs("finds the credentials expired", standin.Refuse(standin.SQSExpiredTokens)),
		sqs("finds the KMS key disabled", standin.Refuse(standin.SQSKeyDisabled)),
		sqs("finds the KMS key about to be deleted", standin.Refuse(standin.SQSKeyInvalid)),
		sqs("may not use the KMS key", standin.Refuse(standin.SQSKeyDenied)),
		sqs("is throttled by KMS", standin.Refuse(standin.SQSKeyThrottled)),
		sqs("is a black hole", standin.BlackHole()),
		sqs("is slow (to 500 ms)", standin.Late(500*time.Millisecond)),
		sqs("keeps it and answers too late", standin.DoneLate(tooLate)),
		sqs("keeps it and cuts the answer", standin.Cut()),
		sqs("resets the connection", standin.ResetBefore()),
		sqs("keeps it and resets", standin.ResetAfter()),
		sqs("is a proxy's 200", standin.NotAWS(http.StatusOK)),
		sqs("answers an empty 200", standin.Empty()),
		sqs("answers a wrong MD5", standin.WrongSum()),
		sqs("redirects", redirects()...),
		garbled,
		s3("slows down (503)", standin.Refuse(standin.S3SlowDown)),
		s3("has an internal error (500)", standin.Refuse(standin.S3Internal)),
		s3("denies access", standin.Refuse(standin.S3Denied)),
		s3("has a conflict (409)", standin.Refuse(standin.S3Conflict)),
		s3("is a black hole", standin.BlackHole()),
		s3("is slow (to 500 ms)", standin.Late(500*time.Millisecond)),
		s3("is a proxy's 200", standin.NotAWS(http.StatusOK)),
		s3("is a proxy's 412", standin.NotAWS(http.StatusPreconditionFailed)),
		s3("keeps it and cuts the answer", standin.Cut()),
		s3("keeps it and answers too late", standin.DoneLate(tooLate)),
		s3("keeps it and resets", standin.ResetAfter()),
		s3("redirects", redirects()...),
		archiving(s3("denies access", standin.Refuse(standin.S3Denied))),
		archiving(s3("is a black hole", standin.BlackHole())),
		archiving(sqs("is unavailable (503)", standin.Refuse(standin.SQSUnavailable))),
		secrets("has an internal error (500)", standin.Refuse(standin.SecretsInternal)),
		secrets("throttles", standin.Refuse(standin.SecretsThrottled)),
		secrets("denies access", standin.Refuse(standin.SecretsDenied)),
		secrets("may not use the KMS key", standin.Refuse(standin.SecretsKey)),
		secrets("is a black hole", standin.BlackHole()),
		secrets("is slow (to 500 ms)", standin.Late(500*time.Millisecond)),
		secrets("is a proxy's 200", standin.NotAWS(http.StatusOK)),
		secrets("cuts the answer", standin.Cut()),
		secrets("resets the connection", standin.ResetBefore()),
		secrets("answers an empty 200", standin.Empty()),
		secrets("redirects", redirects()...),
		{Name: "killed before the send", begin: killAt(function.Handed), heal: killNever(function.Handed)},
		{Name: "killed after the answer was made", begin: killAt(function.Answered), heal: killNever(function.Answered)},
		killedAtSQS("killed while SQS is asked", standin.Before),
		killedAtSQS("killed after SQS has it", standin.After),
		{
			Name:  "every request a cold start",
			begin: func(s *System) { s.Function.SetSingleUse(true) },
			heal:  func(s *System) { s.Function.SetSingleUse(false) },
		},
		{
			// The gateway lets ten in, then one a second, and refuses the others with 429.
			Name: "gateway throttles", limits: true,
			begin: func(s *System) { s.Gateway.SetThrottle(1, 10) },
			heal:  func(s *System) { s.Gateway.SetThrottle(s.stack.Rate, s.stack.Burst) },
		},
		{
			// Three events at once, the others are refused by Lambda.
			Name: "concurrency used up", limits: true,
			begin: func(s *System) { s.Function.SetConcurrency(3) },
			heal:  func(s *System) { s.Function.SetConcurrency(1000) },
		},
		{
			// .invalid never resolves, RFC 6761.
			Name: "no AWS endpoint resolves (DNS)", begin: endpoint("https://aws.invalid"), heal: endpoint(""),
		},
		{
			Name: "AWS's certificate is expired, for another name, or from an unknown authority", forgets: true,
			begin: func(s *System) { s.AWS.ShowCertificates(standin.Expired, standin.OfAnother, standin.Unknown) },
			heal:  func(s *System) { s.AWS.ShowCertificates(standin.Valid) },
		},
	}
}

// refreshInterval is how often a receiver may ask for the secret; after an outage of
// Secrets Manager it takes so long until each has it. Nylas's third attempt comes 10
// minutes or more after the first, so in shortened time it has to wait.
const refreshInterval = 10*time.Second + 500*time.Millisecond

// withFaults is a scenario in which all of the faults last from the first notification
// until each notification has met them. Faults of one service take turns.
func withFaults(faults ...Fault) Scenario {
	sc := Scenario{Notifications: 21, Rate: 80, Kinds: matrixKinds}
	var names []string
	settle := time.Duration(0)
	for _, f := range faults {
		names = append(names, f.Name)
		sc.Garbles = sc.Garbles || f.garbles
		if f.forgets {
			settle = refreshInterval
		}
	}
	sc.Name = strings.Join(names, " + ")
	sc.Check = func(r *Result, _ *System) []string {
		if n := r.Metrics[contract.NoSecret]; n > 0 {
			return []string{fmt.Sprintf("%d requests were answered as if no secret were stored", n)}
		}
		return nil
	}
	sc.Start, sc.During = outage(settle,
		func(s *System) { begin(s, sc.Name, faults) },
		func(s *System) {
			s.counts, s.counted = s.count()
			heal(s, faults)
		})
	return sc
}

// matrixKinds: mostly usual, and one in seven that needs the bucket.
var matrixKinds = append(slices.Repeat(nylas.Usual, 3), nylas.Overflowing)

func begin(s *System, name string, faults []Fault) {
	var ofSQS, ofS3, ofSecrets []standin.Fault
	for _, f := range faults {
		if f.sqs != nil {
			ofSQS = append(ofSQS, f.sqs(s)...)
		}
		if f.s3 != nil {
			ofS3 = append(ofS3, f.s3(s)...)
		}
		if f.secrets != nil {
			ofSecrets = append(ofSecrets, f.secrets(s)...)
		}
		if f.begin != nil {
			f.begin(s)
		}
	}
	seed := uint64(crc32.ChecksumIEEE([]byte(name))) // the same choices in every run
	s.AWS.SQS.Faults.Set(seed, 1, ofSQS...)
	s.AWS.S3.Faults.Set(seed, 1, ofS3...)
	s.AWS.Secrets.Faults.Set(seed, 1, ofSecrets...)
}

func heal(s *System, faults []Fault) {
	s.AWS.SQS.Faults.Heal()
	s.AWS.S3.Faults.Heal()
	s.AWS.Secrets.Faults.Heal()
	for _, f := range faults {
		if f.heal != nil {
			f.heal(s)
		}
	}
}
