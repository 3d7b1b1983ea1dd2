package trtperfdb

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/go-sql-driver/mysql"

	"github.com/trtperf/trtperf/upload"
)

// Variables names the environment variables that hold credentials, for messages.
const Variables = "TRTPERF_MYSQL_USER and TRTPERF_MYSQL_PASSWORD (each also with _FILE)"

const form = "mysql://HOST[:PORT]/SCHEMA (mysqls:// with TLS)"

// Kind is the kind of store that this package is.
func Kind() upload.StoreKind {
	return upload.StoreKind{
		Schemes:   []string{"mysql", "mysqls"},
		Form:      form,
		Canonical: canonical,
		Check: func(target string, s upload.Settings) error {
			_, err := config(target, s)
			return err
		},
		Open: func(ctx context.Context, target string, s upload.Settings) (upload.Store, error) {
			return Open(target, s)
		},
		Init: Init,
	}
}

// schemaName is what the name of a schema may be, so that it needs no quoting anywhere.
var schemaName = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_$-]{0,63}$`)
})

// address is a target's parts. Host and port are empty where the target leaves them open.
type address struct {
	tls                bool
	host, port, schema string
}

func parseAddress(target string) (address, error) {
	scheme, rest, _ := strings.Cut(target, ":")
	a := address{tls: scheme == "mysqls"}
	rest, ok := strings.CutPrefix(rest, "//")
	server, schema, _ := strings.Cut(rest, "/")
	switch {
	case scheme != "mysql" && scheme != "mysqls" || !ok:
		return a, fmt.Errorf("write %s", form)
	case strings.Contains(rest, "@") || strings.ContainsAny(rest, "?#"):
		return a, fmt.Errorf("a target holds no credentials and no options: set %s", Variables)
	}
	a.schema = strings.TrimSuffix(schema, "/")
	if !schemaName().MatchString(a.schema) {
		return a, fmt.Errorf("the target names no schema that can be: write %s, as in mysql://db:3306/TRT_perf", form)
	}
	if server == "" {
		return a, nil
	}
	u, err := url.Parse("mysql://" + server)
	if err != nil || u.Host != server || u.Hostname() == "" {
		return a, fmt.Errorf("%q is no HOST:PORT: write %s", server, form)
	}
	a.host, a.port = strings.ToLower(u.Hostname()), u.Port()
	return a, nil
}

func canonical(target string) (string, error) {
	a, err := parseAddress(target)
	if err != nil {
		return "", err
	}
	scheme, server := "mysql", a.host
	if a.tls {
		scheme = "mysqls"
	}
	if strings.Contains(a.host, ":") {
		server = "[" + a.host + "]"
	}
	if a.port != "" {
		server += ":" + a.port
	}
	return scheme + "://" + server + "/" + a.schema, nil
}

const (
	dialTime = 10 * time.Second
	// requestTime bounds one statement's way to the server and back.
	requestTime = 60 * time.Second
)

// session are the settings of a connection. The mode makes the server refuse what it would otherwise cut or round to something else, and a
// lock that somebody else holds is waited for shorter than the server's own 50 seconds or, for a whole table, a day.
var session = map[string]string{
	"sql_mode":                 "'STRICT_ALL_TABLES,NO_ENGINE_SUBSTITUTION,ERROR_FOR_DIVISION_BY_ZERO'",
	"innodb_lock_wait_timeout": "5",
	"lock_wait_timeout":        "5",
}

// config makes the driver's configuration for a target out of the settings.
func config(target string, s upload.Settings) (*mysql.Config, error) {
	a, err := parseAddress(target)
	if err != nil {
		return nil, err
	}
	host, port := cmp.Or(a.host, s.Getenv("DB_HOST")), cmp.Or(a.port, s.Getenv("DB_PORT"), "3306")
	if host == "" {
		return nil, errors.New("the target names no host, and DB_HOST is not set")
	}
	c := mysql.NewConfig()
	c.Net, c.Addr, c.DBName = "tcp", net.JoinHostPort(host, port), a.schema
	if c.User, c.Passwd, err = credentials(s.Getenv); err != nil {
		return nil, err
	}
	if a.tls {
		roots, err := upload.Trusted(s.CAFile)
		if err != nil {
			return nil, err
		}
		c.TLS = &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	}
	c.Params = session
	c.Timeout, c.ReadTimeout, c.WriteTimeout = dialTime, requestTime, requestTime
	// Statements are filled in here, which saves two round trips for each. It is safe since the character set is one in which no byte of
	// a character can be taken for a quote or a backslash.
	c.InterpolateParams = true
	if err := c.Apply(mysql.Charset("utf8mb4", "utf8mb4_bin")); err != nil {
		return nil, err
	}
	c.MaxAllowedPacket = 0        // the server's
	c.ClientFoundRows = true      // rows that an update found, not only those that it changed
	c.Logger = &mysql.NopLogger{} // every error is an Answer
	return c, nil
}

// credentials reads user and password from the environment: TRTPERF_MYSQL_USER and TRTPERF_MYSQL_PASSWORD, else the DB_USER and DB_PASSWORD of
// trt_perf_parser.py. With _FILE behind the name the variable names a file that holds the value.
func credentials(getenv func(string) string) (user, password string, _ error) {
	for _, names := range [][2]string{{"TRTPERF_MYSQL_USER", "TRTPERF_MYSQL_PASSWORD"}, {"DB_USER", "DB_PASSWORD"}} {
		user, noUser := upload.Variable(getenv, names[0])
		password, noPassword := upload.Variable(getenv, names[1])
		switch err := errors.Join(noUser, noPassword); {
		case err != nil:
			return "", "", err
		case user != "":
			return user, password, nil
		case password != "":
			return "", "", fmt.Errorf("%s is set and %s is not", names[1], names[0])
		}
	}
	return "", "", fmt.Errorf("no user for the database: set %s, or DB_USER and DB_PASSWORD", Variables)
}
