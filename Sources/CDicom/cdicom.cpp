// cdicom.cpp: attributes and pixels of one DICOM file through DCMTK.
#include "cdicom.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcpixseq.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <sys/stat.h>
#include <zlib.h>

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "jpeg2000.h"
#include "rle.h"

struct cdicom_file {
    DcmFileFormat format;
    // What the meta header says where it is none of the plain encodings, else what the data set is written in.
    std::string syntax;
    // Items of the frames' functional groups, found once: DCMTK counts from the first at each look-up.
    std::vector<DcmItem *> frames;
};

struct cdicom_pixels {
    DcmFileFormat format;
    // Fragments after the offset table, found once for the same reason.
    std::vector<DcmPixelItem *> fragments;
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
        // A known attribute whose type was written as unknown is what it is.
        dcmEnableUnknownVRConversion.set(OFTrue);
    });
}

struct CloseFile {
    void operator()(FILE *file) const { std::fclose(file); }
};
using File = std::unique_ptr<FILE, CloseFile>;

// Whether the file has a DICOM signature, or begins with a data element of group 2 or 8 as files without one do.
cdicom_status recognise(const char *path, bool &has_signature) {
    struct stat status;
    if (stat(path, &status) != 0 || !S_ISREG(status.st_mode)) return CDICOM_CANNOT_OPEN;
    if (status.st_size == 0) return CDICOM_EMPTY;
    const File file(std::fopen(path, "rbe"));
    if (!file) return CDICOM_CANNOT_OPEN;
    unsigned char head[132] = {};
    const size_t count = std::fread(head, 1, sizeof head, file.get());
    has_signature = count == sizeof head && std::memcmp(head + 128, "DICM", 4) == 0;
    if (has_signature) return CDICOM_OK;
    const bool little = (head[0] == 2 || head[0] == 8) && head[1] == 0 && head[3] == 0;
    const bool big = head[0] == 0 && (head[1] == 2 || head[1] == 8) && head[2] == 0;
    return count >= 12 && (little || big) ? CDICOM_OK : CDICOM_NOT_DICOM;
}

// How a data set is really written, by its first element: EXS_Unknown where that is none of a low group.
E_TransferSyntax written_in(FILE *file, long begin) {
    unsigned char head[8] = {};
    if (std::fseek(file, begin, SEEK_SET) != 0) return EXS_Unknown;
    if (std::fread(head, 1, sizeof head, file) != sizeof head) return EXS_Unknown;
    const unsigned little = head[0] | head[1] << 8, big = head[0] << 8 | head[1];
    const auto is_capital = [](unsigned char byte) { return byte >= 'A' && byte <= 'Z'; };
    const bool is_explicit = is_capital(head[4]) && is_capital(head[5]);
    // Identifying and patient's attributes, with which every image begins.
    constexpr unsigned highest = 0x0010;
    if (little > 0 && little <= highest) return is_explicit ? EXS_LittleEndianExplicit : EXS_LittleEndianImplicit;
    if (big > 0 && big <= highest && is_explicit) return EXS_BigEndianExplicit;
    return EXS_Unknown;
}

// High-Throughput JPEG 2000: OpenJPEG 2.5 decodes it, DCMTK 3.6.7 does not know its name.
E_TransferSyntax syntax_named(const std::string &name) {
    if (name == "1.2.840.10008.1.2.4.201" || name == "1.2.840.10008.1.2.4.202") return EXS_JPEG2000LosslessOnly;
    return name == "1.2.840.10008.1.2.4.203" ? EXS_JPEG2000 : DcmXfer(name.c_str()).getXfer();
}

bool is_plain(E_TransferSyntax syntax) {
    return syntax == EXS_LittleEndianImplicit || syntax == EXS_LittleEndianExplicit || syntax == EXS_BigEndianExplicit;
}

