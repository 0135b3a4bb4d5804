// cdicom.cpp: attributes and pixels of one DICOM file through DCMTK.
#include "cdicom.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <sys/stat.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <vector>

#include "jpeg2000.h"
#include "rle.h"

struct cdicom_file {
    DcmFileFormat format;
};

namespace {

// Values longer than this stay in the file until they are asked for; all that is asked for is shorter.
constexpr Uint32 longest_value = 4096;

// More rows or columns than any CT has.
constexpr uint16_t longest_side = 4096;

void set_up() {
    static std::once_flag once;
    std::call_once(once, [] {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        DJDecoderRegistration::registerCodecs();
        DJLSDecoderRegistration::registerCodecs();
    });
}

// Whether the file has a DICOM signature, or begins with a data element of group 2 or 8 as files without one do.
cdicom_status recognise(const char *path, bool &has_signature) {
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return CDICOM_CANNOT_OPEN;
    if (status.st_size == 0) return CDICOM_EMPTY;
    FILE *file = std::fopen(path, "rbe");
    if (file == nullptr) return CDICOM_CANNOT_OPEN;
    unsigned char head[132] = {};
    const size_t count = std::fread(head, 1, sizeof head, file);
    std::fclose(file);
    has_signature = count == sizeof head && std::memcmp(head + 128, "DICM", 4) == 0;
    if (has_signature) return CDICOM_OK;
    const bool little = (head[0] == 2 || head[0] == 8) && head[1] == 0 && head[3] == 0;
    const bool big = head[0] == 0 && (head[1] == 2 || head[1] == 8) && head[2] == 0;
    return count >= 12 && (little || big) ? CDICOM_OK : CDICOM_NOT_DICOM;
}

cdicom_status load(const char *path, DcmFileFormat &format, bool with_pixels) {
    set_up();
    if (!dcmDataDict.isDictionaryLoaded()) return CDICOM_NO_DICTIONARY;
    bool has_signature = false;
    const cdicom_status kind = recognise(path, has_signature);
    if (kind != CDICOM_OK) return kind;
    const E_FileReadMode mode = has_signature ? ERM_fileOnly : ERM_autoDetect;
    const OFCondition result = format.loadFileUntilTag(
        path, EXS_Unknown, EGL_noChange, longest_value, mode, with_pixels ? DCM_UndefinedTagKey : DCM_PixelData);
    if (result.bad()) {
        // Without a signature a few bytes may look like an element by chance.
        return has_signature ? (result == EC_UnsupportedEncoding ? CDICOM_UNKNOWN_SYNTAX : CDICOM_DAMAGED)
                             : CDICOM_NOT_DICOM;
    }
    if (!has_signature && !format.getDataset()->tagExists(DCM_SOPClassUID) &&
        !format.getDataset()->tagExists(DCM_Modality)) {
        return CDICOM_NOT_DICOM;
    }
    return CDICOM_OK;
}

DcmItem *item_of(const cdicom_file *file, uint32_t tag) {
    DcmFileFormat &format = const_cast<cdicom_file *>(file)->format; // DCMTK's look-ups are not const
    return tag >> 16 == 2 ? static_cast<DcmItem *>(format.getMetaInfo()) : format.getDataset();
}

DcmTagKey key_of(uint32_t tag) {
    return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFF));
}

size_t numbers(DcmItem *item, uint32_t tag, double *out, size_t capacity) {
    DcmElement *element = nullptr;
    if (item->findAndGetElement(key_of(tag), element).bad() || element == nullptr) return 0;
    size_t count = 0;
    while (count < capacity) {
        Float64 real = 0;
        Sint32 whole = 0;
        Uint32 natural = 0;
        Uint16 word = 0;
        Sint16 signed_word = 0;
        if (element->getFloat64(real, count).good()) {
            out[count] = real;
        } else if (element->getSint32(whole, count).good()) {
            out[count] = whole;
        } else if (element->getUint32(natural, count).good()) {
            out[count] = natural;
        } else if (element->getUint16(word, count).good()) {
            out[count] = word;
        } else if (element->getSint16(signed_word, count).good()) {
            out[count] = signed_word;
        } else {
            break;
        }
        count++;
    }
    return count;
}

void copy_text(const char *text, char *out, size_t capacity) {
    if (capacity == 0) return;
    std::snprintf(out, capacity, "%s", text == nullptr ? "" : text);
}

