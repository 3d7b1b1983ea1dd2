package launch

import (
	"bufio"
	"bytes"
	"fmt"
	"strings"
)

// ReadList reads a test list: a node id a line; blank lines and lines that begin with "#" do not count.
func ReadList(path string, text []byte) ([]string, error) {
	var ids []string
	seen := map[string]int{}
	lines := bufio.NewScanner(bytes.NewReader(text))
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if !strings.Contains(line, "::") {
			return nil, fmt.Errorf("%s:%d: %q is no node id: write <module>::<function>[<id>]", path, n, line)
		}
		if first := seen[line]; first > 0 {
			return nil, fmt.Errorf("%s:%d: the test of line %d stands here again", path, n, first)
		}
		seen[line] = n
		ids = append(ids, line)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	if len(ids) == 0 {
		return nil, fmt.Errorf("%s holds no node id", path)
	}
	return ids, nil
}
