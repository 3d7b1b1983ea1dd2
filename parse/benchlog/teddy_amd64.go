package benchlog

import "golang.org/x/sys/cpu"

var hasTeddy = cpu.X86.HasAVX2 && cpu.X86.HasPOPCNT

// teddyAVX2 looks at the places of text[:n] until something stops it, and says at which place and why. The line feeds are those
// before that place; at a candidate, the place's own too.
//
//go:noescape
func teddyAVX2(text *byte, n int, masks *teddyMasks) (at, lines int, why stop)
