package notification

import (
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
	"time"
)

// MaxBodyBytes bounds what [Decode] unpacks. API Gateway hands a function at most
// 4.5 MB of body (6 MB of base64), so a larger one was not made by the front door.
// https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
const MaxBodyBytes = 6 << 20

var (
	// ErrVersion: the message was written by a front door with another contract.
	ErrVersion = errors.New("unknown contract version")
	// ErrCorrupt: the message says how to read it and cannot be read that way.
	ErrCorrupt = errors.New("message is corrupt")
)

// Decode reads what [Notification.Encode] wrote: an SQS message's body, and the
// string values of its attributes by name (ask ReceiveMessage for all of them:
// MessageAttributeNames = "All"). The errors are [ErrVersion] and [ErrCorrupt];
// attributes that are missing leave their field empty.
func Decode(body string, attributes map[string]string) (Notification, error) {
	if v := attributes[AttrContractVersion]; v != ContractVersion {
		return Notification{}, fmt.Errorf("%w: %q, this package reads %q (was the message sent by something else, or received without its attributes?)", ErrVersion, v, ContractVersion)
	}
	n := Notification{
		ID:        attributes[AttrNotificationID],
		Type:      attributes[AttrType],
		GrantID:   attributes[AttrGrantID],
		RequestID: attributes[AttrRequestID],
		ReplayID:  attributes[AttrReplay],
	}
	var err error
	switch encoding := attributes[AttrEncoding]; encoding {
	case "":
		n.Body = []byte(body)
	case EncodingGzipBase64:
		if n.Body, err = gunzipBase64(body); err != nil {
			return Notification{}, fmt.Errorf("%w: body: %w", ErrCorrupt, err)
		}
	default:
		return Notification{}, fmt.Errorf("%w: unknown content encoding %q", ErrCorrupt, encoding)
	}
	if text := attributes[AttrAttempt]; text != "" {
		if n.Attempt, err = strconv.Atoi(text); err != nil {
			return Notification{}, fmt.Errorf("%w: %s is not a number", ErrCorrupt, AttrAttempt)
		}
	}
	if text := attributes[AttrReceivedAt]; text != "" {
		if n.ReceivedAt, err = time.Parse(time.RFC3339, text); err != nil {
			return Notification{}, fmt.Errorf("%w: %s is not a time in RFC 3339", ErrCorrupt, AttrReceivedAt)
		}
	}
	if text := attributes[AttrSignature]; text != "" {
		if n.Signature, err = ParseSignature(text); err != nil {
			return Notification{}, fmt.Errorf("%w: %s: %w", ErrCorrupt, AttrSignature, err)
		}
	}
	return n, nil
}

func gzipBase64(body []byte) (string, error) {
	var text strings.Builder
	encoder := base64.NewEncoder(base64.StdEncoding, &text)
	packer := gzip.NewWriter(encoder)
	if _, err := packer.Write(body); err != nil {
		return "", err
	}
	if err := packer.Close(); err != nil {
		return "", err
	}
	if err := encoder.Close(); err != nil {
		return "", err
	}
	return text.String(), nil
}

func gunzipBase64(text string) ([]byte, error) {
	unpacker, err := gzip.NewReader(base64.NewDecoder(base64.StdEncoding, strings.NewReader(text)))
	if err != nil {
		return nil, err
	}
	var body bytes.Buffer
	// One byte more than allowed, to tell a full body from a bomb.
	n, err := io.Copy(&body, io.LimitReader(unpacker, MaxBodyBytes+1))
	if err != nil {
		return nil, err
	}
	if n > MaxBodyBytes {
		return nil, fmt.Errorf("unpacks to more than %d bytes", MaxBodyBytes)
	}
	return body.Bytes(), nil
}
