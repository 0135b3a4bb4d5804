internal import Compute
internal import Foundation
internal import Imaging

/// What must not be learnt from.
struct HeldOut {
    /// The numbers that end the validation cases' names.
    var numbers: Set<Int>
    /// What the validation cases' slices look like.
    var fingerprints: [Fingerprints]
}

extension CaseFiles {
    /// What the slices of the case's CT look like.
    func fingerprints(team: ThreadTeam) throws(CaseFault) -> Fingerprints {
        let scan = try blaming("CT") { () throws(VolumeError) in try readCT(at: ct, team: team) }
        return Fingerprints(of: scan.volume, team: team)
    }

    /// Reads and prepares the case.
    ///
    /// - Parameters:
    ///   - mask: its mask.
    ///   - options: how to prepare it.
    ///   - heldOut: single slices of these patients are left out, and a scan that is one of theirs is refused.
    ///   - team: the threads that prepare slices.
    /// - Returns: the case; its ``TrainingCase/centres`` are empty only where every single slice is left out. And how
    ///   many slices were left out.
    /// - Throws: ``CaseFault`` with what is wrong with it.
    func load(
        mask: URL, options: DataOptions, without heldOut: HeldOut, team: ThreadTeam
    ) throws(CaseFault) -> (made: TrainingCase, leftOut: Int) {
        let patients = try patients()
        let scan = try blaming("CT") { () throws(VolumeError) in try readCT(at: ct, team: team) }
        let labels = try blaming("mask") { () throws(VolumeError) in
            try readLabels(at: mask, allowsUnknown: true, team: team)
        }
        if let difference = labels.header.gridDifference(from: scan.header) {
            throw CaseFault("Its mask is not on its CT's grid: \(difference).")
        }
        let isSingle = patients != nil || options.singleSlices.contains(name)
        let own = Fingerprints(of: scan.volume, team: team)
        let volume = scan.spaced(spacing)
        let known = labels.volume.spaced(spacing, header: labels.header)
        var excluded = Set(heldOut.fingerprints.flatMap { own.slices(alsoIn: $0, team: team) })
        // Of a scan one slice may look alike by chance.
        if !isSingle, excluded.count * 4 < own.count { excluded = [] }
        guard isSingle || excluded.isEmpty else {
            throw CaseFault("\(excluded.count) of its slices are those of a validation case.")
        }
        if let patients {
            let order = try canonical(patients, header: scan.header)
            // One slice gives its patient away.
            let numbers = heldOut.numbers.union(excluded.map { order[$0] })
            excluded.formUnion(order.indices.filter { numbers.contains(order[$0]) })
        }
        let made = try blaming("CT") { () throws(VolumeError) in
            try TrainingCase(
                name: name, kind: isSingle ? .singleSlices : .scan, ct: volume, mask: known,
                options: options, excluded: excluded, team: team)
        }
        guard isSingle || !made.centres.isEmpty else {
            throw CaseFault("Its mask has no liver, and this stage learns from the liver's surroundings only.")
        }
        return (made, excluded.count)
    }

    private func blaming<Result>(
        _ part: String, _ body: () throws(VolumeError) -> Result
    ) throws(CaseFault) -> Result {
        do throws(VolumeError) {
            return try body()
        } catch {
            throw CaseFault("Its \(part) cannot be used. \(error)")
        }
    }

    /// The patients' numbers in the order of slices on canonical axes.
    private func canonical(_ patients: [Int], header: NIfTIHeader) throws(CaseFault) -> [Int] {
        guard header.axes.stored[2] == 2 else {
            throw CaseFault("It has a side-car, and the file does not store axial slices one after the other.")
        }
        guard patients.count == header.shape.z else {
            throw CaseFault("Its side-car has \(patients.count) numbers for \(header.shape.z) slices.")
        }
        return header.axes.flipped[2] ? patients.reversed() : patients
    }
}

extension CTScan {
    /// The volume, with the true spacing where one is given: see ``CaseFiles/spacing``.
    func spaced(_ stored: SIMD3<Double>?) -> Volume<Float> { volume.spaced(stored, header: header) }
}

extension Volume {
    /// The volume with the spacing `stored` along its file's own axes.
    func spaced(_ stored: SIMD3<Double>?, header: NIfTIHeader) -> Volume {
        guard let stored else { return self }
        let axes = header.axes.stored
        return Volume(shape: shape, spacing: SIMD3(stored[axes[0]], stored[axes[1]], stored[axes[2]]), voxels: voxels)
    }
}