// How many bytes a deflated data set inflates to, counted in little memory up to `limit` and one more.
cdicom_status inflated_bytes(FILE *file, long begin, size_t limit, size_t &bytes) {
    bytes = 0;
    if (std::fseek(file, begin, SEEK_SET) != 0) return CDICOM_DAMAGED;
    z_stream stream = {};
    if (inflateInit2(&stream, -MAX_WBITS) != Z_OK) return CDICOM_OUT_OF_MEMORY;
    const std::unique_ptr<z_stream, int (*)(z_stream *)> end(&stream, inflateEnd);
    unsigned char input[16 << 10], output[64 << 10];
    int status = Z_OK;
    while (status == Z_OK || status == Z_BUF_ERROR) {
        if (stream.avail_in == 0) {
            stream.avail_in = static_cast<uInt>(std::fread(input, 1, sizeof input, file));
            stream.next_in = input;
            if (stream.avail_in == 0) break; // cut off: for the reader to find
        }
        stream.avail_out = sizeof output;
        stream.next_out = output;
        status = inflate(&stream, Z_NO_FLUSH);
        bytes += sizeof output - stream.avail_out;
        if (bytes > limit) return CDICOM_INFLATES_TOO_FAR;
    }
    return CDICOM_OK;
}

DcmPixelData *pixel_data(DcmItem *data) {
    DcmElement *element = nullptr;
    if (data->findAndGetElement(DCM_PixelData, element).bad()) return nullptr;
    return dynamic_cast<DcmPixelData *>(element);
}

// The pixels' fragments as they are in the file, after an offset table; null where there are none.
DcmPixelSequence *fragments_of(DcmPixelData *pixels) {
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    pixels->getOriginalRepresentationKey(syntax, parameter);
    DcmPixelSequence *sequence = nullptr;
    return pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).good() ? sequence : nullptr;
}

// Whether the pixels were read to their end, before the states of reading are ended. Padding behind them is no element and
// stops DCMTK; so does a file that breaks off, whose missing values it would make zeros of.
bool has_whole_pixels(DcmItem *data) {
    DcmPixelData *pixels = pixel_data(data);
    if (pixels == nullptr) return false;
    DcmPixelSequence *sequence = fragments_of(pixels);
    if (sequence == nullptr) return pixels->transferState() == ERW_ready;
    DcmPixelItem *last = nullptr;
    return sequence->card() > 1 && sequence->getItem(last, sequence->card() - 1).good() &&
           last->transferState() == ERW_ready;
}

struct Loaded {
    std::string syntax;
    size_t inflated = 0;
};

// Reads the data set behind a meta header. What the header says of its encoding is held against the first bytes: some
// files claim explicit types over implicit ones, or deflation over plain bytes.
cdicom_status load_after_meta(
    const char *path, DcmFileFormat &format, const DcmTagKey &stop, size_t inflate_limit, Loaded &loaded) {
    DcmInputFileStream stream(path);
    if (stream.status().bad()) return CDICOM_CANNOT_OPEN;
    format.transferInit();
    DcmMetaInfo *meta = format.getMetaInfo();
    if (meta->read(stream, EXS_Unknown, EGL_noChange, longest_value).bad()) return CDICOM_DAMAGED;
    OFString name;
    if (meta->findAndGetOFString(DCM_TransferSyntaxUID, name).good()) loaded.syntax = name.c_str();
    E_TransferSyntax syntax = syntax_named(loaded.syntax);

    const File file(std::fopen(path, "rbe"));
    if (!file) return CDICOM_CANNOT_OPEN;
    const long begin = static_cast<long>(stream.tell());
    const E_TransferSyntax found = written_in(file.get(), begin);
    const bool is_deflated = syntax == EXS_DeflatedLittleEndianExplicit;
    if (found != EXS_Unknown && (is_plain(syntax) || is_deflated || syntax == EXS_Unknown)) {
        if (syntax != EXS_Unknown || loaded.syntax.empty()) loaded.syntax = DcmXfer(found).getXferID();
        syntax = found;
    } else if (is_deflated) {
        const cdicom_status counted = inflated_bytes(file.get(), begin, inflate_limit, loaded.inflated);
        if (counted != CDICOM_OK) return counted;
    }
    const OFCondition result =
        format.getDataset()->readUntilTag(stream, syntax, EGL_noChange, longest_value, stop);
    const bool is_whole = result.good() || has_whole_pixels(format.getDataset());
    format.transferEnd();
    return is_whole ? CDICOM_OK : CDICOM_DAMAGED;
}

