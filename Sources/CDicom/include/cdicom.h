// cdicom.h: what Hepar needs of DCMTK and OpenJPEG, in plain C.
//
// No C++ exception leaves these functions, and DCMTK's own log, which quotes patients' data, is off. What a file
// declares is checked against what it holds before memory is spent on it.
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum {
    CDICOM_OK = 0,
    CDICOM_CANNOT_OPEN,        // the system refuses
    CDICOM_EMPTY,              // no byte
    CDICOM_NOT_DICOM,          // no DICOM signature and no data set without one
    CDICOM_DAMAGED,            // begins as DICOM but breaks off or cannot be parsed
    CDICOM_NO_PIXELS,          // no pixel data
    CDICOM_UNKNOWN_SYNTAX,     // a transfer syntax without a decoder
    CDICOM_UNKNOWN_PIXELS,     // not one sample of 8 or 16 bits a pixel, or impossible rows and columns
    CDICOM_TRUNCATED,          // fewer pixels than declared
    CDICOM_NOT_DECODED,        // the decoder refuses the compressed pixels
    CDICOM_OUT_OF_MEMORY,
    CDICOM_INFLATES_TOO_FAR,   // a deflated data set has more bytes than allowed
    CDICOM_WRONG_SYNTAX,  // the header names another compression than that of the pixels, or the other way round
    CDICOM_NO_DICTIONARY,  // DCMTK's data dictionary is not installed: a fault of the installation
    CDICOM_NOT_ENCODED,  // DCMTK refuses what it shall write
    CDICOM_NOT_WRITTEN,  // the system refuses to write
} cdicom_status;

typedef struct cdicom_file cdicom_file;
typedef struct cdicom_pixels cdicom_pixels;

// Reads a file's attributes up to its pixel data; long values stay in the file. A deflated data set may inflate to at
// most `inflate_limit` bytes; `*inflated` tells to how many, 0 where nothing is deflated. On CDICOM_OK `*file` must be
// closed.
cdicom_status cdicom_open(const char *path, size_t inflate_limit, cdicom_file **file, size_t *inflated);
void cdicom_close(cdicom_file *file);

// The transfer syntax's UID, ended by 0 and cut at `capacity`: of the plain encodings the one that the data set is
// written in, whatever the meta header says.
void cdicom_syntax(const cdicom_file *file, char *out, size_t capacity);

// The text of an attribute (several values joined by \), ended by 0 and cut at `capacity`; "" where it is absent.
// `tag` is group << 16 | element. Group 2 is looked up in the meta header.
void cdicom_text(const cdicom_file *file, uint32_t tag, char *out, size_t capacity);

// The numbers of an attribute of any numeric or string type; returns how many were stored, at most `capacity`. A string
// that is not wholly a number is stored as NaN.
size_t cdicom_numbers(const cdicom_file *file, uint32_t tag, double *out, size_t capacity);

// Both for an attribute that an enhanced image keeps in a functional group: in the item of `sequence` of one frame,
// from 0, or of all frames.
void cdicom_frame_text(
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, char *out, size_t capacity
);
size_t cdicom_frame_numbers(
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, double *out, size_t capacity
);

// Reads a file for its pixels, which stay in it until a frame is decoded. On CDICOM_OK `*pixels` must be closed.
cdicom_status cdicom_pixels_open(const char *path, cdicom_pixels **pixels);
void cdicom_pixels_close(cdicom_pixels *pixels);

// Decodes one frame, from 0, into rows * columns stored values, sign-extended, of `capacity` room; what lies above
// BitsStored is cut off. Rows and columns must be those of the header, which was read before.
cdicom_status cdicom_decode(
    cdicom_pixels *pixels, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity
);

#ifdef __cplusplus
}
#endif
