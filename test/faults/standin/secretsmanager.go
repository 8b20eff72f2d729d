package standin

import (
	"encoding/json"
	"net/http"
	"slices"
	"sync"
	"time"
)

// SecretsManager is one secret, which has no value at first.
type SecretsManager struct {
	Faults Faults

	mu       sync.Mutex
	versions []version // the last is AWSCURRENT, the one before it AWSPREVIOUS
	deleted  bool
	shift    time.Duration
	reads    []Read
}

type version struct {
	id, value string
	created   time.Time
}

// Read is one GetSecretValue that reached the service.
type Read struct {
	Environment string
	Stage       string // AWSCURRENT or AWSPREVIOUS
	At          time.Time
}

// Put stores a value, which becomes AWSCURRENT.
func (s *SecretsManager) Put(value string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = append(s.versions, version{newID(), value, time.Now()})
}

// RemovePrevious leaves only AWSCURRENT, as when its label is taken from a version that
// was revoked.
func (s *SecretsManager) RemovePrevious() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.versions = s.versions[len(s.versions)-1:]
}

// SetDeleted marks the secret for deletion, or restores it.
func (s *SecretsManager) SetDeleted(deleted bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deleted = deleted
}

// ShiftCreated makes every CreatedDate later by d, or earlier: as a receiver sees it
// whose clock is behind by d, or ahead.
func (s *SecretsManager) ShiftCreated(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.shift = d
}

// Reads returns every GetSecretValue so far.
func (s *SecretsManager) Reads() []Read {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.reads)
}

func (s *SecretsManager) injector() *Faults { return &s.Faults }

// The errors that GetSecretValue can answer.
// docs.aws.amazon.com/secretsmanager/latest/apireference/API_GetSecretValue.html
var (
	SecretsInternal  = Refusal{500, "InternalServiceError", "An error occurred on the server side."}
	SecretsThrottled = Refusal{400, "ThrottlingException", "Rate exceeded"}
	SecretsDenied    = Refusal{400, "AccessDeniedException", "User is not authorized to perform: secretsmanager:GetSecretValue"}
	SecretsKey       = Refusal{400, "DecryptionFailure", "Secrets Manager can't decrypt the protected secret text using the provided KMS key."}
	secretsNoSecret  = Refusal{400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret."}
	secretsNoVersion = Refusal{400, "ResourceNotFoundException", "Secrets Manager can't find the specified secret value for staging label: "}
	secretsDeleted   = Refusal{400, "InvalidRequestException", "You can't perform this operation on the secret because it was marked for deletion."}
)

func (s *SecretsManager) refuse(w http.ResponseWriter, r Refusal) {
	writeJSON(w, "1.1", r.Status, map[string]string{"__type": r.Code, "Message": r.Message, "message": r.Message})
}

func (s *SecretsManager) answer(w http.ResponseWriter, c *Call) {
	if target := c.request.Header.Get("X-Amz-Target"); target != "secretsmanager.GetSecretValue" {
		s.refuse(w, Refusal{400, "UnknownOperationException", target})
		return
	}
	var input struct{ SecretId, VersionStage string }
	if err := json.Unmarshal(c.body, &input); err != nil {
		s.refuse(w, Refusal{400, "SerializationException", "the request is not JSON"})
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads = append(s.reads, Read{c.Environment, input.VersionStage, c.At})
	n := len(s.versions) - 1
	if input.VersionStage == "AWSPREVIOUS" {
		n--
	}
	switch {
	case input.SecretId != SecretARN:
		s.refuse(w, secretsNoSecret)
	case s.deleted:
		s.refuse(w, secretsDeleted)
	case n < 0:
		r := secretsNoVersion
		r.Message += input.VersionStage
		s.refuse(w, r)
	default:
		v := s.versions[n]
		writeJSON(w, "1.1", http.StatusOK, map[string]any{
			"ARN": SecretARN, "Name": "webhook", "VersionId": v.id, "SecretString": v.value,
			"VersionStages": []string{input.VersionStage},
			"CreatedDate":   float64(v.created.Add(s.shift).UnixMilli()) / 1000, // seconds
		})
	}
}
