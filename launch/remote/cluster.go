package remote

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Cluster is an entry of the cluster table: where a launch goes, and the settings that its jobs need there.
type Cluster struct {
	Name string
	// Host is where ssh goes; empty means this machine.
	Host string
	// User and Port are ssh's; empty leaves them to ssh's configuration.
	User, Port string
	// WorkDir is the directory on the cluster that all of trtperf's files are below.
	WorkDir string
	// SSHOptions are further arguments of ssh, such as -J and a jump host.
	SSHOptions []string
	// Settings are those of its jobs by the incumbents' variables: CLUSTER_PARTITION, DOCKER_IMAGE and so on.
	Settings map[string]string
	// Remarks are what of the table was not used, and why.
	Remarks []string
}

// Local reports whether the cluster is this machine's own.
func (c *Cluster) Local() bool { return c.Host == "" }

// keys is the cluster table: the keys of trtperf.yaml, those of clusters.conf, and what each sets.
var keys = []struct {
	yaml, conf string
	set        func(c *Cluster, value string) error
}{
	{"host", "CLUSTER_HOST", func(c *Cluster, v string) error { c.Host = v; return nil }},
	{"user", "CLUSTER_USER", func(c *Cluster, v string) error {
		if strings.HasPrefix(v, "$") {
			return errors.New("variables are not replaced: write the name, or leave the key out and ssh's own configuration decides")
		}
		c.User = v
		return nil
	}},
	{"port", "", func(c *Cluster, v string) error { c.Port = v; return nil }},
	{"workdir", "CLUSTER_WORKDIR", func(c *Cluster, v string) error {
		if !path.IsAbs(v) {
			return errors.New("must be an absolute path on the cluster")
		}
		c.WorkDir = path.Clean(v)
		return nil
	}},
	{"partition", "CLUSTER_PARTITION", setting("CLUSTER_PARTITION")},
	{"account", "CLUSTER_ACCOUNT", setting("CLUSTER_ACCOUNT")},
	{"llm-data", "CLUSTER_LLM_DATA", setting("CLUSTER_LLM_DATA")},
	{"image", "DOCKER_IMAGE", setting("DOCKER_IMAGE")},
	{"mpi", "MPI_TYPE", setting("MPI_TYPE")},
	{"extra-srun", "EXTRA_SRUN_PARAMS", setting("EXTRA_SRUN_PARAMS")},
	{"", "CLUSTER_NAME", ignored},
	{"", "CLUSTER_STORAGE", func(c *Cluster, _ string) error {
		c.Remarks = append(c.Remarks, "CLUSTER_STORAGE is used by nothing")
		return nil
	}},
}

func setting(name string) func(*Cluster, string) error {
	return func(c *Cluster, v string) error {
		if v != "" {
			c.Settings[name] = v
		}
		return nil
	}
}

func ignored(*Cluster, string) error { return nil }

// apply sets one key of a cluster; kind is ssh, local or empty.
func (c *Cluster) apply(value string, known func(i int) bool) (bool, error) {
	for i := range keys {
		if known(i) {
			return true, keys[i].set(c, value)
		}
	}
	return false, nil
}

// finish checks a cluster that was read. Kind is the table's word for how it is reached.
func (c *Cluster) finish(kind string) error {
	switch kind {
	case "local":
		c.Host, c.User, c.Port = "", "", ""
	case "ssh", "":
		if kind == "ssh" && c.Host == "" {
			return errors.New("a cluster that is reached by ssh needs a host")
		}
	default:
		return fmt.Errorf("unknown type %q: write ssh or local", kind)
	}
	if !c.Local() && c.WorkDir == "" {
		return errors.New("a cluster that is reached by ssh needs a work directory on it")
	}
	for _, v := range []string{c.Host, c.User, c.Port} {
		if strings.HasPrefix(v, "-") || strings.ContainsAny(v, " \t\r\n") {
			return fmt.Errorf("%q cannot be given to ssh", v)
		}
	}
	return nil
}

