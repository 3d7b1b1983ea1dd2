//go:build !amd64

package benchlog

var hasTeddy = false

func teddyAVX2(*byte, int, *teddyMasks) (at, lines int, why stop) { panic("not on this processor") }
