package testlist

import (
	"bufio"
	"errors"
	"io"
	"path"
	"strings"
)

// Reader reads a list record by record:
//
//	r := testlist.NewReader(file, "list.txt")
//	for r.Scan() {
//		switch rec := r.Record().(type) {
//		case *testlist.Entry: …
//		case *testlist.Remark: …
//		case *testlist.SyntaxError: …
//		}
//	}
//	if err := r.Err(); err != nil { … }
//
// A text list is read as it comes, a YAML list at once. Refused as a [SyntaxError] is, of a text list, what TensorRT-LLM renders as a Mako
// template and what would so be another test there: "${", "<%", a line that begins with "%" and one that ends with a backslash.
type Reader struct {
	records interface{ next() (Record, error) }
	record  Record
	err     error
}

// NewReader returns a reader. A name that ends in .yml or .yaml makes it a YAML list.
func NewReader(in io.Reader, name string) *Reader {
	switch strings.ToLower(path.Ext(name)) {
	case ".yml", ".yaml":
		return &Reader{records: &yamlReader{in: in, file: name}}
	}
	return &Reader{records: &textReader{in: bufio.NewReader(in), at: Place{File: name}}}
}

// Scan reads the next record and reports whether there is one.
func (r *Reader) Scan() bool {
	if r.err != nil {
		return false
	}
	r.record, r.err = r.records.next()
	return r.err == nil
}

// Record returns what Scan has read.
func (r *Reader) Record() Record { return r.record }

// Err returns the error that has ended the reading, nil at the list's end.
func (r *Reader) Err() error {
	if errors.Is(r.err, io.EOF) {
		return nil
	}
	return r.err
}

// Read reads a whole list. The error holds all of its syntax errors; the entries that could be read are returned with it.
func Read(in io.Reader, name string) (entries []*Entry, remarks []*Remark, err error) {
	r := NewReader(in, name)
	var faults []error
	for r.Scan() {
		switch rec := r.Record().(type) {
		case *Entry:
			entries = append(entries, rec)
		case *Remark:
			remarks = append(remarks, rec)
		case *SyntaxError:
			faults = append(faults, rec)
		}
	}
	if r.Err() != nil {
		faults = append(faults, r.Err())
	}
	return entries, remarks, errors.Join(faults...)
}