cdicom_status load(
    const char *path, DcmFileFormat &format, const DcmTagKey &stop, size_t inflate_limit, Loaded &loaded) {
    set_up();
    if (!dcmDataDict.isDictionaryLoaded()) return CDICOM_NO_DICTIONARY;
    bool has_signature = false;
    const cdicom_status kind = recognise(path, has_signature);
    if (kind != CDICOM_OK) return kind;
    if (has_signature) return load_after_meta(path, format, stop, inflate_limit, loaded);
    DcmInputFileStream stream(path);
    if (stream.status().bad()) return CDICOM_CANNOT_OPEN;
    format.transferInit();
    format.setReadMode(ERM_autoDetect);
    const OFCondition result = format.readUntilTag(stream, EXS_Unknown, EGL_noChange, longest_value, stop);
    DcmDataset *data = format.getDataset();
    const bool is_whole = result.good() || has_whole_pixels(data);
    format.transferEnd();
    // A few bytes may look like an element by chance.
    if (!is_whole && !data->tagExists(DCM_PixelData)) return CDICOM_NOT_DICOM;
    if (!is_whole) return CDICOM_DAMAGED;
    if (!data->tagExists(DCM_SOPClassUID) && !data->tagExists(DCM_Modality)) return CDICOM_NOT_DICOM;
    loaded.syntax = DcmXfer(data->getOriginalXfer()).getXferID();
    return CDICOM_OK;
}

DcmItem *item_of(const cdicom_file *file, uint32_t tag) {
    DcmFileFormat &format = const_cast<cdicom_file *>(file)->format; // DCMTK's look-ups are not const
    return tag >> 16 == 2 ? static_cast<DcmItem *>(format.getMetaInfo()) : format.getDataset();
}

DcmTagKey key_of(uint32_t tag) {
    return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFF));
}

// A decimal or integer string that is wholly a number; else not a number. DCMTK would read "1,5" as 1.
double decimal(std::string_view text) {
    const size_t first = text.find_first_not_of(" ");
    text.remove_prefix(first == std::string_view::npos ? text.size() : first);
    while (!text.empty() && (text.back() == ' ' || text.back() == '\0')) text.remove_suffix(1);
    if (text.find_first_not_of("+-.0123456789Ee") != std::string_view::npos) return std::nan("");
    if (text.size() > 1 && text[0] == '+' && text[1] != '-') text.remove_prefix(1);
    double value = 0;
    const auto [end, fault] = std::from_chars(text.data(), text.data() + text.size(), value);
    return fault == std::errc() && end == text.data() + text.size() ? value : std::nan("");
}

size_t decimals(DcmElement *element, double *out, size_t capacity) {
    OFString text;
    if (element->getOFStringArray(text, OFFalse).bad()) return 0;
    std::string_view rest(text.c_str(), text.size());
    size_t count = 0;
    while (count < capacity) {
        const size_t end = rest.find('\\');
        const std::string_view value = rest.substr(0, end);
        if (value.find_first_not_of(std::string_view(" \0", 2)) == std::string_view::npos) break; // absent
        out[count++] = decimal(value);
        if (end == std::string_view::npos) break;
        rest.remove_prefix(end + 1);
    }
    return count;
}

size_t numbers(DcmItem *item, uint32_t tag, double *out, size_t capacity) {
    DcmElement *element = nullptr;
    if (item->findAndGetElement(key_of(tag), element).bad() || element == nullptr) return 0;
    if (element->isaString()) return decimals(element, out, capacity);
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

// The text of an attribute; "" where it or the item is absent.
void text_of(DcmItem *item, uint32_t tag, char *out, size_t capacity) {
    copy_text("", out, capacity);
    try {
        OFString text;
        if (item != nullptr && item->findAndGetOFStringArray(key_of(tag), text).good()) {
            copy_text(text.c_str(), out, capacity);
        }
    } catch (...) {
        copy_text("", out, capacity);
    }
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
        const size_t offset = static_cast<size_t>(bytes[i]) | static_cast<size_t>(bytes[i + 1]) << 8 |
                              static_cast<size_t>(bytes[i + 2]) << 16 | static_cast<size_t>(bytes[i + 3]) << 24;
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
    cdicom_pixels &pixels, DcmPixelSequence *sequence, uint32_t frame, size_t frames, std::vector<uint8_t> &bytes) {
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

bool is_jpeg2000(E_TransferSyntax syntax) {
    return syntax == EXS_JPEG2000 || syntax == EXS_JPEG2000LosslessOnly;
}

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
            return !is_jpeg2000(syntax) && syntax != EXS_RLELossless && syntax != EXS_JPEGLSLossless &&
                   syntax != EXS_JPEGLSLossy;
    }
    return true;
}

