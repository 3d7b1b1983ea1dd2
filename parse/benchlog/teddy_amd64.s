#include "textflag.h"

// func teddyAVX2(text *byte, n int, masks *teddyMasks) int
TEXT ·teddyAVX2(SB), NOSPLIT, $0-32
	MOVQ text+0(FP), SI
	MOVQ n+8(FP), CX
	MOVQ masks+16(FP), DX
	VMOVDQU (DX), Y0     // first byte, lower half
	VMOVDQU 32(DX), Y1   // first byte, upper half
	VMOVDQU 64(DX), Y2   // second byte
	VMOVDQU 96(DX), Y3
	VMOVDQU 128(DX), Y4  // third byte
	VMOVDQU 160(DX), Y5
	VMOVDQU 192(DX), Y6  // fourth byte
	VMOVDQU 224(DX), Y7
	VMOVDQU 256(DX), Y15 // 0x0f everywhere
	XORQ AX, AX
	SUBQ $35, CX         // the last place where a step can begin
	JLT none

step:
	// A byte above 0x7f makes VPSHUFB give 0, so the lower halves need no mask.
	VMOVDQU (SI)(AX*1), Y8
	VPSRLW $4, Y8, Y9
	VPAND Y15, Y9, Y9
	VPSHUFB Y8, Y0, Y8
	VPSHUFB Y9, Y1, Y9
	VPAND Y8, Y9, Y14

	VMOVDQU 1(SI)(AX*1), Y8
	VPSRLW $4, Y8, Y9
	VPAND Y15, Y9, Y9
	VPSHUFB Y8, Y2, Y8
	VPSHUFB Y9, Y3, Y9
	VPAND Y8, Y9, Y8
	VPAND Y8, Y14, Y14

	VMOVDQU 2(SI)(AX*1), Y10
	VPSRLW $4, Y10, Y11
	VPAND Y15, Y11, Y11
	VPSHUFB Y10, Y4, Y10
	VPSHUFB Y11, Y5, Y11
	VPAND Y10, Y11, Y10
	VPAND Y10, Y14, Y14

	VMOVDQU 3(SI)(AX*1), Y12
	VPSRLW $4, Y12, Y13
	VPAND Y15, Y13, Y13
	VPSHUFB Y12, Y6, Y12
	VPSHUFB Y13, Y7, Y13
	VPAND Y12, Y13, Y12
	VPTEST Y12, Y14
	JNZ found

	ADDQ $32, AX
	CMPQ AX, CX
	JLE step

none:
	VZEROUPPER
	MOVQ $-1, AX
	MOVQ AX, ret+24(FP)
	RET

found:
	VPAND Y12, Y14, Y14
	VPXOR Y8, Y8, Y8
	VPCMPEQB Y14, Y8, Y8
	VPMOVMSKB Y8, BX
	NOTL BX
	BSFL BX, BX
	ADDQ BX, AX
	VZEROUPPER
	MOVQ AX, ret+24(FP)
	RET