// How stored values lie in the decoded bytes.
struct PixelFormat {
    Uint16 allocated = 0, stored = 0, high_bit = 0, is_signed = 0;
    Sint32 frames = 1;
};

cdicom_status pixel_format(DcmItem *data, uint32_t frame, uint16_t rows, uint16_t columns, PixelFormat &format) {
    Uint16 found_rows = 0, found_columns = 0, samples = 1;
    data->findAndGetUint16(DCM_Rows, found_rows);
    data->findAndGetUint16(DCM_Columns, found_columns);
    data->findAndGetUint16(DCM_SamplesPerPixel, samples);
    data->findAndGetUint16(DCM_BitsAllocated, format.allocated);
    data->findAndGetUint16(DCM_PixelRepresentation, format.is_signed);
    if (data->findAndGetUint16(DCM_BitsStored, format.stored).bad()) format.stored = format.allocated;
    if (data->findAndGetUint16(DCM_HighBit, format.high_bit).bad()) format.high_bit = format.stored - 1;
    if (data->findAndGetSint32(DCM_NumberOfFrames, format.frames).bad() || format.frames < 1) format.frames = 1;
    const bool sound = found_rows == rows && found_columns == columns && rows > 0 && columns > 0 &&
                       rows <= longest_side && columns <= longest_side && samples == 1 &&
                       frame < static_cast<uint32_t>(format.frames) &&
                       (format.allocated == 8 || format.allocated == 16) && format.stored >= 1 &&
                       format.stored <= format.allocated && format.high_bit < format.allocated &&
                       format.high_bit + 1 >= format.stored;
    return sound ? CDICOM_OK : CDICOM_UNKNOWN_PIXELS;
}

// Cuts off what lies beside the stored bits and extends the sign.
int32_t stored_value(uint32_t raw, const PixelFormat &format) {
    const uint32_t mask = (1u << format.stored) - 1;
    const uint32_t value = (raw >> (format.high_bit + 1 - format.stored)) & mask;
    const uint32_t sign = 1u << (format.stored - 1);
    return format.is_signed && (value & sign) ? static_cast<int32_t>(value) - static_cast<int32_t>(mask) - 1
                                              : static_cast<int32_t>(value);
}

// The pixels' fragments as they are in the file, after an offset table; null where there are none.
DcmPixelSequence *fragments_of(DcmItem *data) {
    DcmElement *element = nullptr;
    if (data->findAndGetElement(DCM_PixelData, element).bad()) return nullptr;
    auto *pixels = dynamic_cast<DcmPixelData *>(element);
    if (pixels == nullptr) return nullptr;
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    pixels->getOriginalRepresentationKey(syntax, parameter);
    DcmPixelSequence *sequence = nullptr;
    return pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).good() ? sequence : nullptr;
}

// Whether DCMTK's way to a JPEG frame's header ends: it hops from marker to marker, and stays at a TEM (FF01) for ever
// (DJCodecDecoder::scanJpegDataForBitDepth of 3.6.7).
bool scan_ends(const uint8_t *bytes, size_t count) {
    size_t at = 0;
    while (at + 4 < count && bytes[at] == 0xFF) {
        const uint8_t marker = bytes[at + 1];
        const bool is_frame = marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC;
        if (marker == 0x01) return false;
        if (marker == 0x00 || marker == 0x02 || is_frame) return true;
        if (marker == 0xFF) {
            at += 1; // a fill byte
        } else if (marker < 0xC0 || (marker >= 0xD0 && marker <= 0xD9)) {
            at += 2; // stands alone
        } else {
            at += 2 + (static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3]);
        }
    }
    return true;
}

// Whether that is so for each fragment that DCMTK may take for the beginning of a frame.
bool scans_end(DcmItem *data, uint32_t frame, const PixelFormat &format) {
    DcmPixelSequence *sequence = fragments_of(data);
    if (sequence == nullptr) return true;
    const bool one_each = sequence->card() == static_cast<unsigned long>(format.frames) + 1;
    const unsigned long begin = one_each ? frame + 1 : 1;
    const unsigned long end = one_each ? begin + 1 : sequence->card();
    for (unsigned long index = begin; index < end; index++) {
        DcmPixelItem *item = nullptr;
        Uint8 *fragment = nullptr;
        // What cannot be read is for the decoder to refuse.
        if (sequence->getItem(item, index).bad() || item == nullptr) return true;
        if (item->getUint8Array(fragment).bad() || fragment == nullptr) return true;
        if (!scan_ends(fragment, item->getLength())) return false;
    }
    return true;
}

