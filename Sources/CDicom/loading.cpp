// loading.cpp: one DICOM file through DCMTK, its encoding held against its first bytes.
#include "loading.h"

#include <dcmtk/dcmdata/dcistrmf.h>
#include <dcmtk/dcmdata/dcpxitem.h>
#include <dcmtk/dcmjpeg/djdecode.h>
#include <dcmtk/dcmjpls/djdecode.h>
#include <sys/stat.h>
#include <zlib.h>

#include <cstdio>
#include <cstring>
#include <memory>
#include <mutex>

DcmPixelData *pixel_data(DcmItem *data) {
    DcmElement *element = nullptr;
    if (data->findAndGetElement(DCM_PixelData, element).bad()) return nullptr;
    return dynamic_cast<DcmPixelData *>(element);
}

DcmPixelSequence *fragments_of(DcmPixelData *pixels) {
    E_TransferSyntax syntax = EXS_Unknown;
    const DcmRepresentationParameter *parameter = nullptr;
    pixels->getOriginalRepresentationKey(syntax, parameter);
    DcmPixelSequence *sequence = nullptr;
    return pixels->getEncapsulatedRepresentation(syntax, parameter, sequence).good() ? sequence : nullptr;
}

namespace {

// Values longer than this stay in the file until they are asked for; all that is asked for is shorter.
constexpr Uint32 longest_value = 4096;

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

// Whether the pixels were read to their end, before the states of reading are ended. Padding behind them is no element
// and stops DCMTK; so does a file that breaks off, whose missing values it would make zeros of.
bool has_whole_pixels(DcmItem *data) {
    DcmPixelData *pixels = pixel_data(data);
    if (pixels == nullptr) return false;
    DcmPixelSequence *sequence = fragments_of(pixels);
    if (sequence == nullptr) return pixels->transferState() == ERW_ready;
    DcmPixelItem *last = nullptr;
    return sequence->card() > 1 && sequence->getItem(last, sequence->card() - 1).good()
        && last->transferState() == ERW_ready;
}

// Reads the data set behind a meta header. What the header says of its encoding is held against the first bytes: some
// files claim explicit types over implicit ones, or deflation over plain bytes.
cdicom_status load_after_meta(
    const char *path, DcmFileFormat &format, const DcmTagKey &stop, size_t inflate_limit, Loaded &loaded
) {
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
    const OFCondition result = format.getDataset()->readUntilTag(stream, syntax, EGL_noChange, longest_value, stop);
    const bool is_whole = result.good() || has_whole_pixels(format.getDataset());
    format.transferEnd();
    return is_whole ? CDICOM_OK : CDICOM_DAMAGED;
}

} // namespace

cdicom_status load(
    const char *path, DcmFileFormat &format, const DcmTagKey &stop, size_t inflate_limit, Loaded &loaded
) {
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
