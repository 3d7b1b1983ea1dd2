package opensearch

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
	"strings"
)

// Variables names the environment variables that hold credentials, for messages.
const Variables = "TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_PASSWORD, or TRTPERF_OPENSEARCH_API_KEY (each also with _FILE)"

// Access is how a client shows who it is. The zero value shows nothing.
type Access struct {
	// header is the name of the HTTP header, and value all of it.
	header, value string
}

// Credentials reads the credentials of the environment: TRTPERF_OPENSEARCH_USER and _PASSWORD, or _API_KEY; with _FILE behind the name the
// variable names a file that holds the value. TRTPERF_OPENSEARCH_AUTH_HEADER is the header's name, Authorization unless set. Where none
// of these is set, TensorRT-LLM's own OPEN_SEARCH_DB_CREDENTIALS_USR and _PSW count.
func Credentials(getenv func(string) string) (Access, error) {
	a := Access{header: "Authorization"}
	var failed error
	read := func(name string) string {
		if value := getenv(name); value != "" {
			return value
		}
		file := getenv(name + "_FILE")
		if file == "" {
			return ""
		}
		text, err := os.ReadFile(file)
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("%s_FILE: %w", name, err))
		}
		return strings.TrimRight(string(text), "\r\n")
	}
	user, password, key := read("TRTPERF_OPENSEARCH_USER"), read("TRTPERF_OPENSEARCH_PASSWORD"), read("TRTPERF_OPENSEARCH_API_KEY")
	if header := read("TRTPERF_OPENSEARCH_AUTH_HEADER"); header != "" {
		a.header = header
	}
	if user == "" && password == "" && key == "" {
		user, password = read("OPEN_SEARCH_DB_CREDENTIALS_USR"), read("OPEN_SEARCH_DB_CREDENTIALS_PSW")
	}
	switch {
	case failed != nil:
		return Access{}, failed
	case key != "" && user != "":
		return Access{}, errors.New("both a user and an API key are set for OpenSearch: unset one of TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_API_KEY")
	case key != "":
		a.value = "ApiKey " + key
	case (user == "") != (password == ""):
		return Access{}, fmt.Errorf("a user without a password, or the other way round: set %s", Variables)
	case user != "":
		a.value = "Basic " + base64.StdEncoding.EncodeToString([]byte(user+":"+password))
	}
	if strings.ContainsAny(a.header, " \t\r\n:") || strings.ContainsAny(a.value, "\r\n") {
		return Access{}, errors.New("the OpenSearch credentials hold a character that an HTTP header cannot")
	}
	return a, nil
}

// check refuses to send credentials where others can read them.
func (a Access) check(addresses []string) error {
	if a.value == "" {
		return nil
	}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			return fmt.Errorf("address of OpenSearch: %w", err)
		}
		ip := net.ParseIP(u.Hostname())
		if u.Scheme != "https" && u.Hostname() != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return fmt.Errorf("credentials are set, and %s would get them without encryption: write opensearch+https://", u.Host)
		}
	}
	return nil
}

// wrap makes a transport show the credentials.
func (a Access) wrap(next http.RoundTripper) http.RoundTripper {
	if a.value == "" {
		return next
	}
	return shower{a, next}
}

type shower struct {
	Access
	next http.RoundTripper
}

func (s shower) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set(s.header, s.value)
	return s.next.RoundTrip(r)
}

// String hides the value.
func (a Access) String() string {
	if a.value == "" {
		return "no credentials"
	}
	return "credentials in " + a.header
}

// GoString hides the value.
func (a Access) GoString() string { return a.String() }
