package main

import (
	"crypto/hmac"
	"crypto/md5" //nolint:gosec // it is SQS's checksum
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"time"
)

// measureLimit returns how long base64, HMAC-SHA256 and MD5 of a body take, in
// microseconds.
func measureLimit(bytes int) (float64, error) {
	body := standard(bytes, 1).body()
	text := base64.StdEncoding.EncodeToString(body)
	into := make([]byte, len(text))
	times := 20_000_000/bytes + 1 // some 50 ms
	began := time.Now()
	for range times {
		n, err := base64.StdEncoding.Decode(into, []byte(text))
		if err != nil {
			return 0, fmt.Errorf("measure the limit: %w", err)
		}
		mac := hmac.New(sha256.New, []byte(secret))
		mac.Write(into[:n])
		mac.Sum(nil)
		md5.Sum(into[:n]) //nolint:gosec // it is SQS's checksum
	}
	return microseconds(time.Since(began)) / float64(times), nil
}
