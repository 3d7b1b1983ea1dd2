#include "textflag.h"

// LOOK leaves in acc the buckets that may have the bytes at an offset of this step as the byte of their keys at that place.
// The tables are lower and upper; Y4 is 0x0f everywhere. A byte above 0x7f makes VPSHUFB give 0, so the lower halves need no mask.
#define LOOK(offset, lower, upper, acc) \
	VMOVDQU offset(SI)(AX*1), Y7 \
	VPSRLW $4, Y7, Y8            \
	VPAND Y4, Y8, Y8             \
	VPSHUFB Y7, lower, Y7        \
	VPSHUFB Y8, upper, Y8        \
	VPAND Y7, Y8, acc

// MORE keeps in acc the buckets that may also have the bytes at an offset.
#define MORE(offset, lower, upper, acc) \
	LOOK(offset, lower, upper, Y7) \
	VPAND Y7, acc, acc

// COUNT counts the line feeds at an offset in Y12, one count for each byte of the register.
#define COUNT(offset) \
	VPCMPEQB offset(SI)(AX*1), Y5, Y7 \
	VPSUBB Y7, Y12, Y12

// func teddyAVX2(text *byte, n int, masks *teddyMasks) (at, lines int, why stop)
TEXT ·teddyAVX2(SB), NOSPLIT, $0-48
	MOVQ text+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ masks+16(FP), DX
	VMOVDQU (DX), Y0     // first byte, lower half
	VMOVDQU 32(DX), Y1   // first byte, upper half
	VMOVDQU 64(DX), Y2   // second byte
	VMOVDQU 96(DX), Y3
	VMOVDQU 256(DX), Y4  // 0x0f everywhere
	VMOVDQU 288(DX), Y5  // line feeds
	VPXOR Y6, Y6, Y6
	VPXOR Y13, Y13, Y13  // line feeds of the cells before this one
	XORQ AX, AX
	XORQ R9, R9          // line feeds counted too much
	SUBQ $67, CX         // the last place where a step can begin

cell:
	VPXOR Y12, Y12, Y12
	LEAQ 512(AX), R8

step:
	CMPQ AX, CX
	JGT end
	COUNT(0)
	COUNT(32)
	LOOK(0, Y0, Y1, Y9)
	LOOK(32, Y0, Y1, Y10)
	MORE(1, Y2, Y3, Y9)
	MORE(33, Y2, Y3, Y10)
	VPOR Y9, Y10, Y11
	VPTEST Y11, Y11
	JNZ pair

next:
	ADDQ $64, AX
	CMPQ AX, R8
	JNE step
	VPSADBW Y6, Y12, Y14
	VPADDQ Y14, Y13, Y13
	VPTEST Y12, Y12
	JNZ cell
	MOVQ $2, R10
	JMP out

pair:
	// Two bytes fit somewhere: the third and the fourth decide.
	VMOVDQU 128(DX), Y11
	VMOVDQU 160(DX), Y14
	MORE(2, Y11, Y14, Y9)
	MORE(34, Y11, Y14, Y10)
	VMOVDQU 192(DX), Y11
	VMOVDQU 224(DX), Y14
	MORE(3, Y11, Y14, Y9)
	MORE(35, Y11, Y14, Y10)
	VPOR Y9, Y10, Y11
	VPTEST Y11, Y11
	JZ next
	VPCMPEQB Y6, Y9, Y9
	VPCMPEQB Y6, Y10, Y10
	VPMOVMSKB Y9, BX
	VPMOVMSKB Y10, R10
	SHLQ $32, R10
	ORQ R10, BX
	NOTQ BX
	BSFQ BX, CX          // the first place in this step
	VPCMPEQB (SI)(AX*1), Y5, Y7
	VPCMPEQB 32(SI)(AX*1), Y5, Y8
	VPMOVMSKB Y7, R9
	VPMOVMSKB Y8, R10
	SHLQ $32, R10
	ORQ R10, R9
	ADDQ CX, AX
	SHRQ CX, R9
	SHRQ $1, R9
	POPCNTQ R9, R9       // line feeds of this step behind the place
	MOVQ $1, R10
	JMP out

end:
	XORQ R10, R10

out:
	VPSADBW Y6, Y12, Y14 // behind a cell without line feeds: none
	VPADDQ Y14, Y13, Y13
	VEXTRACTI128 $1, Y13, X14
	VPADDQ X14, X13, X13
	VPSRLDQ $8, X13, X14
	VPADDQ X14, X13, X13
	VMOVQ X13, R11
	SUBQ R9, R11
	VZEROUPPER
	MOVQ AX, at+24(FP)
	MOVQ R11, lines+32(FP)
	MOVQ R10, why+40(FP)
	RET
