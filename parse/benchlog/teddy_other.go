//go:build !amd64

package benchlog

const hasTeddy = false

func teddyAVX2(*byte, int, *teddyMasks) int { panic("not on this processor") }
