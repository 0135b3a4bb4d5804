// segmentation.cpp: label maps as DICOM segmentation objects (PS3.3 section A.51) through DCMTK's dcmseg.
#include "cdicom_segmentation.h"

#include <dcmtk/config/osconfig.h>
#include <dcmtk/dcmdata/dctk.h>
#include <dcmtk/dcmfg/fgderimg.h>
#include <dcmtk/dcmfg/fgfracon.h>
#include <dcmtk/dcmfg/fgpixmsr.h>
#include <dcmtk/dcmfg/fgplanor.h>
#include <dcmtk/dcmfg/fgplanpo.h>
#include <dcmtk/dcmfg/fgseg.h>
#include <dcmtk/dcmseg/segdoc.h>
#include <dcmtk/dcmseg/segment.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <vector>

namespace {

// DCMTK refuses.
struct NotEncoded {};

void check(const OFCondition &condition) {
    if (condition.bad()) throw NotEncoded();
}

template <class Object>
Object *check(Object *object) {
    if (object == nullptr) throw NotEncoded();
    return object;
}

// A decimal string: at most 16 characters, and of all with as few as give the number back the shortest.
OFString decimal(double number) {
    char text[32];
    for (int digits = 6; digits <= 17; digits++) {
        const int length = std::snprintf(text, sizeof text, "%.*g", digits, number);
        if (length <= 16 && std::atof(text) == number) return text;
        if (length > 16) break;
    }
    for (int digits = 16; digits > 0; digits--) {
        if (std::snprintf(text, sizeof text, "%.*g", digits, number) <= 16) break;
    }
    return text;
}

// What all frames of a segment have in common. Codes: SNOMED CT, PS3.16 CID 7150 and 7151.
struct SegmentKind {
    const char *label;
    const char *category, *category_meaning;
    const char *type, *type_meaning;
    uint8_t threshold;        // the smallest label that is part of it
    uint16_t colour[3];       // CIELab as DICOM scales it: sRGB 60, 230, 60 and 255, 50, 50, as in previews
};

constexpr SegmentKind kinds[] = {
    {"Liver with lesions", "123037004", "Anatomical Structure", "10200004", "Liver", 1, {52869, 14236, 49904}},
    {"Liver lesions", "49755003", "Morphologically Altered Structure", "52988006", "Lesion", 2, {36607, 51907, 45920}},
};

void add_segments(DcmSegmentation &object, const char *algorithm) {
    for (const SegmentKind &kind : kinds) {
        DcmSegment *created = nullptr;
        check(
            DcmSegment::create(
                created, kind.label, CodeSequenceMacro(kind.category, "SCT", kind.category_meaning),
                CodeSequenceMacro(kind.type, "SCT", kind.type_meaning), DcmSegTypes::SAT_AUTOMATIC, algorithm
            )
        );
        std::unique_ptr<DcmSegment> segment(check(created));
        check(segment->setRecommendedDisplayCIELabValue(kind.colour[0], kind.colour[1], kind.colour[2]));
        if (&kind == &kinds[1]) {
            CodeSequenceMacro &liver = segment->getGeneralAnatomyCode().getAnatomicRegion();
            check(liver.set("10200004", "SCT", "Liver"));
        }
        Uint16 number = 0;
        check(object.addSegment(segment.get(), number));
        segment.release(); // the object's, now
    }
}

void add_shared_groups(DcmSegmentation &object, const cdicom_source &source) {
    const double *axes = source.orientation;
    const std::unique_ptr<FGPlaneOrientationPatient> orientation(check(
        FGPlaneOrientationPatient::createMinimal(
            decimal(axes[0]), decimal(axes[1]), decimal(axes[2]), decimal(axes[3]), decimal(axes[4]), decimal(axes[5])
        )
    ));
    check(object.addForAllFrames(*orientation));
    FGPixelMeasures measures;
    check(measures.setPixelSpacing(decimal(source.row_spacing) + "\\" + decimal(source.column_spacing)));
    check(measures.setSliceThickness(decimal(source.slice_spacing)));
    check(measures.setSpacingBetweenSlices(decimal(source.slice_spacing)));
    check(object.addForAllFrames(measures));
}

void add_frame(DcmSegmentation &object, const cdicom_source &source, Uint16 segment, uint32_t slice, Uint8 *pixels) {
    const double *place = source.positions + 3 * static_cast<size_t>(slice);
    const std::unique_ptr<FGPlanePosPatient> position(
        check(FGPlanePosPatient::createMinimal(decimal(place[0]), decimal(place[1]), decimal(place[2])))
    );
    FGFrameContent content;
    check(content.setDimensionIndexValues(segment, 0));
    check(content.setDimensionIndexValues(slice + 1, 1));
    ImageSOPInstanceReferenceMacro reference;
    check(reference.setReferencedSOPClassUID(source.sop_class));
    check(reference.setReferencedSOPInstanceUID(source.instances[slice]));
    if (source.frames[slice] > 0) {
        check(reference.addReferencedFrameNumber(static_cast<Uint16>(source.frames[slice])));
    }
    OFVector<ImageSOPInstanceReferenceMacro> references;
    references.push_back(reference);
    const std::unique_ptr<FGDerivationImage> derivation(check(
        FGDerivationImage::createMinimal(
            references, "", CodeSequenceMacro("113076", "DCM", "Segmentation"),
            CodeSequenceMacro("121322", "DCM", "Source image for image processing operation")
        )
    ));
    FGSegmentation membership;
    check(membership.setReferencedSegmentNumber(segment));
    OFVector<FGBase *> groups;
    groups.push_back(position.get());
    groups.push_back(&content);
    groups.push_back(derivation.get());
    groups.push_back(&membership);
    check(object.addFrame(pixels, segment, groups));
}

// Pixels of all frames as bits, the lowest first, without a gap between frames (PS3.5 section 8.2). DCMTK 3.6.7 does
// the same, but mixes frames up whose pixels are no multiple of 8.
class PixelBits {
public:
    void add(const std::vector<Uint8> &pixels) {
        bytes.resize((count + pixels.size() + 15) / 16 * 2); // an even number of bytes
        for (const Uint8 pixel : pixels) {
            if (pixel) bytes[count / 8] |= static_cast<Uint8>(1 << count % 8);
            count++;
        }
    }

