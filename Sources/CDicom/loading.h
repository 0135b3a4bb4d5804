// loading.h: one DICOM file read by DCMTK, whatever its meta header claims.
#pragma once
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcpixel.h>
#include <dcmtk/dcmdata/dcpixseq.h>

#include <cstddef>
#include <string>

#include "cdicom.h"

struct Loaded {
    // The transfer syntax's UID: of the plain encodings the one that the data set is written in.
    std::string syntax;
    // To how many bytes a deflated data set inflates.
    size_t inflated = 0;
};

// High-Throughput JPEG 2000 passes for JPEG 2000 in what DCMTK is told.
cdicom_status load(
    const char *path, DcmFileFormat &format, const DcmTagKey &stop, size_t inflate_limit, Loaded &loaded
);

// The pixel data's element; null where there is none.
DcmPixelData *pixel_data(DcmItem *data);

// The pixels' fragments as they are in the file, after an offset table; null where there are none.
DcmPixelSequence *fragments_of(DcmPixelData *pixels);
