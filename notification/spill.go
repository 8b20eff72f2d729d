package notification

import (
	"bytes"
	"compress/gzip"
	"encoding/json"
	"fmt"
	"io"
)

// spilled is the JSON of a message that SQS did not take in time and that waits in S3
// to be put onto the queue.
type spilled struct {
	Version    string               `json:"version"`
	Body       string               `json:"body"`
	Attributes map[string]Attribute `json:"attributes"`
	GroupID    string               `json:"group_id,omitempty"`
}

// Spill writes w as an S3 object: JSON, gzipped, with all that SendMessage needs.
func (w Wire) Spill() ([]byte, error) {
	var object bytes.Buffer
	packer := gzip.NewWriter(&object)
	err := json.NewEncoder(packer).Encode(spilled{ContractVersion, w.Body, w.Attributes, w.GroupID})
	if err != nil {
		return nil, fmt.Errorf("write spilled message: %w", err)
	}
	if err := packer.Close(); err != nil {
		return nil, fmt.Errorf("write spilled message: %w", err)
	}
	return object.Bytes(), nil
}

// Unspill reads what [Wire.Spill] wrote. The errors are [ErrVersion] and [ErrCorrupt].
func Unspill(object []byte) (Wire, error) {
	unpacker, err := gzip.NewReader(bytes.NewReader(object))
	if err != nil {
		return Wire{}, fmt.Errorf("%w: spilled message: %w", ErrCorrupt, err)
	}
	// A body that SQS takes has at most MaxMessageBytes; JSON writes a character in at
	// most six.
	var s spilled
	decoder := json.NewDecoder(io.LimitReader(unpacker, 6*MaxMessageBytes+MaxMessageBytes))
	if err := decoder.Decode(&s); err != nil {
		return Wire{}, fmt.Errorf("%w: spilled message is not JSON", ErrCorrupt)
	}
	if s.Version != ContractVersion {
		return Wire{}, fmt.Errorf("%w: spilled message has %q, this package reads %q", ErrVersion, s.Version, ContractVersion)
	}
	return Wire{Body: s.Body, Attributes: s.Attributes, GroupID: s.GroupID}, nil
}
