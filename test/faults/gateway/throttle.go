package gateway

import (
	"sync"
	"time"
)

// bucket is the token bucket of API Gateway's throttle.
// https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-request-throttling.html
type bucket struct {
	mu          sync.Mutex
	rate, burst int
	tokens      float64
	at          time.Time
}

func (b *bucket) set(rate, burst int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.rate, b.burst, b.at = rate, burst, time.Time{}
}

func (b *bucket) take(now time.Time) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.at.IsZero() {
		b.tokens = float64(b.burst)
	} else {
		b.tokens = min(float64(b.burst), b.tokens+now.Sub(b.at).Seconds()*float64(b.rate))
	}
	b.at = now
	if b.tokens < 1 {
		return false
	}
	b.tokens--
	return true
}
