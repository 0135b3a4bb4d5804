// cdicom.cpp: attributes of one DICOM file.
#include "cdicom.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <memory>
#include <new>
#include <string>
#include <string_view>
#include <vector>

#include "loading.h"

struct cdicom_file {
    DcmFileFormat format;
    std::string syntax;
    // Items of the frames' functional groups, found once: DCMTK counts from the first at each look-up.
    std::vector<DcmItem *> frames;
};

namespace {

DcmItem *item_of(const cdicom_file *file, uint32_t tag) {
    DcmFileFormat &format = const_cast<cdicom_file *>(file)->format; // DCMTK's look-ups are not const
    return tag >> 16 == 2 ? static_cast<DcmItem *>(format.getMetaInfo()) : format.getDataset();
}

DcmTagKey key_of(uint32_t tag) { return DcmTagKey(static_cast<Uint16>(tag >> 16), static_cast<Uint16>(tag & 0xFFFF)); }

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

extern "C" cdicom_status cdicom_open(const char *path, size_t inflate_limit, cdicom_file **file, size_t *inflated) {
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
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, char *out, size_t capacity
) {
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
    const cdicom_file *file, uint32_t frame, uint32_t sequence, uint32_t tag, double *out, size_t capacity
) {
    try {
        DcmItem *group = group_of(file, frame, sequence);
        return group == nullptr ? 0 : numbers(group, tag, out, capacity);
    } catch (...) {
        return 0;
    }
}
