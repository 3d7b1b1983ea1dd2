package benchlog

import (
	"bytes"
	"io"
)

const (
	// labelledLine is the most bytes of a task's line that srun --label prints behind one label. The rest follows on a line of its
	// own, labelled again.
	labelledLine = 1024
	// longestLabel bounds the length of srun's label.
	longestLabel = 12
)

// A piece of a split line is so long that the finder asks about it wherever it stands.
const _ = uint(labelledLine - surelyAsked)

// unsplitter is a reader that joins the lines that srun --label has split: behind a full piece it drops the line feed and the
// next line's label, if that is the same.
type unsplitter struct {
	r     io.Reader
	err   error
	bytes int64 // read from r
	sent  int64 // given on
	// joined are the places in the text given on where a line feed was dropped, in order.
	joined []int64

	held  []byte // the beginning of a line of which more must be seen
	label []byte // of the full piece that the text continues; empty at the beginning of a line
	loose bool   // the text continues a line that is no full piece
}

// Read reads into p, which must have room for more than two full pieces.
func (u *unsplitter) Read(p []byte) (int, error) {
	n := copy(p, u.held)
	u.held = u.held[:0]
	if u.err == nil {
		m, err := u.r.Read(p[n:])
		n, u.err, u.bytes = n+m, err, u.bytes+int64(m)
	}
	if !u.whole(p[:n]) {
		n = u.join(p[:n])
	}
	u.sent += int64(n)
	return n, u.err
}

// whole reports whether no line in the text can be part of a split one, as in logs that srun has not labelled, so that nothing has to
// be joined or held back. A full piece has no line feed in some cell of half its length, so only the lines of such cells are
// looked at.
func (u *unsplitter) whole(text []byte) bool {
	const cell = labelledLine / 2
	if len(u.label) > 0 {
		return false
	}
	for at := 0; at+cell <= len(text); {
		if bytes.IndexByte(text[at:at+cell], '\n') >= 0 {
			at += cell
			continue
		}
		begin := bytes.LastIndexByte(text[:at], '\n') + 1
		if (begin > 0 || !u.loose) && srunLabel(text[begin:]) > 0 {
			return false
		}
		n := bytes.IndexByte(text[at:], '\n')
		if n < 0 {
			break
		}
		at += n
	}
	begin := bytes.LastIndexByte(text, '\n') + 1
	if u.err == nil && begin < len(text) && (begin > 0 || !u.loose) && mayBeLabel(text[begin:]) {
		return false
	}
	u.loose = begin < len(text) || begin == 0 && u.loose
	return true
}

// join joins lines in place, holds back what it cannot decide yet and returns the length of what it has decided.
func (u *unsplitter) join(text []byte) int {
	done, at := 0, 0 // text[:done] is decided, text[at:] is to be looked at
	keep := func(n int) {
		if done != at {
			copy(text[done:], text[at:at+n])
		}
		done, at = done+n, at+n
	}
	for at < len(text) {
		line := text[at:]
		n := bytes.IndexByte(line, '\n')
		if n < 0 {
			if u.err == nil && !u.loose && len(line) <= longestLabel+labelledLine && (len(u.label) > 0 || mayBeLabel(line)) {
				u.held = append(u.held, line...)
				break
			}
			u.loose = true
			keep(len(line))
			break
		}
		label := u.label
		head := 0 // length of the label in this line
		if len(label) == 0 && !u.loose && n > labelledLine && n <= longestLabel+labelledLine {
			head = srunLabel(line)
			label = line[:head]
		}
		if len(label) == 0 || u.loose || n-head != labelledLine {
			u.label, u.loose = u.label[:0], false
			keep(n + 1)
			continue
		}
		next := line[n+1:]
		if len(next) < len(label) && u.err == nil {
			u.held = append(u.held, line...)
			break
		}
		if !bytes.HasPrefix(next, label) {
			u.label = u.label[:0]
			keep(n + 1)
			continue
		}
		u.label = append(u.label[:0], label...)
		keep(n)
		u.joined = append(u.joined, u.sent+int64(done))
		at += 1 + len(u.label)
	}
	return done
}

// lines takes the places before a place in the text from the list of dropped line feeds, and counts them.
func (u *unsplitter) lines(before int64) int {
	n := 0
	for n < len(u.joined) && u.joined[n] <= before {
		n++
	}
	u.joined = append(u.joined[:0], u.joined[n:]...)
	return n
}

// srunLabel returns the length of srun's label at the beginning of a line, or 0.
func srunLabel(line []byte) int {
	i := len(line) - len(bytes.TrimLeft(line, " "))
	n := digits(line[i:])
	i += n
	if n == 0 || i+2 > longestLabel || len(line) < i+2 || line[i] != ':' || line[i+1] != ' ' {
		return 0
	}
	return i + 2
}

// isFullPiece reports whether a line is a piece of one that srun --label has parted, or as long as one.
func isFullPiece(line []byte) bool {
	if len(line) <= labelledLine || len(line) > longestLabel+labelledLine {
		return false
	}
	head := srunLabel(line)
	return head > 0 && len(line)-head == labelledLine
}

// mayBeLabel reports whether an unfinished line may begin with srun's label.
func mayBeLabel(line []byte) bool {
	return srunLabel(append(bytes.Clone(line[:min(len(line), longestLabel)]), "0: "...)) > 0 || srunLabel(line) > 0 ||
		srunLabel(append(bytes.Clone(line[:min(len(line), longestLabel)]), ": "...)) > 0 ||
		srunLabel(append(bytes.Clone(line[:min(len(line), longestLabel)]), " "...)) > 0
}
