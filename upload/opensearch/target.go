package opensearch

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
const form = "opensearch+https://HOST:PORT[,HOST:PORT…][/PREFIX]/PROJECT (or opensearch+http://…)"

// Kind is OpenSearch as a kind of store.
func Kind() upload.StoreKind {
	return upload.StoreKind{
		Schemes: []string{"opensearch+https", "opensearch+http"},
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
		Init: func(ctx context.Context, target string, s upload.Settings, _ bool) ([]string, error) {
			store, err := openTarget(target, s)
			if err != nil {
				return nil, err
			}
			defer store.Close()
			done, failed := store.prepare(ctx)
			if failed != nil {
				return done, errors.New(failed.Reason)
			}
			return done, ctx.Err()
		},
	}
}

func openTarget(target string, s upload.Settings) (*Store, error) {
	a, err := parseAddress(target)
	if err != nil {
		return nil, err
	}
	access, err := Credentials(s.Getenv)
	if err != nil {
		return nil, err
	}
	return New(Config{Addresses: a.urls(), Project: a.project, Access: access, CAFile: s.CAFile, Table: s.Table, Note: s.Note, Now: s.Now})
}

// address is a target's parts.
type address struct {
	scheme          string
	hosts           []string
	prefix, project string // the prefix with its slash, or empty
}

// projectName is what may stand in an index's name.
var projectName = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]*$`)

func parseAddress(target string) (address, error) {
	scheme, rest, _ := strings.Cut(target, ":")
	scheme, known := strings.CutPrefix(scheme, "opensearch+")
	rest, ok := strings.CutPrefix(rest, "//")
	hosts, path, _ := strings.Cut(rest, "/")
	switch {
	case !known || !ok || scheme != "https" && scheme != "http":
		return address{}, fmt.Errorf("an OpenSearch target is written %s", form)
	case strings.Contains(hosts, "@") || strings.ContainsAny(rest, "?#"):
		return address{}, fmt.Errorf("a target holds no credentials and no options: set %s", Variables)
	}
	path = strings.Trim(path, "/")
	a := address{scheme: scheme, project: path}
	if i := strings.LastIndexByte(path, '/'); i >= 0 {
		a.prefix, a.project = "/"+path[:i], path[i+1:]
	}
	if hosts == "" || a.project == "" {
		return address{}, fmt.Errorf("an OpenSearch target needs a host and a project: write %s", form)
	}
	if !projectName.MatchString(a.project) {
		return address{}, fmt.Errorf("the project %q cannot be part of an index's name: lower-case letters, digits, '-', '_' and '.' can", a.project)
	}
	for host := range strings.SplitSeq(hosts, ",") {
		u, err := url.Parse(scheme + "://" + host)
		if err != nil || u.Host != host || u.Hostname() == "" {
			return address{}, fmt.Errorf("%q is no HOST:PORT: write %s", host, form)
		}
		a.hosts = append(a.hosts, host)
	}
	return a, nil
}

// urls are the servers' base URLs.
func (a address) urls() []string {
	var all []string
	for _, host := range a.hosts {
		all = append(all, a.scheme+"://"+host+a.prefix)
	}
	return all
}

// String returns the target in the one form under which the outbox knows it.
func (a address) String() string {
	if a.project == "" {
		return ""
	}
	return "opensearch+" + a.scheme + "://" + strings.Join(a.hosts, ",") + a.prefix + "/" + a.project
}

// words are what messages say.
var words = endpoint.Words{Server: "OpenSearch", Credentials: Variables}
