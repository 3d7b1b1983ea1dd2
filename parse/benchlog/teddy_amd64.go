package benchlog

import "golang.org/x/sys/cpu"

var hasTeddy = cpu.X86.HasAVX2

// teddyAVX2 returns the first place in text[:n] where a key may begin, or -1 where none may; up to 33 bytes at the end are not
// looked at.
//
//go:noescape
func teddyAVX2(text *byte, n int, masks *teddyMasks) int