// One frame as a data set of its own, in one fragment: DCMTK's decoders want a frame's codestream in one piece.
cdicom_status single_frame(
    DcmItem *data, const std::vector<uint8_t> &bytes, E_TransferSyntax syntax, DcmDataset &frame) {
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
    cdicom_pixels &file, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity) {
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
        const cdicom_status gathered =
            codestream(file, sequence, frame, static_cast<size_t>(format.frames), stream);
        if (gathered != CDICOM_OK) return gathered;
        if (!suits(stream_of(stream), syntax)) return CDICOM_WRONG_SYNTAX;
        if (is_jpeg2000(syntax) || syntax == EXS_RLELossless) {
            const cdicom_status decoded =
                is_jpeg2000(syntax) ? decode_jpeg2000(stream.data(), stream.size(), rows, columns, out)
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

// The item of a functional group that a frame has of its own, or shares with all; null where there is none.
DcmItem *group_of(const cdicom_file *file, uint32_t frame, uint32_t sequence) {
    const DcmTagKey group = key_of(sequence);
    DcmItem *all = nullptr, *own = nullptr;
    DcmItem *data = item_of(file, sequence);
    if (frame < file->frames.size() && file->frames[frame]->findAndGetSequenceItem(group, own).good()) return own;
    if (data->findAndGetSequenceItem(DCM_SharedFunctionalGroupsSequence, all).bad() || all == nullptr) return nullptr;
    return all->findAndGetSequenceItem(group, own).good() ? own : nullptr;
}

} // namespace

extern "C" cdicom_status cdicom_open(
    const char *path, size_t inflate_limit, cdicom_file **file, size_t *inflated) {
    *file = nullptr;
    *inflated = 0;
    try {
        auto opened = std::make_unique<cdicom_file>();
        Loaded loaded;
        const cdicom_status status = load(path, opened->format, DCM_PixelData, inflate_limit, loaded);
        *inflated = loaded.inflated;
        if (status != CDICOM_OK) return status;
        opened->syntax = loaded.syntax;
        DcmSequenceOfItems *groups = nullptr;
        if (opened->format.getDataset()->findAndGetSequence(DCM_PerFrameFunctionalGroupsSequence, groups).good()) {
            DcmObject *object = nullptr;
            while (groups != nullptr && (object = groups->nextInContainer(object)) != nullptr) {
                opened->frames.push_back(static_cast<DcmItem *>(object));
            }
        }
        *file = opened.release();
        return CDICOM_OK;
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_DAMAGED;
    }
}

extern "C" void cdicom_close(cdicom_file *file) { delete file; }

extern "C" void cdicom_syntax(const cdicom_file *file, char *out, size_t capacity) {
    copy_text(file->syntax.c_str(), out, capacity);
}

extern "C" void cdicom_text(const cdicom_file *file, uint32_t tag, char *out, size_t capacity) {
    text_of(item_of(file, tag), tag, out, capacity);
}

extern "C" void cdicom_frame_text(
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, char *out, size_t capacity) {
    text_of(group_of(file, frame, sequence), tag, out, capacity);
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
        DcmItem *group = group_of(file, frame, sequence);
        return group == nullptr ? 0 : numbers(group, tag, out, capacity);
    } catch (...) {
        return 0;
    }
}

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
    cdicom_pixels *pixels, uint32_t frame, uint16_t rows, uint16_t columns, int32_t *out, size_t capacity) {
    try {
        return decode(*pixels, frame, rows, columns, out, capacity);
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_NOT_DECODED;
    }
}