// The fragments of a frame, one after the other: a single frame may be spread over several, of many each has its own.
cdicom_status codestream(DcmItem *data, uint32_t frame, const PixelFormat &format, std::vector<uint8_t> &bytes) {
    if (!data->tagExists(DCM_PixelData)) return CDICOM_NO_PIXELS;
    DcmPixelSequence *sequence = fragments_of(data);
    if (sequence == nullptr) return CDICOM_NOT_DECODED;
    // Item 0 is the offset table.
    const bool single = format.frames == 1;
    if (!single && sequence->card() != static_cast<unsigned long>(format.frames) + 1) return CDICOM_NOT_DECODED;
    const unsigned long begin = single ? 1 : frame + 1;
    const unsigned long end = single ? sequence->card() : begin + 1;
    for (unsigned long index = begin; index < end; index++) {
        DcmPixelItem *item = nullptr;
        Uint8 *fragment = nullptr;
        if (sequence->getItem(item, index).bad() || item == nullptr) return CDICOM_TRUNCATED;
        if (item->getUint8Array(fragment).bad() || fragment == nullptr) return CDICOM_TRUNCATED;
        bytes.insert(bytes.end(), fragment, fragment + item->getLength());
    }
    return bytes.empty() ? CDICOM_TRUNCATED : CDICOM_OK;
}

bool is_jpeg2000(E_TransferSyntax syntax) {
    return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly;
}

// One frame of several; the others are neither read nor decoded.
cdicom_status plain_frame(DcmDataset *data, uint32_t frame, std::vector<uint16_t> &words) {
    DcmElement *element = nullptr;
    if (data->findAndGetElement(DCM_PixelData, element).bad()) return CDICOM_NO_PIXELS;
    auto *pixels = dynamic_cast<DcmPixelData *>(element);
    if (pixels == nullptr) return CDICOM_NO_PIXELS;
    const size_t bytes = words.size() * sizeof(uint16_t);
    Uint32 size = 0;
    if (pixels->getUncompressedFrameSize(data, size).bad() || size > bytes) return CDICOM_UNKNOWN_PIXELS;
    Uint32 fragment = 0; // 0: DCMTK looks for it
    OFString colours;
    const OFCondition result =
        pixels->getUncompressedFrame(data, frame, fragment, words.data(), static_cast<Uint32>(bytes), colours);
    return result.good() ? CDICOM_OK : CDICOM_TRUNCATED;
}

// The bytes of decoded or never compressed pixels, in this machine's byte order.
cdicom_status plain_pixels(DcmDataset *data, size_t needed, const uint8_t *&bytes) {
    const DcmXfer original(data->getOriginalXfer());
    if (original.isEncapsulated() && data->chooseRepresentation(EXS_LittleEndianExplicit, nullptr).bad()) {
        return data->canWriteXfer(EXS_LittleEndianExplicit, data->getOriginalXfer()) ? CDICOM_NOT_DECODED
                                                                                      : CDICOM_UNKNOWN_SYNTAX;
    }
    DcmElement *element = nullptr;
    if (data->findAndGetElement(DCM_PixelData, element).bad() || element == nullptr) return CDICOM_NO_PIXELS;
    // The declared length; DCMTK reads no more than the file holds and fails below where it holds less.
    if (element->getLength(EXS_LittleEndianExplicit) < needed) return CDICOM_TRUNCATED;
    Uint16 *words = nullptr;
    Uint8 *octets = nullptr;
    if (element->getUint16Array(words).good() && words != nullptr) {
        bytes = reinterpret_cast<const uint8_t *>(words);
    } else if (element->getUint8Array(octets).good() && octets != nullptr) {
        bytes = octets;
    } else {
        return CDICOM_TRUNCATED;
    }
    return CDICOM_OK;
}

