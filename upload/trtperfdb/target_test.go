package trtperfdb_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/trtperf/trtperf/parse"
	"github.com/trtperf/trtperf/testdata/services"
	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/trtperfdb"
)

func TestCanonical(t *testing.T) {
	kind := trtperfdb.Kind()
	for text, want := range map[string]string{
		"mysql://db:3306/TRT_perf":          "mysql://db:3306/TRT_perf",
		"mysql://DB.example:3306/TRT_perf/": "mysql://db.example:3306/TRT_perf",
		"mysqls://db/TRT_perf":              "mysqls://db/TRT_perf",
		"mysql:///TRT_perf":                 "mysql:///TRT_perf",
		"mysql://[::1]:3306/x-y$z":          "mysql://[::1]:3306/x-y$z",
	} {
		got, err := kind.Canonical(text)
		if err != nil || got != want {
			t.Errorf("%s: %s, %v", text, got, err)
		}
		if again, err := kind.Canonical(got); err != nil || again != got {
			t.Errorf("%s again: %s, %v", got, again, err)
		}
	}
	for text, want := range map[string]string{
		"mysql:db/x":                     "write mysql://",
		"mysql://db":                     "no schema",
		"mysql://db/":                    "no schema",
		"mysql://db/a`b":                 "no schema",
		"mysql://db/a/b":                 "no schema",
		"mysql://u:secret@db/x":          "TRTPERF_MYSQL_USER",
		"mysql://db/x?tls=true&p=secret": "no options",
		"mysql://a b/x":                  "no HOST:PORT",
		"mysql://db:port/x":              "no HOST:PORT",
		"postgres://db/x":                "write mysql://",
	} {
		_, err := kind.Canonical(text)
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
	// The incumbents' variables fill in what a target leaves open, and nothing else.
	for _, c := range []struct {
		target, want string
		env          []string
	}{
		{"mysql:///x", "DB_HOST is not set", []string{"DB_USER", "u"}},
		{"mysql:///x", "", []string{"DB_USER", "u", "DB_HOST", "127.0.0.1"}},
		{"mysql://db/x", "", []string{"DB_USER", "u", "DB_PORT", "3307"}},
		{"mysqls://db/x", "CA file", []string{"DB_USER", "u"}},
	} {
		err := kind.Check(c.target, upload.Settings{Getenv: environment(c.env...), CAFile: "/absent"})
		if (err == nil) != (c.want == "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", c.target, err, c.want)
		}
	}
}

// TestOpenTarget sends to the server that DB_HOST and DB_PORT name.
func TestOpenTarget(t *testing.T) {
	d := newDatabase(t, services.MariaDB(t), documented...)
	host, port, err := net.SplitHostPort(d.server)
	if err != nil {
		t.Fatal(err)
	}
	for target, env := range map[string][]string{
		"mysql:///" + d.name:               {"DB_USER", "root", "DB_HOST", host, "DB_PORT", port},
		"mysql://" + host + "/" + d.name:   {"DB_USER", "root", "DB_HOST", "absent.invalid", "DB_PORT", port},
		"mysql://localhost:1/" + d.name:    {"DB_USER", "root", "DB_HOST", host, "DB_PORT", port},
		"mysqls://" + d.server + "/" + "x": {"DB_USER", "root"},
	} {
		s, err := trtperfdb.Kind().Open(t.Context(), target, upload.Settings{Getenv: environment(env...), Table: parse.Metrics()})
		if err != nil {
			t.Fatal(err)
		}
		a := put(t, s, item(whole(1)))[0]
		switch {
		case strings.Contains(target, ":1/"):
			if a.Outcome != parse.Owed || a.Mend {
				t.Errorf("%s: %+v", target, a)
			}
		case strings.HasPrefix(target, "mysqls"):
			if a.Outcome != parse.Owed || !strings.Contains(a.Reason, "has no TLS") {
				t.Errorf("%s: %+v", target, a)
			}
		case a.Outcome == parse.Owed:
			t.Errorf("%s: %+v", target, a)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// certificates makes a CA and a certificate of it for a name, and returns the files.
func certificates(t *testing.T, name string) (ca, cert, key string) {
	t.Helper()
	dir := t.TempDir()
	write := func(name, kind string, der []byte) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	newKey := func() *ecdsa.PrivateKey {
		k, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return k
	}
	parent := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test-ca"}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	leaf := &x509.Certificate{SerialNumber: big.NewInt(2), Subject: pkix.Name{CommonName: name}, NotBefore: time.Now().Add(-time.Hour),
		NotAfter: time.Now().Add(time.Hour)}
	if ip := net.ParseIP(name); ip != nil {
		leaf.IPAddresses = []net.IP{ip}
	} else {
		leaf.DNSNames = []string{name}
	}
	caKey, leafKey := newKey(), newKey()
	caDER, err := x509.CreateCertificate(rand.Reader, parent, parent, &caKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	leafDER, err := x509.CreateCertificate(rand.Reader, leaf, parent, &leafKey.PublicKey, caKey)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(leafKey)
	if err != nil {
		t.Fatal(err)
	}
	return write("ca.pem", "CERTIFICATE", caDER), write("cert.pem", "CERTIFICATE", leafDER), write("key.pem", "PRIVATE KEY", keyDER)
}

func TestTLS(t *testing.T) {
	t.Parallel()
	ca, cert, key := certificates(t, "127.0.0.1")
	server := services.NewMariaDB(t, "ssl_ca="+ca, "ssl_cert="+cert, "ssl_key="+key)
	d := newDatabase(t, server.Start(t), documented...)
	_, port, _ := net.SplitHostPort(d.server)
	for _, c := range []struct{ target, ca, want string }{
		{"mysqls://127.0.0.1:" + port, ca, ""},
		{"mysqls://127.0.0.1:" + port, "", "--ca-file"},
		{"mysqls://localhost:" + port, ca, "localhost"},
		{"mysql://127.0.0.1:" + port, "", ""},
	} {
		s, err := trtperfdb.Open(c.target+"/"+d.name, upload.Settings{Getenv: environment("DB_USER", "root"), CAFile: c.ca, Table: parse.Metrics()})
		if err != nil {
			t.Fatal(err)
		}
		a := put(t, s, item(whole(1)))[0]
		if c.want == "" && a.Outcome == parse.Owed || c.want != "" && (a.Outcome != parse.Owed || !a.Mend || !strings.Contains(a.Reason, c.want)) {
			t.Errorf("%s with %q: %+v", c.target, c.ca, a)
		}
		s.Close()
	}
	d.do(t, "SET GLOBAL require_secure_transport = ON")
	a := put(t, open(t, d.target()), item(whole(2)))[0]
	if a.Outcome != parse.Owed || !strings.Contains(a.Reason, "mysqls://") {
		t.Errorf("%+v", a)
	}
	d.do(t, "SET GLOBAL require_secure_transport = OFF")
}
