package upload

import (
	"errors"
	"fmt"
	"net/url"
	"path/filepath"
	"regexp"
	"strings"
)

// Kind names a kind of store.
type Kind string

const (
	SQLite     Kind = "sqlite"
	OpenSearch Kind = "opensearch"
)

// Target is where Results are delivered to.
type Target struct {
	Kind Kind
	// Path is an SQLite file's, absolute.
	Path string
	// Addresses are the servers' base URLs: "https://host:9200", with a prefix where there is one.
	Addresses []string
	// Project is OpenSearch's project; the index is named after it.
	Project string
}

// forms says how targets are written.
const forms = "write sqlite:PATH or opensearch+https://HOST:PORT[,HOST:PORT…][/PREFIX]/PROJECT (or opensearch+http://…)"

// projectName is what may stand in an index's name.
var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

// ParseTarget reads a target's URL. Credentials do not stand in it.
func ParseTarget(text string) (Target, error) {
	scheme, rest, _ := strings.Cut(text, ":")
	switch scheme {
	case "sqlite":
		if rest == "" {
			return Target{}, fmt.Errorf("target %q names no file: %s", text, forms)
		}
		abs, err := filepath.Abs(rest)
		if err != nil {
			return Target{}, err
		}
		return Target{Kind: SQLite, Path: abs}, nil
	case "opensearch+https", "opensearch+http":
		return parseOpenSearch(strings.TrimPrefix(scheme, "opensearch+"), rest)
	case "mysql", "posting+https", "posting+http":
		return Target{}, fmt.Errorf("targets of kind %s are not available in this version: %s", scheme, forms)
	}
	return Target{}, fmt.Errorf("unknown target: %s", forms)
}

func parseOpenSearch(scheme, rest string) (Target, error) {
	t := Target{Kind: OpenSearch}
	rest, ok := strings.CutPrefix(rest, "//")
	hosts, path, _ := strings.Cut(rest, "/")
	if strings.Contains(hosts, "@") || strings.ContainsAny(rest, "?#") {
		return t, errors.New("a target holds no credentials and no options: set TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_PASSWORD," +
			" or TRTPERF_OPENSEARCH_API_KEY, each also with _FILE for a file that holds it")
	}
	path = strings.Trim(path, "/")
	prefix, project := "", path
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		prefix, project = "/"+path[:i], path[i+1:]
	}
	if !ok || hosts == "" || project == "" {
		return t, fmt.Errorf("an OpenSearch target needs a host and a project: %s", forms)
	}
	if !projectName.MatchString(project) {
		return t, fmt.Errorf("the project %q cannot be part of an index's name: lower-case letters, digits, '-', '_' and '.' can", project)
	}
	t.Project = project
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse(scheme + "://" + host)
		if err != nil || u.Host == "" || u.Host != host || u.Hostname() == "" {
			return t, fmt.Errorf("%q is no HOST:PORT: %s", host, forms)
		}
		t.Addresses = append(t.Addresses, scheme+"://"+host+prefix)
	}
	return t, nil
}

// String returns the target in the one form under which the outbox knows it.
func (t Target) String() string {
	if t.Kind == SQLite {
		return "sqlite:" + t.Path
	}
	scheme, first, _ := strings.Cut(t.Addresses[0], "://")
	host, prefix, found := strings.Cut(first, "/")
	if found {
		prefix = "/" + prefix
	}
	hosts := []string{host}
	for _, a := range t.Addresses[1:] {
		_, other, _ := strings.Cut(a, "://")
		hosts = append(hosts, strings.TrimSuffix(other, prefix))
	}
	return "opensearch+" + scheme + "://" + strings.Join(hosts, ",") + prefix + "/" + t.Project
}
