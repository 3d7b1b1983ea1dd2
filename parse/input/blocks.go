package input

// Blocks is the stream of a compressed file that gives out its text where the decoder has it, too, a block at a time.
type Blocks struct{ *Stream }

// Blocks returns the stream with a way to look at the decoder's blocks, or nil where there is none.
func (s *Stream) Blocks() *Blocks {
	if s.blocks == nil {
		return nil
	}
	return &Blocks{s}
}

// NextBlock returns what follows, which is valid until the next call of NextBlock or Read, or the error that ends the text.
func (b *Blocks) NextBlock() ([]byte, error) {
	if n := b.Buffered(); n > 0 {
		head, err := b.Peek(n)
		if err == nil {
			_, err = b.Discard(n)
		}
		return head, err
	}
	return b.blocks.NextBlock()
}
