package main

import (
	"bytes"
	"context"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/trtperf/trtperf/testdata/services"
)

// TestSecretsShowNowhere gives every store's credentials, as variables and as files, on roads that succeed and roads that fail, and looks for
// them in all that is printed and in every file that is written.
func TestSecretsShowNowhere(t *testing.T) {
	const user, password, key = "u53r-n4me", "p4ssw0rd-s3cret", "k3y-s3cret"
	refusing := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// A proxy that says what it was told: the worst that can be on the way.
		w.WriteHeader(http.StatusForbidden)
		_ = r.Header.Write(w)
	}))
	t.Cleanup(refusing.Close)
	http403 := strings.TrimPrefix(refusing.URL, "http://")
	node := strings.TrimPrefix(services.OpenSearch(t), "http://")
	mysql := services.MariaDB(t)
	secretFile := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(secretFile, []byte(password+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	inVariables := map[string]string{"TRTPERF_OPENSEARCH_USER": user, "TRTPERF_OPENSEARCH_PASSWORD": password, "TRTPERF_MYSQL_USER": user, "TRTPERF_MYSQL_PASSWORD": password}
	inFiles := map[string]string{"TRTPERF_OPENSEARCH_USER": user, "TRTPERF_OPENSEARCH_PASSWORD_FILE": secretFile, "TRTPERF_MYSQL_USER": user, "TRTPERF_MYSQL_PASSWORD_FILE": secretFile}
	incumbents := map[string]string{"OPEN_SEARCH_DB_CREDENTIALS_USR": user, "OPEN_SEARCH_DB_CREDENTIALS_PSW": password, "DB_USER": user, "DB_PASSWORD": password}
	apiKey := map[string]string{"TRTPERF_OPENSEARCH_API_KEY": key}
	targets := []string{"opensearch+http://" + node + "/secrets", "opensearch+http://" + http403 + "/secrets", "opensearch+http://127.0.0.1:1/secrets",
		"posting+http://" + http403 + "/sandbox-secrets", "posting+http://" + http403 + "/secrets", "mysql://" + mysql + "/secrets", "mysql://127.0.0.1:1/secrets"}
	secrets := []string{password, key, user + ":", "dTUzci1uNG1lOn"} // the last is the beginning of both in base64
	for name, env := range map[string]map[string]string{"variables": inVariables, "files": inFiles, "incumbents": incumbents, "key": apiKey} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			var said bytes.Buffer
			for _, target := range append(targets, "opensearch+https://"+user+":"+password+"@host:9200/p", "mysql://"+user+":"+password+"@host/p") {
				for _, command := range [][]string{{"process", "../../testdata/runs/single-agg"}, {"upload", "--resume"}, {"upload", "--status"}, {"upload", "verify"},
					{"upload", "init"}, {"upload", "--dry-run", "../../testdata/runs/single-agg"}} {
					args := append(command, "-v", "--to", target)
					if command[0] == "process" || len(command) > 1 && command[1] != "init" {
						args = append(args, "-o", dir)
					}
					if command[0] == "process" || command[1] == "--resume" {
						args = append(args, "--deadline", "1ms")
					}
					for _, more := range []string{"", "--json"} {
						out := &bytes.Buffer{}
						run(context.Background(), append(args, strings.Fields(more)...), stdio{strings.NewReader(""), out, out, func(name string) string { return env[name] }})
						said.Write(out.Bytes())
					}
				}
			}
			if said.Len() < 1000 {
				t.Fatalf("hardly anything was printed:\n%s", said.String())
			}
			look := func(where string, text []byte) {
				for _, secret := range secrets {
					if at := bytes.Index(text, []byte(secret)); at >= 0 {
						t.Errorf("%s shows %q: …%s…", where, secret, text[max(0, at-200):min(len(text), at+100)])
					}
				}
			}
			look("the output", said.Bytes())
			err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
				if err != nil || d.IsDir() {
					return err
				}
				text, err := os.ReadFile(path)
				look(path, text)
				return err
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
}
