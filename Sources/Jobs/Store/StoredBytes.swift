import Foundation
import Glibc

/// What jobs take on the disk.
extension Spool {
    /// Size of all files in a job's folder together, in bytes; 0 for one that is not there. A file that jobs share counts
    /// whole for each: which of them will be deleted first, nobody knows.
    public func storedBytes(of id: JobID) -> Int {
        let folder = folder(of: id).path
        return ((try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? []).reduce(0) { sum, name in
            var status = stat()
            return lstat("\(folder)/\(name)", &status) == 0 ? sum + Int(status.st_size) : sum
        }
    }

    /// Size of the spool's file system, in bytes; nil if the system does not say.
    public func diskBytes() -> Int? {
        var status = statvfs()
        guard statvfs(incoming.path, &status) == 0 else { return nil }
        let (bytes, overflow) = Int(clamping: status.f_blocks).multipliedReportingOverflow(by: Int(status.f_frsize))
        return overflow ? nil : bytes
    }
}