cdicom_status decode(
    const char *path, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity) {
    DcmFileFormat format;
    const cdicom_status loaded = load(path, format, true);
    // The header was sound before: what fails now is the pixels' length.
    if (loaded != CDICOM_OK) return loaded == CDICOM_DAMAGED ? CDICOM_TRUNCATED : loaded;
    DcmDataset *data = format.getDataset();
    PixelFormat pixels;
    const cdicom_status known = pixel_format(data, frame, rows, columns, pixels);
    if (known != CDICOM_OK) return known;
    const size_t count = static_cast<size_t>(rows) * columns; // at most 2^24
    if (capacity < count) return CDICOM_UNKNOWN_PIXELS;

    const E_TransferSyntax syntax = data->getOriginalXfer();
    if (is_jpeg2000(syntax) || syntax == EXS_RLELossless) {
        std::vector<uint8_t> bytes;
        const cdicom_status gathered = codestream(data, frame, pixels, bytes);
        if (gathered != CDICOM_OK) return gathered;
        const cdicom_status decoded =
            is_jpeg2000(syntax) ? decode_jpeg2000(bytes.data(), bytes.size(), rows, columns, out)
                                : decode_rle(bytes.data(), bytes.size(), pixels.allocated / 8, count, out);
        if (decoded != CDICOM_OK) return decoded;
        // The codestream may say unsigned where the header says signed, and the header is right.
        for (size_t i = 0; i < count; i++) out[i] = stored_value(static_cast<uint32_t>(out[i]), pixels);
        return CDICOM_OK;
    }
    if (DcmXfer(syntax).isEncapsulated() && !scans_end(data, frame, pixels)) return CDICOM_NOT_DECODED;
    const uint8_t *bytes = nullptr;
    const size_t needed = count * (pixels.allocated / 8);
    std::vector<uint16_t> words;
    cdicom_status plain;
    if (pixels.frames > 1) {
        words.resize((needed + 1) / 2);
        plain = plain_frame(data, frame, words);
        bytes = reinterpret_cast<const uint8_t *>(words.data());
    } else {
        plain = plain_pixels(data, needed, bytes);
    }
    if (plain != CDICOM_OK) return plain;
    if (pixels.allocated == 8) {
        for (size_t i = 0; i < count; i++) out[i] = stored_value(bytes[i], pixels);
    } else {
        for (size_t i = 0; i < count; i++) {
            uint16_t word;
            std::memcpy(&word, bytes + 2 * i, 2);
            out[i] = stored_value(word, pixels);
        }
    }
    return CDICOM_OK;
}

} // namespace

extern "C" cdicom_status cdicom_open(const char *path, cdicom_file **file) {
    *file = nullptr;
    try {
        auto opened = std::make_unique<cdicom_file>();
        const cdicom_status status = load(path, opened->format, false);
        if (status == CDICOM_OK) *file = opened.release();
        return status;
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_DAMAGED;
    }
}

extern "C" void cdicom_close(cdicom_file *file) { delete file; }

extern "C" void cdicom_syntax(const cdicom_file *file, char *out, size_t capacity) {
    auto *data = static_cast<DcmDataset *>(item_of(file, 0));
    copy_text(DcmXfer(data->getOriginalXfer()).getXferID(), out, capacity);
}

extern "C" void cdicom_text(const cdicom_file *file, uint32_t tag, char *out, size_t capacity) {
    copy_text("", out, capacity);
    try {
        OFString text;
        if (item_of(file, tag)->findAndGetOFStringArray(key_of(tag), text).good()) {
            copy_text(text.c_str(), out, capacity);
        }
    } catch (...) {
        copy_text("", out, capacity);
    }
}

extern "C" size_t cdicom_numbers(const cdicom_file *file, uint32_t tag, double *out, size_t capacity) {
    try {
        return numbers(item_of(file, tag), tag, out, capacity);
    } catch (...) {
        return 0;
    }
}

extern "C" size_t cdicom_frame_numbers(
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, double *out, size_t capacity) {
    try {
        const DcmTagKey group = key_of(sequence);
        DcmItem *all = nullptr, *own = nullptr;
        DcmItem *data = item_of(file, tag);
        if (data->findAndGetSequenceItem(DCM_PerFrameFunctionalGroupsSequence, all, frame).good() && all != nullptr &&
            all->findAndGetSequenceItem(group, own).good() && own != nullptr) {
            return numbers(own, tag, out, capacity);
        }
        if (data->findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, all).good() && all != nullptr &&
            all->findAndGetSequenceItem(group, own).good() && own != nullptr) {
            return numbers(own, tag, out, capacity);
        }
        return 0;
    } catch (...) {
        return 0;
    }
}

extern "C" cdicom_status cdicom_decode(
    const char *path, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity) {
    try {
        return decode(path, frame, rows, columns, out, capacity);
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_NOT_DECODED;
    }
}