    void store(DcmDataset &data) const {
        check(data.putAndInsertUint8Array(DCM_PixelData, bytes.data(), bytes.size()));
    }

private:
    std::vector<Uint8> bytes;
    size_t count = 0;
};

PixelBits add_frames(DcmSegmentation &object, const cdicom_source &source, const uint8_t *labels) {
    PixelBits bits;
    const size_t area = static_cast<size_t>(source.rows) * source.columns;
    std::vector<Uint8> plane(area);
    for (Uint16 segment = 1; segment <= 2; segment++) {
        bool has_frame = false;
        for (uint32_t slice = 0; slice < source.slices; slice++) {
            const uint8_t *from = labels + slice * area;
            bool is_empty = true;
            for (size_t i = 0; i < area; i++) {
                plane[i] = from[i] >= kinds[segment - 1].threshold;
                is_empty = is_empty && !plane[i];
            }
            if (is_empty) continue;
            add_frame(object, source, segment, slice, plane.data());
            bits.add(plane);
            has_frame = true;
        }
        if (has_frame) continue;
        add_frame(object, source, segment, 0, plane.data()); // all 0: DCMTK wants a frame of each segment
        bits.add(plane);
    }
    return bits;
}

void add_references(DcmSegmentation &object, const cdicom_source &source) {
    auto series = std::make_unique<IODSeriesAndInstanceReferenceMacro::ReferencedSeriesItem>();
    check(series->setSeriesInstanceUID(source.series));
    for (uint32_t slice = 0; slice < source.slices; slice++) {
        if (source.frames[slice] > 1) continue; // named by its first frame
        check(series->addReference(source.sop_class, source.instances[slice]));
    }
    object.getCommonInstanceReference().getReferencedSeriesItems().push_back(series.release());
}

// Says that a frame's voxels are its source's, one for one; DCMTK's derivation group cannot. Readers want to know
// before they go from a slice to its frame.
void add_spatial_locations(DcmDataset &data, unsigned long frames) {
    for (unsigned long frame = 0; frame < frames; frame++) {
        DcmItem *groups = nullptr, *derivation = nullptr, *source = nullptr;
        check(
            data.findAndGetSequenceItem(DCM_PerFrameFunctionalGroupsSequence, groups, static_cast<signed long>(frame))
        );
        check(groups->findAndGetSequenceItem(DCM_DerivationImageSequence, derivation));
        check(derivation->findAndGetSequenceItem(DCM_SourceImageSequence, source));
        check(source->putAndInsertString(DCM_SpatialLocationsPreserved, "YES"));
    }
}

cdicom_status write_segmentation(
    const char *path, const cdicom_source &source, const cdicom_identity &identity, const uint8_t *labels
) {
    DcmSegmentation *created = nullptr;
    check(
        DcmSegmentation::createBinarySegmentation(
            created, source.rows, source.columns,
            IODGeneralEquipmentModule::EquipmentInfo(
                identity.manufacturer, identity.model, identity.serial_number, identity.version
            ),
            ContentIdentificationMacro("1", "LIVER", identity.description, "")
        )
    );
    const std::unique_ptr<DcmSegmentation> object(check(created));
    add_segments(*object, identity.algorithm);
    check(object->getDimensions().addDimensionIndex(
        DCM_ReferencedSegmentNumber, identity.dimensions, DCM_SegmentIdentificationSequence, "Segment"
    ));
    check(object->getDimensions().addDimensionIndex(
        DCM_ImagePositionPatient, identity.dimensions, DCM_PlanePositionSequence, "Place"
    ));
    add_shared_groups(*object, source);
    const PixelBits bits = add_frames(*object, source, labels);
    add_references(*object, source);

    check(object->getStudy().setStudyInstanceUID(source.study));
    check(object->getFrameOfReference().setFrameOfReferenceUID(source.frame_of_reference));
    check(object->getSeries().setSeriesInstanceUID(identity.series));
    check(object->getSeries().setSeriesNumber(std::to_string(identity.series_number).c_str()));
    check(object->getSeries().setSeriesDescription(identity.description));
    check(object->getSeries().setSeriesDate(identity.date));
    check(object->getSeries().setSeriesTime(identity.time));
    check(object->getGeneralImage().setContentDate(identity.date));
    check(object->getGeneralImage().setContentTime(identity.time));
    check(object->getSOPCommon().setSOPInstanceUID(identity.instance));

    DcmFileFormat format;
    check(object->writeDataset(*format.getDataset()));
    add_spatial_locations(*format.getDataset(), object->getNumberOfFrames());
    bits.store(*format.getDataset());
    const OFCondition written = format.saveFile(path, EXS_LittleEndianExplicit);
    return written.good() ? CDICOM_OK : CDICOM_NOT_WRITTEN;
}

bool same_text(DcmItem &one, DcmItem &other, const DcmTagKey &tag) {
    OFString first, second;
    return one.findAndGetOFString(tag, first).good() && other.findAndGetOFString(tag, second).good() && first == second;
}

// The modules Patient, General Study and Patient Study (PS3.3 sections C.7.1.1, C.7.2.1 and C.7.2.2), and the character
// set that they are written in: what is ours is ASCII, and so is right in any. Values are taken as they are, right by
// the standard or not, which is why DCMTK's classes for these modules, which refuse what is not, are of no use here.
const DcmTagKey taken_over[] = {
    DCM_SpecificCharacterSet,
    DCM_TimezoneOffsetFromUTC,
    DCM_PatientName,
    DCM_PatientID,
    DCM_IssuerOfPatientID,
    DCM_TypeOfPatientID,
    DCM_IssuerOfPatientIDQualifiersSequence,
    DCM_PatientBirthDate,
    DCM_PatientBirthTime,
    DCM_PatientSex,
    DCM_QualityControlSubject,
    DCM_OtherPatientNames,
    DCM_OtherPatientIDsSequence,
    DCM_EthnicGroup,
    DCM_PatientComments,
    DCM_PatientSpeciesDescription,
    DCM_PatientIdentityRemoved,
    DCM_DeidentificationMethod,
    DCM_DeidentificationMethodCodeSequence,
    DCM_StudyDate,
    DCM_StudyTime,
    DCM_AccessionNumber,
    DCM_IssuerOfAccessionNumberSequence,
    DCM_ReferringPhysicianName,
    DCM_StudyDescription,
    DCM_StudyID,
    DCM_PhysiciansOfRecord,
    DCM_AdmittingDiagnosesDescription,
    DCM_PatientAge,
    DCM_PatientSize,
    DCM_PatientWeight,
    DCM_Occupation,
    DCM_AdditionalPatientHistory,
};

cdicom_status take_over_patient(const char *path, const char *image, const char *output) {
    DcmFileFormat object, slice;
    if (object.loadFile(path).bad()) return CDICOM_DAMAGED;
    if (slice.loadFileUntilTag(image, EXS_Unknown, EGL_noChange, 4096, ERM_autoDetect, DCM_PixelData).bad()) {
        return CDICOM_DAMAGED;
    }
    DcmItem &to = *object.getDataset(), &from = *slice.getDataset();
    if (!same_text(to, from, DCM_StudyInstanceUID)) return CDICOM_NOT_ENCODED;
    for (const DcmTagKey &tag : taken_over) {
        DcmElement *element = nullptr;
        if (from.findAndGetElement(tag, element, OFFalse, OFTrue).bad()) continue;
        if (const OFCondition inserted = to.insert(element, OFTrue); inserted.bad()) {
            delete element;
            throw NotEncoded();
        }
    }
    return object.saveFile(output, EXS_LittleEndianExplicit).good() ? CDICOM_OK : CDICOM_NOT_WRITTEN;
}

template <class Body>
cdicom_status guarded(Body body) {
    try {
        OFLog::configure(OFLogger::OFF_LOG_LEVEL);
        return dcmDataDict.isDictionaryLoaded() ? body() : CDICOM_NO_DICTIONARY;
    } catch (const std::bad_alloc &) {
        return CDICOM_OUT_OF_MEMORY;
    } catch (...) {
        return CDICOM_NOT_ENCODED;
    }
}

} // namespace

extern "C" cdicom_status cdicom_write_segmentation(
    const char *path, const cdicom_source *source, const cdicom_identity *identity, const uint8_t *labels
) {
    return guarded([=] { return write_segmentation(path, *source, *identity, labels); });
}

extern "C" cdicom_status cdicom_take_over_patient(const char *path, const char *image, const char *output) {
    return guarded([=] { return take_over_patient(path, image, output); });
}
