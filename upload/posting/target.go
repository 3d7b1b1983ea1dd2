package posting

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"

	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/endpoint"
)

// form is how a target is written.
const form = "posting+https://HOST[:PORT][/PREFIX]/PROJECT, without HOST where OPEN_SEARCH_DB_BASE_URL tells it (or posting+http://… to this machine)"

// Variables names the environment variables that hold credentials, for messages.
const Variables = "TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_PASSWORD (each also with _FILE), or OPEN_SEARCH_DB_CREDENTIALS_USR and _PSW"

// baseVariable is the incumbents' variable for the gateway's URL.
const baseVariable = "OPEN_SEARCH_DB_BASE_URL"

// Kind is the gateway as a kind of store.
func Kind() upload.StoreKind {
	return upload.StoreKind{
		Schemes: []string{"posting+https", "posting+http"},
		Form:    form,
		Canonical: func(target string) (string, error) {
			a, err := parseAddress(target)
			return a.String(), err
		},
		Check: func(target string, s upload.Settings) error {
			store, err := openTarget(target, s)
			if err != nil {
				return err
			}
			return store.Close()
		},
		Open: func(_ context.Context, target string, s upload.Settings) (upload.Store, error) {
			return openTarget(target, s)
		},
	}
}

func openTarget(target string, s upload.Settings) (*Store, error) {
	a, err := parseAddress(target)
	if err != nil {
		return nil, err
	}
	base := a.scheme + "://" + a.host + a.prefix
	if a.host == "" {
		if base, err = baseOf(s.Getenv, a.scheme); err != nil {
			return nil, err
		}
	}
	if a.scheme == "http" && !endpoint.Loopback(base) {
		return nil, errors.New("plain http is for gateways on this machine: write posting+https://")
	}
	access, err := credentials(s.Getenv, a.project)
	if err != nil {
		return nil, err
	}
	return New(Config{Base: base, Project: a.project, Access: access, CAFile: s.CAFile, Table: s.Table, Now: s.Now})
}

// baseOf is the gateway's URL from the environment.
func baseOf(getenv func(string) string, scheme string) (string, error) {
	text, err := upload.Variable(getenv, baseVariable)
	if err != nil {
		return "", err
	}
	if text == "" {
		return "", fmt.Errorf("the target names no host, and %s is not set: write %s", baseVariable, form)
	}
	u, err := url.Parse(strings.TrimRight(text, "/"))
	switch {
	case err != nil || u.Hostname() == "":
		return "", fmt.Errorf("%s is no URL of a server", baseVariable)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return "", fmt.Errorf("%s holds more than a server and a path: credentials are set as %s", baseVariable, Variables)
	case u.Scheme != scheme:
		return "", fmt.Errorf("%s begins with %s://, and the target asks for %s://", baseVariable, u.Scheme, scheme)
	}
	return u.String(), nil
}

// credentials are those of a project. A sandbox gets none.
func credentials(getenv func(string) string, project string) (endpoint.Access, error) {
	if strings.Contains(project, "sandbox") {
		return endpoint.Access{}, nil
	}
	var user, password string
	for _, names := range [][2]string{
		{"TRTPERF_OPENSEARCH_USER", "TRTPERF_OPENSEARCH_PASSWORD"},
		{"OPEN_SEARCH_DB_CREDENTIALS_USR", "OPEN_SEARCH_DB_CREDENTIALS_PSW"},
	} {
		var failed [2]error
		user, failed[0] = upload.Variable(getenv, names[0])
		password, failed[1] = upload.Variable(getenv, names[1])
		if err := errors.Join(failed[:]...); err != nil {
			return endpoint.Access{}, err
		}
		if user != "" || password != "" {
			break
		}
	}
	if user == "" || password == "" {
		return endpoint.Access{}, fmt.Errorf("the gateway takes the project %s with credentials alone: set %s", project, Variables)
	}
	return endpoint.Basic("Proxy-Authorization", user, password)
}

// address is a target's parts. The host is empty where the target leaves it open.
type address struct{ scheme, host, prefix, project string }

// projectName is what may stand in an index's name.
var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

func parseAddress(target string) (address, error) {
	scheme, rest, _ := strings.Cut(target, ":")
	scheme, known := strings.CutPrefix(scheme, "posting+")
	rest, ok := strings.CutPrefix(rest, "//")
	host, path, _ := strings.Cut(rest, "/")
	switch {
	case !known || !ok || scheme != "https" && scheme != "http":
		return address{}, fmt.Errorf("a gateway is written %s", form)
	case strings.Contains(host, "@") || strings.ContainsAny(rest, "?#"):
		return address{}, fmt.Errorf("a target holds no credentials and no options: set %s", Variables)
	}
	a := address{scheme: scheme, host: host, project: strings.Trim(path, "/")}
	if i := strings.LastIndexByte(a.project, '/'); i >= 0 {
		a.prefix, a.project = "/"+a.project[:i], a.project[i+1:]
	}
	if !projectName.MatchString(a.project) {
		return address{}, fmt.Errorf("%q is no project: write %s", a.project, form)
	}
	if host == "" {
		if a.prefix != "" {
			return address{}, fmt.Errorf("a prefix needs a host before it: write %s", form)
		}
		return a, nil
	}
	if u, err := url.Parse(scheme + "://" + host); err != nil || u.Host != host || u.Hostname() == "" || strings.Contains(host, ",") {
		return address{}, fmt.Errorf("%q is no HOST or HOST:PORT: write %s", host, form)
	}
	return a, nil
}

// String returns the target in the one form under which the outbox knows it.
func (a address) String() string {
	if a.project == "" {
		return ""
	}
	return "posting+" + a.scheme + "://" + a.host + a.prefix + "/" + a.project
}
