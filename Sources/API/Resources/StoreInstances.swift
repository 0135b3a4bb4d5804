import Access
import Dicom
import Foundation
import HTTPDaemon
import Imaging
import Jobs

/// `POST /v1/dicomweb/studies` and `POST /v1/dicomweb/studies/{study}`: a job by STOW-RS (PS3.18 section 10.5), as DICOM
/// nodes send their instances. The answer is a dataset that names what was taken and what was not.
extension SubmitResource {
    func storeInstances(_ call: Call) throws -> Handling {
        let type = call.request.head.headers["Content-Type"]?.lowercased().prefix { $0 != ";" }
        guard case .parts = call.request.body, type?.trimmingCharacters(in: .whitespaces) == "multipart/related" else {
            throw Problem(
                415, "not_stow",
                "Send the instances as multipart/related; type=\"application/dicom\", as STOW-RS has it.")
        }
        var query = try call.query(Self.jobQuery)
        if !call.id.isEmpty {
            guard call.id.wholeMatch(of: /[0-9.]{1,64}/) != nil, query["study"] ?? call.id == call.id else {
                throw Problem(
                    400, "bad_study",
                    "The path ends in a StudyInstanceUID; the query names no other study than the path.")
            }
            query["study"] = call.id
        }
        let place: Places.Kind
        do {
            place = try judge.reading(call)
        } catch let problem as Problem where problem.status == 422 {
            throw problem.with(status: 400)
        }
        return .inPlace(place) { [self, query] in
            var sent: [SentInstance] = []
            do {
                let (job, headers) = try accept(call, query, told: { sent = $0 })
                let isWhole = sent.allSatisfy { $0.fate == .taken }
                let dataset = StoreAnswer(sent, job: link("/v1/jobs/\(job.id)", for: call.request.head))
                var response = Response.dicomJSON(isWhole ? 200 : 202, dataset)
                response.headers += headers
                return response
            } catch {
                let problem = Problem.of(error, call.logger)
                // The scan was understood and refused. All else, as a full queue, is answered as everywhere.
                guard problem.status == 422 else { throw error }
                guard !sent.isEmpty else { throw problem.with(status: 409) }
                metrics.uploads.add(1, problem.code)
                var response = Response.dicomJSON(409, StoreAnswer(sent.map(\.refused), job: nil))
                response.headers.append(("Warning", problem.warning))
                return response
            }
        }
    }

    /// An address of this server as the client has to write it: scheme and host as a trusted proxy tells them, or else the
    /// ones the client itself used. The path alone where nobody tells a host.
    private func link(_ path: String, for head: RequestHead) -> String {
        let origin = gate.doorkeeper.origin(peer: head.peerAddress) { head.headers[$0] }
        guard let host = origin.host ?? checkedHost(head.headers["Host"]) else { return path }
        return "\(origin.scheme ?? "http")://\(host)\(path)"
    }
}

extension SentInstance {
    /// The same instance where the whole request was refused.
    fileprivate var refused: SentInstance {
        SentInstance(sopClass: sopClass, instance: instance, fate: fate == .taken ? .otherVolume : fate)
    }
}

extension Problem {
    fileprivate func with(status: Int) -> Problem { Problem(status, code, detail, headers: headers) }

    /// As a field `Warning`, in which PS3.18 has servers tell what a dataset has no room for.
    fileprivate var warning: String {
        let text = "\(code): \(detail)".unicodeScalars.map { scalar -> String in
            switch scalar {
            case "\"", "\\": "'"
            case " "..."~": String(scalar)
            default: " "
            }
        }
        return "299 hepar \"\(text.joined())\""
    }
}

extension Response {
    fileprivate static func dicomJSON(_ status: Int, _ dataset: StoreAnswer) -> Response {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Texts and whole numbers always have a JSON form.
        let bytes = try! encoder.encode(dataset.dataset)
        return .data(status, bytes, type: "application/dicom+json")
    }
}
