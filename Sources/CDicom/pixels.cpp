// pixels.cpp: frames of one DICOM file as stored values.
#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dcpxitem.h>

#include <cstring>
#include <memory>
#include <new>
#include <vector>

#include "jpeg2000.h"
#include "loading.h"
#include "rle.h"

struct cdicom_pixels {
    DcmFileFormat format;
    // Fragments after the offset table, found once: DCMTK counts from the first at each look-up.
    std::vector<DcmPixelItem *> fragments;
};

namespace {

// More rows or columns than any CT has.
constexpr uint16_t longest_side = 4096;

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
    const bool sound = found_rows == rows && found_columns == columns && rows > 0 && columns > 0 && rows <= longest_side
        && columns <= longest_side && samples == 1 && frame < static_cast<uint32_t>(format.frames)
        && (format.allocated == 8 || format.allocated == 16) && format.stored >= 1 && format.stored <= format.allocated
        && format.high_bit < format.allocated && format.high_bit + 1 >= format.stored;
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

// Where each frame's fragments begin by the offset table, which counts bytes from the first fragment's own header.
std::vector<size_t> starts_by_table(DcmPixelSequence *sequence, const std::vector<DcmPixelItem *> &fragments) {
    DcmPixelItem *table = nullptr;
    Uint8 *bytes = nullptr;
    if (sequence->getItem(table, 0).bad() || table == nullptr || table->getLength() < 8) return {};
    if (table->getUint8Array(bytes).bad() || bytes == nullptr) return {};
    std::vector<size_t> starts;
    size_t place = 0, fragment = 0;
    for (size_t i = 0; i + 4 <= table->getLength(); i += 4) {
        const size_t offset = static_cast<size_t>(bytes[i]) | static_cast<size_t>(bytes[i + 1]) << 8
            | static_cast<size_t>(bytes[i + 2]) << 16 | static_cast<size_t>(bytes[i + 3]) << 24;
        while (fragment < fragments.size() && place < offset) place += 8 + fragments[fragment++]->getLength();
        if (fragment == fragments.size() || place != offset) return {};
        starts.push_back(fragment);
    }
    return starts;
}

// The same by the codestreams' own beginning: SOI of JPEG and JPEG-LS, SOC of JPEG 2000.
std::vector<size_t> starts_by_marker(const std::vector<DcmPixelItem *> &fragments) {
    std::vector<size_t> starts;
    for (size_t index = 0; index < fragments.size(); index++) {
        Uint8 *bytes = nullptr;
        if (fragments[index]->getLength() < 2 || fragments[index]->getUint8Array(bytes).bad()) continue;
        if (bytes != nullptr && bytes[0] == 0xFF && (bytes[1] == 0xD8 || bytes[1] == 0x4F)) starts.push_back(index);
    }
    return starts;
}

// A frame's fragments, one after the other: each frame has one, a single frame may have all, and of several frames with
// several fragments the offset table or the fragments' first bytes tell whose they are.
cdicom_status codestream(
    cdicom_pixels &pixels, DcmPixelSequence *sequence, uint32_t frame, size_t frames, std::vector<uint8_t> &bytes
) {
    std::vector<DcmPixelItem *> &fragments = pixels.fragments;
    if (fragments.empty()) {
        DcmObject *object = nullptr;
        while ((object = sequence->nextInContainer(object)) != nullptr) {
            fragments.push_back(static_cast<DcmPixelItem *>(object));
        }
        if (!fragments.empty()) fragments.erase(fragments.begin()); // the offset table
    }
    if (fragments.size() < frames) return CDICOM_TRUNCATED;
    size_t begin = frame, end = frame + 1;
    if (frames == 1) {
        begin = 0;
        end = fragments.size();
    } else if (fragments.size() > frames) {
        std::vector<size_t> starts = starts_by_table(sequence, fragments);
        if (starts.size() != frames) starts = starts_by_marker(fragments);
        if (starts.size() != frames) return CDICOM_NOT_DECODED;
        begin = starts[frame];
        end = frame + 1 < frames ? starts[frame + 1] : fragments.size();
    }
    for (size_t index = begin; index < end; index++) {
        Uint8 *fragment = nullptr;
        if (fragments[index]->getUint8Array(fragment).bad() || fragment == nullptr) return CDICOM_TRUNCATED;
        bytes.insert(bytes.end(), fragment, fragment + fragments[index]->getLength());
    }
    return bytes.empty() ? CDICOM_TRUNCATED : CDICOM_OK;
}

bool is_jpeg2000(E_TransferSyntax syntax) { return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly; }

enum class Stream { unknown, jpeg, jpeg_ls, jpeg2000 };

// What a codestream is by its first bytes: SOC, or SOI and the marker of the first frame.
Stream stream_of(const std::vector<uint8_t> &bytes) {
    if (bytes.size() < 4 || bytes[0] != 0xFF) return Stream::unknown;
    if (bytes[1] == 0x4F && bytes[2] == 0xFF) return Stream::jpeg2000;
    if (bytes[1] != 0xD8) return Stream::unknown;
    size_t at = 2;
    while (at + 4 < bytes.size() && bytes[at] == 0xFF) {
        const uint8_t marker = bytes[at + 1];
        if (marker == 0xF7) return Stream::jpeg_ls;
        if (marker >= 0xC0 && marker <= 0xCF && marker != 0xC4 && marker != 0xC8 && marker != 0xCC) return Stream::jpeg;
        at += marker == 0xFF ? 1 : 2 + (static_cast<size_t>(bytes[at + 2]) << 8 | bytes[at + 3]);
    }
    return Stream::unknown;
}

// Whether a codestream may be what the transfer syntax says; damaged ones are for the decoder to refuse.
bool suits(Stream stream, E_TransferSyntax syntax) {
    switch (stream) {
        case Stream::unknown: return true;
        case Stream::jpeg2000: return is_jpeg2000(syntax);
        case Stream::jpeg_ls: return syntax == EXS_JPEGLSLossless || syntax == EXS_JPEGLSLossy;
        case Stream::jpeg:
            return !is_jpeg2000(syntax) && syntax != EXS_RLELossless && syntax != EXS_JPEGLSLossless
                && syntax != EXS_JPEGLSLossy;
    }
    return true;
}

// One frame as a data set of its own, in one fragment: DCMTK's decoders want a frame's codestream in one piece.
cdicom_status single_frame(
    DcmItem *data, const std::vector<uint8_t> &bytes, E_TransferSyntax syntax, DcmDataset &frame
) {
    for (const DcmTagKey &tag :
         {DCM_SamplesPerPixel, DCM_PhotometricInterpretation, DCM_Rows, DCM_Columns, DCM_BitsAllocated, DCM_BitsStored,
          DCM_HighBit, DCM_PixelRepresentation}) {
        DcmElement *element = nullptr;
        if (data->findAndGetElement(tag, element, OFFalse, OFTrue).bad()) continue;
        if (frame.insert(element).bad()) {
            delete element;
            return CDICOM_NOT_DECODED;
        }
    }
    auto sequence = std::make_unique<DcmPixelSequence>(DCM_PixelSequenceTag);
    auto table = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    auto item = std::make_unique<DcmPixelItem>(DCM_PixelItemTag);
    if (item->putUint8Array(bytes.data(), bytes.size()).bad()) return CDICOM_OUT_OF_MEMORY;
    if (sequence->insert(table.get()).bad()) return CDICOM_NOT_DECODED;
    table.release();
    if (sequence->insert(item.get()).bad()) return CDICOM_NOT_DECODED;
    item.release();
    auto pixels = std::make_unique<DcmPixelData>(DCM_PixelData);
    pixels->putOriginalRepresentation(syntax, nullptr, sequence.release());
    if (frame.insert(pixels.get()).bad()) return CDICOM_NOT_DECODED;
    pixels.release();
    return frame.chooseRepresentation(EXS_LittleEndianExplicit, nullptr).good() ? CDICOM_OK : CDICOM_NOT_DECODED;
}

// One frame of several that are not compressed; the others are not read.
cdicom_status plain_frame(DcmDataset *data, DcmPixelData *pixels, uint32_t frame, std::vector<uint16_t> &words) {
    const size_t bytes = words.size() * sizeof(uint16_t);
    Uint32 size = 0;
    if (pixels->getUncompressedFrameSize(data, size).bad() || size > bytes) return CDICOM_UNKNOWN_PIXELS;
    Uint32 fragment = 0; // 0: DCMTK looks for it
    OFString colours;
    const OFCondition result =
        pixels->getUncompressedFrame(data, frame, fragment, words.data(), static_cast<Uint32>(bytes), colours);
    return result.good() ? CDICOM_OK : CDICOM_TRUNCATED;
}

// The bytes of pixels that are not compressed, in this machine's byte order.
cdicom_status plain_pixels(DcmPixelData *pixels, size_t needed, const uint8_t *&bytes) {
    // The declared length; DCMTK reads no more than the file holds and fails below where it holds less.
    if (pixels->getLength(EXS_LittleEndianExplicit) < needed) return CDICOM_TRUNCATED;
    Uint16 *words = nullptr;
    Uint8 *octets = nullptr;
    if (pixels->getUint16Array(words).good() && words != nullptr) {
        bytes = reinterpret_cast<const uint8_t *>(words);
    } else if (pixels->getUint8Array(octets).good() && octets != nullptr) {
        bytes = octets;
    } else {
        return CDICOM_TRUNCATED;
    }
    return CDICOM_OK;
}

cdicom_status decode(
    cdicom_pixels &file, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity
) {
    DcmDataset *data = file.format.getDataset();
    PixelFormat format;
    const cdicom_status known = pixel_format(data, frame, rows, columns, format);
    if (known != CDICOM_OK) return known;
    const size_t count = static_cast<size_t>(rows) * columns; // at most 2^24
    if (capacity < count) return CDICOM_UNKNOWN_PIXELS;
    const size_t needed = count * (format.allocated / 8);
    DcmPixelData *pixels = pixel_data(data);
    if (pixels == nullptr) return CDICOM_NO_PIXELS;

    const E_TransferSyntax syntax = data->getOriginalXfer();
    DcmPixelSequence *sequence = fragments_of(pixels);
    if ((sequence != nullptr) != static_cast<bool>(DcmXfer(syntax).isEncapsulated())) return CDICOM_WRONG_SYNTAX;
    const uint8_t *bytes = nullptr;
    std::vector<uint16_t> words;
    DcmDataset single;
    cdicom_status plain;
    if (sequence != nullptr) {
        std::vector<uint8_t> stream;
        const cdicom_status gathered = codestream(file, sequence, frame, static_cast<size_t>(format.frames), stream);
        if (gathered != CDICOM_OK) return gathered;
        if (!suits(stream_of(stream), syntax)) return CDICOM_WRONG_SYNTAX;
        if (is_jpeg2000(syntax) || syntax == EXS_RLELossless) {
            const cdicom_status decoded = is_jpeg2000(syntax)
                ? decode_jpeg2000(stream.data(), stream.size(), rows, columns, out)
                : decode_rle(stream.data(), stream.size(), format.allocated / 8, count, out);
            if (decoded != CDICOM_OK) return decoded;
            // The codestream may say unsigned where the header says signed, and the header is right.
            for (size_t i = 0; i < count; i++) out[i] = stored_value(static_cast<uint32_t>(out[i]), format);
            return CDICOM_OK;
        }
        if (!scan_ends(stream.data(), stream.size())) return CDICOM_NOT_DECODED;
        if (stream.size() % 2 == 1) stream.push_back(0);
        const cdicom_status decoded = single_frame(data, stream, syntax, single);
        if (decoded != CDICOM_OK) return decoded;
        DcmPixelData *decompressed = pixel_data(&single);
        if (decompressed == nullptr) return CDICOM_NOT_DECODED;
        plain = plain_pixels(decompressed, needed, bytes);
    } else if (format.frames > 1) {
        words.resize((needed + 1) / 2);
        plain = plain_frame(data, pixels, frame, words);
        bytes = reinterpret_cast<const uint8_t *>(words.data());
    } else {
        plain = plain_pixels(pixels, needed, bytes);
    }
    if (plain != CDICOM_OK) return plain;
    if (format.allocated == 8) {
        for (size_t i = 0; i < count; i++) out[i] = stored_value(bytes[i], format);
    } else {
        for (size_t i = 0; i < count; i++) {
            uint16_t word;
            std::memcpy(&word, bytes + 2 * i, 2);
            out[i] = stored_value(word, format);
        }
    }
    return CDICOM_OK;
}

} // namespace

extern "C" cdicom_status cdicom_pixels_open(const char *path, cdicom_pixels **pixels) {
    *pixels = nullptr;
    try {
        auto opened = std::make_unique<cdicom_pixels>();
        Loaded loaded;
        const cdicom_status status = load(path, opened->format, DCM_UndefinedTagKey, SIZE_MAX, loaded);
        // The header was sound before: what fails now is the pixels' length.
        if (status != CDICOM_OK) return status == CDICOM_DAMAGED ? CDICOM_TRUNCATED : status;
        *pixels = opened.release();
        return CDICOM_OK;
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_NOT_DECODED;
    }
}

extern "C" void cdicom_pixels_close(cdicom_pixels *pixels) { delete pixels; }

extern "C" cdicom_status cdicom_decode(
    cdicom_pixels *pixels, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity
) {
    try {
        return decode(*pixels, frame, rows, columns, out, capacity);
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_NOT_DECODED;
    }
}
