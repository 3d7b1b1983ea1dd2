package benchlog

import _ "embed" // of a table

// oftenTable says how often two printable characters follow one another in logs of servers and clients: a line for each first one, with
// a digit for each second one, in powers of four. "gen often" in testdata/gen makes it, here of the corpus and as much of a generated log.
//
//go:embed often.txt
var oftenTable string

// often returns how often two bytes follow one another, a number to be compared with others.
func often(first, second uint8) float64 {
	const lowest, characters = ' ', '~' - ' ' + 1
	first, second = first-lowest, second-lowest
	if first >= characters || second >= characters {
		return 0.25
	}
	level := oftenTable[int(first)*(characters+1)+int(second)] - '0'
	return float64(uint32(1) << (2 * level))
}
