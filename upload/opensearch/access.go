package opensearch

import (
	"errors"
	"fmt"

	"github.com/trtperf/trtperf/upload"
	"github.com/trtperf/trtperf/upload/endpoint"
)

// Variables names the environment variables that hold credentials, for messages.
const Variables = "TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_PASSWORD, or TRTPERF_OPENSEARCH_API_KEY (each also with _FILE)"

// Credentials reads the credentials of the environment: TRTPERF_OPENSEARCH_USER and _PASSWORD, or _API_KEY; with _FILE behind the name the
// variable names a file that holds the value. TRTPERF_OPENSEARCH_AUTH_HEADER is the header's name, Authorization unless set. Where none
// of these is set, TensorRT-LLM's own OPEN_SEARCH_DB_CREDENTIALS_USR and _PSW count.
func Credentials(getenv func(string) string) (endpoint.Access, error) {
	var failed error
	read := func(name string) string {
		value, err := upload.Variable(getenv, name)
		failed = errors.Join(failed, err)
		return value
	}
	user, password, key := read("TRTPERF_OPENSEARCH_USER"), read("TRTPERF_OPENSEARCH_PASSWORD"), read("TRTPERF_OPENSEARCH_API_KEY")
	header := read("TRTPERF_OPENSEARCH_AUTH_HEADER")
	if header == "" {
		header = "Authorization"
	}
	if user == "" && password == "" && key == "" {
		user, password = read("OPEN_SEARCH_DB_CREDENTIALS_USR"), read("OPEN_SEARCH_DB_CREDENTIALS_PSW")
	}
	switch {
	case failed != nil:
		return endpoint.Access{}, failed
	case key != "" && user != "":
		return endpoint.Access{}, errors.New("both a user and an API key are set for OpenSearch: unset one of TRTPERF_OPENSEARCH_USER and TRTPERF_OPENSEARCH_API_KEY")
	case key != "":
		return endpoint.Key(header, key)
	}
	access, err := endpoint.Basic(header, user, password)
	if err != nil {
		return endpoint.Access{}, fmt.Errorf("OpenSearch: %w: set %s", err, Variables)
	}
	return access, nil
}
