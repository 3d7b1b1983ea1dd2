package endpoint

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Access is how a client shows who it is. The zero value shows nothing.
type Access struct {
	// header is the name of the HTTP header, and value all of it.
	header, value string
	// secrets are the texts that nobody may see.
	secrets []string
}

// Basic returns the access of a user with a password; without both it shows nothing.
func Basic(header, user, password string) (Access, error) {
	switch {
	case (user == "") != (password == ""):
		return Access{}, errors.New("a user without a password, or the other way round")
	case user == "":
		return Access{}, nil
	}
	encoded := base64.StdEncoding.EncodeToString([]byte(user + ":" + password))
	return access(header, "Basic "+encoded, encoded, password)
}

// Key returns the access of an API key.
func Key(header, key string) (Access, error) { return access(header, "ApiKey "+key, key) }

func access(header, value string, secrets ...string) (Access, error) {
	if header == "" || strings.ContainsAny(header, " \t\r\n:") || strings.ContainsAny(value, "\r\n\x00") {
		return Access{}, errors.New("the credentials hold a character that an HTTP header cannot")
	}
	return Access{header, value, secrets}, nil
}

// IsZero reports whether the access shows nothing.
func (a Access) IsZero() bool { return a.value == "" }

// Check refuses to show credentials where others can read them. The remedy says what to write instead.
func (a Access) Check(addresses []string, remedy string) error {
	if a.IsZero() {
		return nil
	}
	for _, address := range addresses {
		u, err := url.Parse(address)
		if err != nil {
			return errors.New("the address of the server cannot be read")
		}
		if u.Scheme != "https" && !Loopback(address) {
			return fmt.Errorf("credentials are set, and %s would get them without encryption: %s", u.Host, remedy)
		}
	}
	return nil
}

// Loopback reports whether an address is this machine's own.
func Loopback(address string) bool {
	u, err := url.Parse(address)
	if err != nil {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Hostname() == "localhost" || ip != nil && ip.IsLoopback()
}

// Hide takes the secrets out of a text, such as an answer that repeats what it was sent.
func (a Access) Hide(text string) string {
	for _, secret := range a.secrets {
		text = strings.ReplaceAll(text, secret, "…")
	}
	return text
}

// String hides the value.
func (a Access) String() string {
	if a.IsZero() {
		return "no credentials"
	}
	return "credentials in " + a.header
}

// GoString hides the value.
func (a Access) GoString() string { return a.String() }
