import Compute
import Foundation

@testable import Dicom

private let team = ThreadTeam(threads: 1)

private let limits: DicomLimits = {
    var limits = DicomLimits()
    limits.files = 32
    limits.inflatedBytes = 1 << 20
    limits.slices = 2
    limits.voxels = 1 << 20
    return limits
}()

/// An uploaded zip: only files with names of our own are made, only in the folder given, and no more bytes than allowed.
func fuzzZip(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    try Scratch.folder { (folder) throws(BrokenPromise) in
        let zip = folder.appending(path: "zip", directoryHint: .notDirectory)
        let inside = folder.appending(path: "inside", directoryHint: .isDirectory)
        Scratch.write(input, to: zip)
        precondition(mkdir(inside.path, 0o700) == 0)
        _ = isZip(zip)
        let extracted = outcome { () throws(DicomError) in try extractZip(zip, into: inside, limits: limits) }
        let names = Scratch.names(in: inside)
        try promise(Set(Scratch.names(in: folder)) == ["zip", "inside"], "a file outside the folder")
        try promise(names.allSatisfy { $0.hasSuffix(".dcm") && Int($0.dropLast(4)) != nil }, "files \(names)")
        switch extracted {
        case .success(let files):
            try promise(files.count == names.count && files.count <= limits.files, "\(files.count) files")
            let bytes = files.compactMap { Scratch.size($0) }
            try promise(bytes.count == files.count, "a file that is none")
            try promise(bytes.reduce(0, +) <= limits.inflatedBytes, "\(bytes) bytes")
        case .failure(let error):
            try promise(!error.description.isEmpty, "an empty error")
        }
    }
}

/// A DICOM file: what is told of it is clean, what is decoded has the size that was told, and a whole import of it either
/// names a fault or writes a volume of the shape that it reports.
func fuzzDicom(_ input: UnsafeRawBufferPointer) throws(BrokenPromise) {
    try Scratch.file(input) { (url) throws(BrokenPromise) in
        let judged = outcome { () throws(DicomError) in try judge(url, limits: limits) }
        guard case .slices(let slices)? = judged.value else { return }
        try promise(!slices.isEmpty, "no slice and no reason")
        for slice in slices.prefix(2) {
            let uids = [slice.series, slice.study, slice.frameOfReference, slice.instance]
            try promise(uids.allSatisfy { $0.utf8.allSatisfy { "0123456789.".utf8.contains($0) } }, "\(uids)")
            try promise(slice.rows > 0 && slice.columns > 0 && slice.frame < slice.frames, "impossible sizes")
            // What a server would refuse by its size is not worth the memory here.
            guard slice.rows * slice.columns <= limits.voxels else { return }
            let decoded = outcome { () throws(DicomError) in try slice.decoded() }
            if let values = decoded.value {
                try promise(values.count == slice.rows * slice.columns, "\(values.count) values")
                try promise(values.allSatisfy { (-32_768...65_535).contains($0) }, "a value of more than 16 bits")
            }
        }
        let output = url.deletingLastPathComponent().appending(path: "volume.nii")
        let imported = outcome { () throws(DicomError) in
            try importDicom(
                [url], work: url.deletingLastPathComponent(), output: output,
                options: DicomOptions(includeUIDs: true, limits: limits), team: team)
        }
        switch imported {
        case .success(let report):
            guard let taken = report.volumes.first(where: \.taken) else {
                throw BrokenPromise(description: "an import without a volume")
            }
            let size = 352 + 2 * taken.rows * taken.columns * taken.slices
            try promise(Scratch.size(output) == size, "a volume of \(Scratch.size(output) ?? 0) bytes, not \(size)")
        case .failure(let error):
            try promise(Scratch.size(output) == nil, "a volume in spite of \(error)")
            if case .notWritten(let code) = error { throw BrokenPromise(description: "not written: \(code)") }
        }
    }
}
