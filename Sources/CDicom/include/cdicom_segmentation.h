// cdicom_segmentation.h: a label map as a DICOM segmentation object, in plain C. No C++ exception leaves these
// functions.
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "cdicom.h"

#ifdef __cplusplus
extern "C" {
#endif

// The CT series that labels lie on. Millimetres in DICOM's LPS; texts are ASCII without backslashes, ended by 0.
typedef struct {
    const char *study, *series, *frame_of_reference; // UIDs
    const char *sop_class;                           // of the slices
    const char *const *instances;                    // SOPInstanceUID of each slice
    const uint32_t *frames; // from 1: which of the instance's frames the slice is; 0 where it has but one
    const double *positions;                         // of each slice's first voxel, three numbers a slice
    double orientation[6];                           // directions of a row and of a column, of length 1
    double row_spacing, column_spacing, slice_spacing;
    uint32_t slices;
    uint16_t rows, columns;
} cdicom_source;

// What the object says of itself.
typedef struct {
    const char *instance, *series, *dimensions; // its own UIDs
    uint32_t series_number;
    const char *date, *time;                    // YYYYMMDD and HHMMSS, UTC
    const char *manufacturer, *model, *serial_number, *version;
    const char *algorithm;                      // of both segments
    const char *description;                    // of the series
} cdicom_identity;

// Writes a binary segmentation of two segments: 1 where labels are 1 or 2 (the liver with its lesions), 2 where they
// are 2 (lesions). `labels` has columns fastest, then rows, then slices in the source's order. Slices without a segment
// have no frame for it; a segment without any voxel has one empty frame. The patient's and the study's attributes are
// empty but for the study's UID. Returns CDICOM_OK, CDICOM_OUT_OF_MEMORY, CDICOM_NO_DICTIONARY, CDICOM_NOT_ENCODED or
// CDICOM_NOT_WRITTEN.
cdicom_status cdicom_write_segmentation(
    const char *path, const cdicom_source *source, const cdicom_identity *identity, const uint8_t *labels
);

// Copies what names the patient and describes the study from the file `image` into the object of the file `path`, and
// writes it as `output`. CDICOM_NOT_ENCODED if they are not of the same study.
cdicom_status cdicom_take_over_patient(const char *path, const char *image, const char *output);

#ifdef __cplusplus
}
#endif
