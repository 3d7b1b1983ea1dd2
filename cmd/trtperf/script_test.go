package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"trtperf": main})
}

// TestScripts runs the stories in testdata/script: each shows what a user sees of one. Set TRTPERF_UPDATE=1 to write the expected
// outputs anew.
func TestScripts(t *testing.T) {
	root, err := filepath.Abs("../../testdata")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 filepath.Join(root, "script"),
		UpdateScripts:       os.Getenv("TRTPERF_UPDATE") != "",
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("RUNS", filepath.Join(root, "runs"))
			e.Setenv("LOGS", filepath.Join(root, "logs"))
			e.Setenv("SERVICES", filepath.Join(root, "services"))
			e.Setenv("PYTESTS", filepath.Join(root, "pytest", "suite"))
			e.Setenv("TREE", filepath.Join(root, "tree"))
			return nil
		},
		Condition: func(name string) (bool, error) {
			program, known := map[string]string{"opensearch": "mvn", "mariadb": "mariadb", "pytest": "python3", "slurm": "sbatch"}[name]
			if !known {
				return false, fmt.Errorf("unknown condition %q", name)
			}
			// Where the servers are demanded, a script must fail for want of one and not be skipped.
			_, missing := exec.LookPath(program)
			return os.Getenv("TRTPERF_REQUIRE_SERVICES") == "1" || missing == nil, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"exit": exitsWith, "node": node, "mariadb": mariadb, "documents": documents, "pytest-on-path": pytestOnPath, "edit": edit, "slurm": slurmCluster, "checkout": checkout},
	})
}

// pytestOnPath puts a real pytest on the PATH.
func pytestOnPath(ts *testscript.TestScript, _ bool, _ []string) {
	out, err := exec.Command("../../testdata/pytest/venv.sh").CombinedOutput()
	if err != nil {
		ts.Fatalf("%v\n%s", err, out)
	}
	ts.Setenv("PATH", strings.TrimSpace(string(out))+string(os.PathListSeparator)+ts.Getenv("PATH"))
}

// slurmCluster sets SLURM_CONF for a Slurm of four nodes: "slurm" is that of the whole test run, else one of the script's own, and "slurm own"
// always that, with options of slurm.sh. "slurm do" does something to one's own, as slurm.sh says. The drafts of the checkouts do not wait
// as the real ones do.
func slurmCluster(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) > 0 && args[0] != "own" && args[0] != "do" {
		ts.Fatalf("usage: slurm [own OPTION…|do COMMAND…]")
	}
	program := func(args ...string) {
		command := exec.Command("../../testdata/services/slurm.sh", args...)
		var complaint strings.Builder
		command.Stderr = &complaint
		if _, err := command.Output(); err != nil {
			ts.Fatalf("%v\n%s", err, complaint.String())
		}
	}
	if len(args) > 0 && args[0] == "do" {
		program(append(args[1:], "--home", filepath.Dir(ts.Getenv("SLURM_CONF")))...)
		return
	}
	for name, value := range map[string]string{"TREE_DRAFT_SLEEP": "0", "TREE_DRAFT_SETTLE": "0", "TREE_DRAFT_MPI": "none", "TREE_RUN_SLEEP": "1"} {
		ts.Setenv(name, value)
	}
	conf := os.Getenv("TRTPERF_TEST_SLURM_CONF")
	if conf == "" || len(args) > 0 {
		home, err := os.MkdirTemp("", "slurm") // the paths of sockets are short
		ts.Check(err)
		ts.Defer(func() {
			_ = exec.Command("../../testdata/services/slurm.sh", "stop", "--home", home).Run()
			_ = os.RemoveAll(home)
		})
		options := []string{"start", "--home", home}
		if len(args) > 0 {
			options = append(options, args[1:]...)
		}
		program(options...)
		conf = filepath.Join(home, "slurm.conf")
	}
	ts.Setenv("SLURM_CONF", conf)
}

// checkout copies the test tree, with the launch scripts of an era over it: checkout DIR [ERA].
func checkout(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 1 || len(args) > 2 {
		ts.Fatalf("usage: checkout DIR [ERA]")
	}
	sources := []string{"tree"}
	if len(args) == 2 {
		sources = append(sources, filepath.Join("tree-eras", args[1]))
	}
	for _, source := range sources {
		if out, err := exec.Command("cp", "-RL", filepath.Join("../../testdata", source)+"/.", ts.MkAbs(args[0])).CombinedOutput(); err != nil {
			ts.Fatalf("%v\n%s", err, out)
		}
	}
}

