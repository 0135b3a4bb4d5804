internal import CNifti

/// The voxels of a file as libnifti reads them.
///
/// libnifti is given a header that was judged before, never the file's name to find out for itself. So it cannot read
/// header extensions (their number is not limited, and its list of them is rebuilt for each), look for a .hdr or .img
/// beside the file, or take a file's name for its content. Voxels come through libnifti's own file layer (znz), in
/// pieces: no second copy of the volume, and floats that are not finite stay what they are (libnifti makes them 0).
struct NIfTIVoxels: ~Copyable {
    private let file: znzFile
    private let expected: Int
    private var position: Int

    /// Opens a file whose header was read before, at its first voxel.
    ///
    /// - Throws: ``VolumeError/readersDisagree(about:)`` where libnifti understands the header otherwise.
    init(path: String, header: NIfTIHeader, isCompressed: Bool) throws(VolumeError) {
        _ = quiet
        guard let image = NIfTIImage(header: header) else { throw .readersDisagree(about: "validity") }
        if let difference = image.difference(from: header) { throw .readersDisagree(about: difference) }
        guard let file = znzopen(path, "rb", isCompressed ? 1 : 0) else { throw .cannotOpen(reason: systemReason()) }
        guard znzseek(file, header.voxelOffset, SEEK_SET) >= 0 else {
            var file: znzFile? = file
            Xznzclose(&file)
            throw .truncated(expected: header.fileSize, found: 0)
        }
        self.file = file
        expected = header.fileSize
        position = header.voxelOffset
    }

    deinit {
        var file: znzFile? = file
        Xznzclose(&file)
    }

    /// Fills `buffer` with the file's next bytes.
    ///
    /// - Throws: ``VolumeError/truncated(expected:found:)``, ``VolumeError/damagedGzip(reason:)``.
    mutating func fill(_ buffer: UnsafeMutableRawBufferPointer) throws(VolumeError) {
        let count = znzread(buffer.baseAddress, 1, buffer.count, file)
        // -1 as an unsigned number.
        guard count <= buffer.count else { throw .damagedGzip(reason: "it cannot be inflated") }
        position += count
        guard count == buffer.count else { throw .truncated(expected: expected, found: position) }
    }

    /// Reads past the last voxel, which makes zlib compare the checksum.
    ///
    /// - Throws: ``VolumeError/damagedGzip(reason:)``.
    mutating func finish() throws(VolumeError) {
        var byte: UInt8 = 0
        guard znzread(&byte, 1, 1, file) <= 1 else { throw .damagedGzip(reason: "its checksum is wrong") }
    }
}

/// libnifti's view of a header.
struct NIfTIImage: ~Copyable {
    private let image: UnsafeMutablePointer<nifti_image>

    /// Converts a judged header; nil where libnifti refuses it.
    init?(header: NIfTIHeader) {
        let converted = header.bytes.withUnsafeBytes { bytes in
            header.version == 1
                ? nifti_convert_n1hdr2nim(bytes.loadUnaligned(as: nifti_1_header.self), nil)
                : nifti_convert_n2hdr2nim(bytes.loadUnaligned(as: nifti_2_header.self), nil)
        }
        guard let converted else { return nil }
        image = converted
    }

    /// Reads the header of a file we have written; nil where libnifti refuses it.
    init?(reading path: String) {
        _ = quiet
        guard let read = nifti_image_read(path, 0) else { return nil }
        image = read
    }

    deinit { nifti_image_free(image) }

    /// How many header extensions libnifti found.
    var extensions: Int { Int(image.pointee.num_ext) }

    /// What libnifti understands otherwise than `header` says, or nil.
    func difference(from header: NIfTIHeader) -> String? {
        let seen = image.pointee
        let shape = header.storedShape
        if (Int(seen.nx), Int(seen.ny), Int(seen.nz)) != (shape.x, shape.y, shape.z) { return "shape" }
        if Int(seen.nvox) != shape.count { return "number of voxels" }
        if Int(seen.datatype) != header.voxelType.code || Int(seen.nbyper) != header.voxelType.size {
            return "voxel type"
        }
        if (seen.byteorder != nifti_short_order()) != header.isByteSwapped { return "byte order" }
        if Int(seen.iname_offset) != header.voxelOffset { return "place of the voxels" }
        // Where the header says that nothing is scaled, libnifti leaves its numbers as they are.
        let isScaled = (try? HeaderFields(recognising: header.bytes))?.scaling != nil
        if isScaled, seen.scl_slope != header.slope || seen.scl_inter != header.intercept { return "scaling" }
        let map = seen.sform_code > 0 ? seen.sto_xyz : seen.qto_xyz
        let rows = [map.m.0, map.m.1, map.m.2].map { SIMD4($0.0, $0.1, $0.2, $0.3) }
        let affine = header.storedAffine
        for (axis, row) in rows.enumerated() {
            let ours = SIMD4(affine.x[axis], affine.y[axis], affine.z[axis], affine.origin[axis])
            for column in 0..<4 where abs(row[column] - ours[column]) > 1e-4 { return "map to the patient" }
        }
        return nil
    }
}

/// libnifti writes its complaints, with file names, to standard error unless it is told not to.
private let quiet: Void = nifti_set_debug_level(0)