// ReadYAML reads the clusters of a trtperf.yaml, under the key "clusters". Name is the file's, for errors.
func ReadYAML(name string, text []byte) (map[string]*Cluster, error) {
	var file struct {
		Clusters map[string]map[string]any `yaml:"clusters"`
	}
	if err := yaml.Unmarshal(text, &file); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	all := map[string]*Cluster{}
	for cluster, entries := range file.Clusters {
		c := &Cluster{Name: cluster, Settings: map[string]string{}}
		kind := ""
		for key, raw := range entries {
			value, list := fmt.Sprint(raw), []string(nil)
			if values, ok := raw.([]any); ok {
				for _, v := range values {
					list = append(list, fmt.Sprint(v))
				}
				value = strings.Join(list, " ")
			}
			if raw == nil {
				value = ""
			}
			switch key {
			case "type":
				kind = value
				continue
			case "ssh-options":
				if list == nil && value != "" {
					list = []string{value}
				}
				c.SSHOptions = list
				continue
			}
			known, err := c.apply(value, func(i int) bool { return keys[i].yaml == key && key != "" })
			if !known {
				return nil, fmt.Errorf("%s: cluster %s: unknown key %q: the keys are type, ssh-options, %s", name, cluster, key, strings.Join(yamlKeys(), ", "))
			}
			if err != nil {
				return nil, fmt.Errorf("%s: cluster %s: %s: %w", name, cluster, key, err)
			}
		}
		if err := c.finish(kind); err != nil {
			return nil, fmt.Errorf("%s: cluster %s: %w", name, cluster, err)
		}
		all[cluster] = c
	}
	return all, nil
}

func yamlKeys() []string {
	var names []string
	for _, k := range keys {
		if k.yaml != "" {
			names = append(names, k.yaml)
		}
	}
	slices.Sort(names)
	return names
}

// ReadConf reads a clusters.conf: sections [name] with KEY=VALUE lines; "#" begins a comment line, one pair of quotes around a value is taken off, and
// variables are not replaced. A key that means nothing is a remark of its cluster.
func ReadConf(name string, text io.Reader) (map[string]*Cluster, error) {
	all := map[string]*Cluster{}
	lines := bufio.NewScanner(text)
	var c *Cluster
	var kind string
	started := 0
	end := func() error {
		if c == nil {
			return nil
		}
		if err := c.finish(kind); err != nil {
			return fmt.Errorf("%s:%d: cluster %s: %w", name, started, c.Name, err)
		}
		return nil
	}
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(strings.TrimPrefix(lines.Text(), "\ufeff"))
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if section, ok := strings.CutPrefix(line, "["); ok {
			section, ok = strings.CutSuffix(section, "]")
			if !ok || strings.TrimSpace(section) == "" {
				return nil, fmt.Errorf("%s:%d: %q is no section: write [name]", name, n, line)
			}
			if err := end(); err != nil {
				return nil, err
			}
			section = strings.TrimSpace(section)
			if all[section] != nil {
				return nil, fmt.Errorf("%s:%d: the cluster %s stands here a second time", name, n, section)
			}
			c, kind, started = &Cluster{Name: section, Settings: map[string]string{}}, "", n
			all[section] = c
			continue
		}
		key, value, ok := strings.Cut(line, "=")
		if !ok {
			return nil, fmt.Errorf("%s:%d: %q is neither [name] nor KEY=VALUE", name, n, line)
		}
		if c == nil {
			return nil, fmt.Errorf("%s:%d: %q stands before the first section", name, n, line)
		}
		key, value = strings.TrimSpace(key), strings.TrimSpace(value)
		if len(value) >= 2 && (value[0] == '"' || value[0] == '\'') && value[len(value)-1] == value[0] {
			value = value[1 : len(value)-1]
		}
		if key == "CLUSTER_TYPE" {
			kind = value
			continue
		}
		known, err := c.apply(value, func(i int) bool { return keys[i].conf == key && key != "" })
		switch {
		case err != nil && value != "":
			return nil, fmt.Errorf("%s:%d: %s: %w", name, n, key, err)
		case !known:
			c.Remarks = append(c.Remarks, fmt.Sprintf("%s:%d: the key %s is unknown and was not used", name, n, key))
		}
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	return all, end()
}
