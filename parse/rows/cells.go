package rows

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// maxCell is the most of a cell that is kept. No column that matters comes near it.
const maxCell = 64 << 10

// cells reads the records of a CSV (RFC 4180) with bounded memory: only wanted cells are kept, and they only up to maxCell bytes. Lines end in
// LF, CRLF or CR.
type cells struct {
	r *bufio.Reader
	// line is the one that is read next, from 1.
	line int
	// begin is the line in which the last record began, opened that of its last opening quote.
	begin, opened int
	cr            bool   // the last piece of a quoted cell ended in CR
	keep          []bool // by column; nil keeps all
	record        [][]byte
	text          []byte // of all kept cells of the record
	ends          []int
}

func newCells(r io.Reader) *cells {
	return &cells{r: bufio.NewReaderSize(r, 64<<10), line: 1}
}

// errOpenQuote says that the file ends inside quotes.
var errOpenQuote = errors.New("the quote is never closed")

// next reads the next record that is no blank line. Cells that are not kept are empty. The record is valid until the next call. The
// error is io.EOF at the end, errOpenQuote or the reader's.
func (c *cells) next() ([][]byte, error) {
	for {
		c.text, c.ends, c.begin, c.opened = c.text[:0], c.ends[:0], c.line, 0
		more, err := true, error(nil)
		for more && err == nil {
			more, err = c.cell()
		}
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if len(c.ends) == 1 && c.ends[0] == 0 && c.line-c.begin <= 1 && !c.quoted() {
			if err != nil {
				return nil, err
			}
			continue // a blank line
		}
		c.record = c.record[:0]
		begin := 0
		for _, end := range c.ends {
			c.record = append(c.record, c.text[begin:end])
			begin = end
		}
		return c.record, nil
	}
}

// quoted reports whether a cell of the record stood in quotes.
func (c *cells) quoted() bool { return c.opened > 0 }

// cell reads a cell and what ends it. More says that another cell follows in the record; the error is io.EOF where the file ends
// behind the cell.
func (c *cells) cell() (more bool, err error) {
	column := len(c.ends)
	keep := c.keep == nil || column < len(c.keep) && c.keep[column]
	begin := len(c.text)
	add := func(b []byte) {
		if keep {
			c.text = append(c.text, b[:min(len(b), max(0, maxCell-(len(c.text)-begin)))]...)
		}
	}
	defer func() { c.ends = append(c.ends, len(c.text)) }()
	if first, err := c.r.Peek(1); err == nil && first[0] == '"' {
		c.opened, c.cr = c.line, false
		c.r.Discard(1)
		if err := c.quotes(add); err != nil {
			return false, err
		}
	}
	for {
		window, err := c.window()
		if len(window) == 0 {
			return false, err
		}
		n := bytes.IndexByte(window, ',')
		if n < 0 {
			n = len(window)
		}
		if i := bytes.IndexByte(window[:n], '\n'); i >= 0 {
			n = i
		}
		if i := bytes.IndexByte(window[:n], '\r'); i >= 0 {
			n = i
		}
		add(window[:n])
		if n == len(window) {
			c.r.Discard(n)
			continue
		}
		end := window[n]
		c.r.Discard(n + 1)
		if end == ',' {
			return true, nil
		}
		c.line++
		if end == '\r' {
			if following, err := c.r.Peek(1); err == nil && following[0] == '\n' {
				c.r.Discard(1)
			}
		}
		return false, nil
	}
}

// window returns what is buffered, at least a byte unless the file ends.
func (c *cells) window() ([]byte, error) {
	if _, err := c.r.Peek(1); err != nil {
		return nil, err
	}
	return c.r.Peek(c.r.Buffered())
}

// quotes reads up to the closing quote. Line ends inside become LF.
func (c *cells) quotes(add func([]byte)) error {
	for {
		window, err := c.window()
		if len(window) == 0 {
			if errors.Is(err, io.EOF) {
				err = errOpenQuote
			}
			return err
		}
		done, from := 0, 0
		for {
			n := bytes.IndexByte(window[from:], '"')
			if n < 0 {
				c.within(window[done:], add)
				c.r.Discard(len(window))
				break
			}
			end := from + n
			if end+1 == len(window) {
				// What follows decides: the text before it is taken, and the quote is looked at again with it.
				c.within(window[done:end], add)
				c.r.Discard(end)
				following, err := c.r.Peek(2)
				if err != nil || following[1] != '"' {
					c.r.Discard(1)
					return nil
				}
				c.r.Discard(2)
				c.within([]byte{'"'}, add)
				break
			}
			if window[end+1] != '"' {
				c.within(window[done:end], add)
				c.r.Discard(end + 1)
				return nil
			}
			// A doubled quote is one.
			c.within(window[done:end+1], add)
			done, from = end+2, end+2
		}
	}
}

// within takes a piece of a quoted cell.
func (c *cells) within(piece []byte, add func([]byte)) {
	if len(piece) == 0 {
		return
	}
	follows := c.cr && piece[0] == '\n'
	c.cr = piece[len(piece)-1] == '\r'
	if follows {
		piece = piece[1:] // the line end was counted with its CR
	}
	c.line += bytes.Count(piece, []byte{'\n'})
	for i := bytes.IndexByte(piece, '\r'); i >= 0; i = bytes.IndexByte(piece, '\r') {
		add(piece[:i])
		piece = piece[i+1:]
		if !bytes.HasPrefix(piece, []byte{'\n'}) {
			c.line++
			add([]byte{'\n'})
		}
	}
	add(piece)
}
