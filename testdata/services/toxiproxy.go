package services

import (
	"fmt"
	"strings"
	"testing"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Toxiproxy is a TCP proxy that damages what goes through it.
type Toxiproxy struct{ *toxiproxy.Proxy }

// NewToxiproxy puts a proxy in front of an upstream HOST:PORT; its own is in Listen. It stops when the test ends.
func NewToxiproxy(t testing.TB, upstream string) Toxiproxy {
	t.Helper()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := toxiproxy.NewProxy(server, t.Name(), "127.0.0.1:0", upstream)
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Stop)
	return Toxiproxy{p}
}

// Add adds a toxic of a type to the "upstream" or the "downstream", with its attributes as the members of a JSON object: `"bytes": 100`.
// Connections that are open get it too.
func (p Toxiproxy) Add(t testing.TB, kind, stream, attributes string) {
	t.Helper()
	text := fmt.Sprintf(`{"type": %q, "stream": %q, "attributes": {%s}}`, kind, stream, attributes)
	if _, err := p.Toxics.AddToxicJson(strings.NewReader(text)); err != nil {
		t.Fatal(err)
	}
}

// Heal takes all toxics away.
func (p Toxiproxy) Heal(t testing.TB) {
	t.Helper()
	p.Toxics.ResetToxics(t.Context())
}
