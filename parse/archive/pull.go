package archive

import (
	"errors"
	"io"
	"iter"
)

// puller gives out what a decoder writes, a block at a time and where the decoder has it.
type puller struct {
	next func() ([]byte, bool)
	stop func()
	rest []byte // of the last block, which Read has left
	err  error  // that the decoder has ended with
}

var errStopped = errors.New("nobody reads on")

// blockWriter hands blocks on.
type blockWriter func(block []byte) bool

func (w blockWriter) Write(block []byte) (int, error) {
	if !w(block) {
		return 0, errStopped
	}
	return len(block), nil
}

func newPuller(from io.WriterTo) *puller {
	p := &puller{}
	p.next, p.stop = iter.Pull(func(yield func([]byte) bool) {
		_, p.err = from.WriteTo(blockWriter(yield))
	})
	return p
}

// NextBlock returns what follows, which is valid until the next call of NextBlock or Read, or the error that ends the text.
func (p *puller) NextBlock() ([]byte, error) {
	block := p.rest
	p.rest = nil
	for len(block) == 0 {
		var ok bool
		if block, ok = p.next(); !ok {
			if p.err != nil {
				return nil, p.err
			}
			return nil, io.EOF
		}
	}
	return block, nil
}

func (p *puller) Read(text []byte) (int, error) {
	block, err := p.NextBlock()
	n := copy(text, block)
	p.rest = block[n:]
	return n, err
}
