package standin

import (
	"crypto/tls"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
)

// listener knows the connections that it accepted, so that they can be broken.
type listener struct {
	net.Listener
	mu   sync.Mutex
	open map[*connection]bool
}

// connection is one of them.
type connection struct {
	*net.TCPConn
	of     *listener
	silent atomic.Bool // nothing gets through any more, and nobody says so
}

func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &connection{TCPConn: accepted.(*net.TCPConn), of: l}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open[c] = true
	return c, nil
}

func (l *listener) each(do func(*connection)) {
	l.mu.Lock()
	var all []*connection
	for c := range l.open {
		all = append(all, c)
	}
	l.mu.Unlock()
	for _, c := range all {
		do(c)
	}
}

// Read swallows what arrives after the connection has fallen silent.
func (c *connection) Read(p []byte) (int, error) {
	for {
		n, err := c.TCPConn.Read(p)
		if err == nil && c.silent.Load() {
			continue
		}
		return n, err
	}
}

func (c *connection) Write(p []byte) (int, error) {
	if c.silent.Load() {
		return len(p), nil
	}
	return c.TCPConn.Write(p)
}

func (c *connection) Close() error {
	c.of.mu.Lock()
	delete(c.of.open, c)
	c.of.mu.Unlock()
	return c.TCPConn.Close()
}

func (c *connection) reset() {
	_ = c.SetLinger(0) // RST instead of FIN; where it fails, closing is fault enough
	_ = c.Close()
}

// ResetConnections resets every connection that is open now.
func (s *Server) ResetConnections() { s.listener.each((*connection).reset) }

// CloseConnections closes every connection that is open now.
func (s *Server) CloseConnections() { s.listener.each(func(c *connection) { _ = c.Close() }) }

// SilenceConnections lets every connection that is open now stay open, with nothing
// coming through any more: what a NAT gateway or a load balancer leaves of a connection
// that it has forgotten.
func (s *Server) SilenceConnections() {
	s.listener.each(func(c *connection) { c.silent.Store(true) })
}

// connectionKey is the context's key for a request's connection.
type connectionKey struct{}

// reset resets the connection of a request, with all that is under way on it.
func (c *Call) reset() {
	c.request.Context().Value(connectionKey{}).(*tls.Conn).NetConn().(*connection).reset()
	panic(http.ErrAbortHandler)
}