// edit replaces a text in a file: edit FILE OLD NEW.
func edit(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 3 {
		ts.Fatalf("usage: edit FILE OLD NEW")
	}
	text := ts.ReadFile(args[0])
	if !strings.Contains(text, args[1]) {
		ts.Fatalf("%s does not contain %q", args[0], args[1])
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, args[1], args[2])), 0o666))
}

// node starts and stops an OpenSearch node of the script's own, whose data outlive a stop: node start|stop. $NODE is its host and
// port, the same each time.
func node(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: node start|stop")
	}
	args = append(args, "--home", ts.MkAbs("opensearch"))
	if _, port, ok := strings.Cut(ts.Getenv("NODE"), ":"); ok && args[0] == "start" {
		args = append(args, "--port", port)
	}
	command := exec.Command("../../testdata/services/opensearch.sh", args...)
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		ts.Fatalf("%v\n%s", err, complaint.String())
	}
	if args[0] == "start" {
		ts.Setenv("NODE", strings.TrimPrefix(strings.TrimSpace(string(out)), "http://"))
		ts.Defer(func() { _ = exec.Command("../../testdata/services/opensearch.sh", "stop", "--home", args[2]).Run() })
	}
}

// mariadb starts and stops a MariaDB server of the script's own, whose data outlive a stop, and asks it: mariadb start|stop|sql STATEMENT [ANSWER].
// $MARIADB is its host and port, the same each time. An answer's rows are separated by semicolons and its columns by blanks.
func mariadb(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 || (args[0] == "sql") != (len(args) > 1) || len(args) > 3 {
		ts.Fatalf("usage: mariadb start|stop|sql STATEMENT [ANSWER]")
	}
	address, home := ts.Getenv("MARIADB"), ts.MkAbs("mariadb")
	host, port, _ := strings.Cut(address, ":")
	command := exec.Command("../../testdata/services/mariadb.sh", args[0], "--home", home)
	switch {
	case args[0] == "sql":
		command = exec.Command("mariadb", "--no-defaults", "-h", host, "-P", port, "-u", "root", "-N", "-e", args[1])
	case args[0] == "start" && address != "":
		command.Args = append(command.Args, "--port", port)
	}
	var complaint strings.Builder
	command.Stderr = &complaint
	out, err := command.Output()
	if err != nil {
		ts.Fatalf("%v\n%s", err, complaint.String())
	}
	text := strings.TrimSpace(string(out))
	switch {
	case args[0] == "start":
		ts.Setenv("MARIADB", text)
		ts.Defer(func() { _ = exec.Command("../../testdata/services/mariadb.sh", "stop", "--home", home).Run() })
	case len(args) == 3:
		if text = strings.NewReplacer("\t", " ", "\n", ";").Replace(text); text != args[2] {
			ts.Fatalf("the answer is %q, want %q", text, args[2])
		}
	}
}

// documents wants a number of documents in a project, and may want one query string to find as many: documents N PROJECT [QUERY].
func documents(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: documents N PROJECT [QUERY]")
	}
	query := strings.Join(args[2:], " ")
	if query == "" {
		query = "*"
	}
	count, err := countDocuments("http://"+ts.Getenv("NODE")+"/df-"+args[1]+"-trtperf", query)
	ts.Check(err)
	if want := args[0]; strconv.Itoa(count) != want {
		ts.Fatalf("%d documents, want %s", count, want)
	}
}

// countDocuments counts an index's documents that a query string finds ("*": all). What was written but a moment ago counts too.
func countDocuments(index, query string) (int, error) {
	var answer struct{ Count int }
	for _, step := range []string{"/_refresh", "/_count?q=" + url.QueryEscape(query)} {
		response, err := http.Post(index+step, "application/json", nil)
		if err != nil {
			return 0, err
		}
		err = json.NewDecoder(response.Body).Decode(&answer)
		response.Body.Close()
		if err != nil {
			return 0, err
		}
	}
	return answer.Count, nil
}

// exitsWith runs trtperf and wants an exit code: exit CODE ARG…
func exitsWith(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exit CODE ARG…")
	}
	err := ts.Exec("trtperf", args[1:]...)
	code := "0"
	if err != nil {
		code = "not run: " + err.Error()
		if e, ok := err.(interface{ ExitCode() int }); ok {
			code = strconv.Itoa(e.ExitCode())
		}
	}
	if code != args[0] {
		ts.Fatalf("exit code %s, want %s", code, args[0])
	}
}
