/* ICU's library of data without data, like stubdata in ICU's own sources: a header and an empty table. In the image it
   stands for Debian's 31 MB, which are there only as DCMTK is linked with libxml2, and libxml2 with ICU. Hepar reads no
   XML, so nothing asks ICU for anything; what did would be told that the converter is not there. */
    .section .rodata
    .balign 16
    .globl icudt72_dat
    .type icudt72_dat, %object
icudt72_dat:
    .2byte 32 /* bytes to the table */
    .byte 0xda, 0x27
    .2byte 20, 0 /* bytes from here to the padding */
    .byte 0, 0, 2, 0 /* little-endian, ASCII, two bytes a code unit */
    .ascii "CmnD"
    .byte 1, 0, 0, 0
    .byte 0, 0, 0, 0
    .8byte 0
    .4byte 0, 0 /* no entries */
    .size icudt72_dat, . - icudt72_dat

    .section .note.GNU-stack, "", %progbits
