package endpoint

import (
	"errors"
	"net"
	"os"
	"slices"
	"testing"
	"time"
)

// slow is a connection that takes so many bytes of each write in its time.
type slow struct {
	net.Conn
	takes []int
	taken []byte
}

func (s *slow) SetWriteDeadline(time.Time) error { return nil }

func (s *slow) Write(p []byte) (int, error) {
	n := len(p)
	if len(s.takes) > 0 {
		n, s.takes = s.takes[0], s.takes[1:]
	}
	s.taken = append(s.taken, p[:n]...)
	if n < len(p) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

// A write goes on as long as something moves, from where it was.
func TestMoving(t *testing.T) {
	text := []byte("0123456789")
	for _, test := range []struct {
		takes []int
		want  int
		err   error
	}{
		{nil, 10, nil},
		{[]int{3, 1}, 10, nil},
		{[]int{3, 0}, 3, errStalled},
		{[]int{0}, 0, errStalled},
	} {
		below := &slow{takes: slices.Clone(test.takes)}
		n, err := (&moving{Conn: below}).Write(text)
		if n != test.want || !errors.Is(err, test.err) || string(below.taken) != string(text[:test.want]) {
			t.Errorf("%v: %d, %v, %q", test.takes, n, err, below.taken)
		}
	}
}
