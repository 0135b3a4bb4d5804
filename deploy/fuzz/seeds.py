#!/usr/bin/env python3
"""Makes the seeds of the fuzzers' corpora: small sound inputs, and some that are almost sound.

    python3 deploy/fuzz/seeds.py

Writes Tests/Fuzz/Corpora/<target>/seed-*; files of other names there were found by a fuzzer and are left alone. Needs
Python alone. The same seeds are made at each run. How an input is laid out is told in the target's source,
Tests/Fuzz/Targets.
"""
import io
import json
import pathlib
import struct
import zipfile
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
CORPORA = ROOT / "Tests/Fuzz/Corpora"
FIXTURES = ROOT / "Tests/Fixtures"


def seed(target, name, content):
    folder = CORPORA / target
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"seed-{name}").write_bytes(content)


# NIfTI: struct codes, NIfTI's own codes of the voxel types.
TYPES = {"u1": (2, "B"), "i2": (4, "h"), "i4": (8, "i"), "f4": (16, "f"), "f8": (64, "d"), "i1": (256, "b"),
         "u2": (512, "H"), "u4": (768, "I"), "i8": (1024, "q"), "u8": (1280, "Q")}


def nifti(kind="i2", version=1, order="<", shape=(4, 3, 2), slope=1.0, intercept=0.0, sform=1, qform=0, values=None,
          pixdim=(0.8, 0.7, 2.5), offset=None):
    code, letter = TYPES[kind]
    width = struct.calcsize(letter)
    count = shape[0] * shape[1] * shape[2]
    if values is None:
        values = [-1000 + 100 * i if kind in ("i2", "i4", "i8", "f4", "f8") else i % 3 for i in range(count)]
    rows = [(-pixdim[0], 0, 0, 10), (0, -pixdim[1], 0, 20), (0, 0, pixdim[2], -30)]
    header = bytearray(348 if version == 1 else 540)

    def put(at, form, *numbers):
        struct.pack_into(order + form, header, at, *numbers)

    start = offset or len(header) + 4
    dim = (3, *shape, 1, 1, 1, 1)
    steps = (1.0, *pixdim, 0, 0, 0, 0)
    put(0, "i", len(header))
    if version == 1:
        put(40, "8h", *dim)
        put(70, "2h", code, width * 8)
        put(76, "8f", *steps)
        put(108, "3f", start, slope, intercept)
        header[123] = 2
        put(252, "2h", qform, sform)
        put(256, "6f", 0, 0, 1, 10, 20, -30)
        for row in range(3):
            put(280 + 16 * row, "4f", *rows[row])
        header[344:348] = b"n+1\0"
    else:
        header[4:12] = b"n+2\0\r\n\x1a\n"
        put(12, "2h", code, width * 8)
        put(16, "8q", *dim)
        put(104, "8d", *steps)
        put(168, "q", start)
        put(176, "2d", slope, intercept)
        put(344, "2i", qform, sform)
        put(352, "6d", 0, 0, 1, 10, 20, -30)
        for row in range(3):
            put(400 + 32 * row, "4d", *rows[row])
        put(500, "i", 2)
    padding = bytes(start - len(header))
    return bytes(header) + padding + struct.pack(f"{order}{count}{letter}", *values)


def gzip(content):
    packer = zlib.compressobj(9, zlib.DEFLATED, 31)
    return packer.compress(content) + packer.flush()


def nifti_seeds():
    files = {f"{kind}-{version}{'be' if order == '>' else ''}": nifti(kind, version, order)
             for kind, version, order in [("i2", 1, "<"), ("i2", 1, ">"), ("u1", 1, "<"), ("f4", 1, "<"), ("f8", 2, "<"),
                                          ("u2", 2, ">"), ("i8", 1, "<"), ("u8", 2, "<"), ("i4", 1, ">"),
                                          ("i1", 1, "<"), ("u4", 1, "<")]}
    files["mask"] = nifti("u1", values=[0, 1, 2] * 8)
    files["mask-scaled"] = nifti("u1", slope=2 / 255, values=[0, 128, 255] * 8)
    files["qform"] = nifti(sform=0, qform=1)
    files["both-forms"] = nifti(qform=1)
    files["no-form"] = nifti(sform=0)
    files["not-finite"] = nifti("f4", values=[float("nan"), float("inf"), 40.0] * 8)
    files["late-voxels"] = nifti(offset=600)
    files["cut"] = nifti()[:-7]
    files["padded"] = nifti() + bytes(40)
    files["four-axes"] = nifti().replace(struct.pack("<2h", 3, 4), struct.pack("<2h", 4, 4), 1)
    for name, content in files.items():
        seed("nifti", name, content)
        seed("nifti-gz", name, bytes([2]) + content)
    seed("nifti-gz", "two-members", bytes([129]) + nifti())
    seed("nifti-gz", "as-it-is", bytes([0]) + gzip(nifti()))
    seed("nifti-gz", "as-it-is-cut", bytes([0]) + gzip(nifti())[:-5])
    seed("nifti-gz", "as-it-is-more", bytes([0]) + gzip(nifti()[:200]) + gzip(nifti()[200:]) + b"more")


def safetensors(entries, metadata=None, data=b""):
    header = {} if metadata is None else {"__metadata__": metadata}
    header.update(entries)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + data


def safetensors_seeds():
    metadata = {"hepar_format": "1", "stage": "liver", "window_hu": "-200,200", "spacing_mm": "1,1,2.5",
                "licence": "none", "trained_on": "nothing"}
    a = {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}
    b = {"dtype": "F16", "shape": [4], "data_offsets": [24, 32]}
    seed("safetensors", "empty", safetensors({}))
    seed("safetensors", "one", safetensors({"a": a}, data=bytes(range(24))))
    seed("safetensors", "two", safetensors({"b": b, "a": a}, metadata, bytes(range(32))))
    seed("safetensors", "scalar", safetensors({"s": {"dtype": "F32", "shape": [], "data_offsets": [0, 4]}}, data=b"\0\0\xc0\x7f"))
    seed("safetensors", "nothing-in-it", safetensors({"z": {"dtype": "F16", "shape": [0, 7], "data_offsets": [0, 0]}}))
    seed("safetensors", "escapes", safetensors({'q"\\/\n\u00e9\U0001f600': a}, {"k\t": "v\u2028"}, bytes(24)))
    seed("safetensors", "gap", safetensors({"a": a, "b": dict(b, data_offsets=[26, 34])}, data=bytes(34)))
    seed("safetensors", "too-long", struct.pack("<Q", 2 ** 63) + b"{}")
    # A whole model of the smallest network: the levels have 1, 2, 4, 8 and 8 channels.
    seed("safetensors", "model", whole_model(metadata))


def whole_model(metadata):
    levels = [1, 2, 4, 8, 8]
    runs = [2, 2, 3, 3, 3]
    shapes = {}

    def block(name, inputs, outputs, convolutions):
        for index in range(convolutions):
            unit = f"{name}.units.{index}"
            shapes[f"{unit}.conv.weight"] = [outputs, inputs if index == 0 else outputs, 3, 3]
            for part in ["norm.weight", "norm.bias", "norm.running_mean", "norm.running_var", "act.weight"]:
                shapes[f"{unit}.{part}"] = [outputs]

    for level in range(5):
        block("mid" if level == 4 else f"enc{level}", 1 if level == 0 else levels[level - 1], levels[level], runs[level])
    for level in reversed(range(4)):
        block(f"dec{level}", levels[level] + levels[level + 1], levels[level], runs[level])
    shapes["head.weight"], shapes["head.bias"] = [1, 1, 3, 3], [1]
    entries, end = {}, 0
    for name, shape in shapes.items():
        count = 1
        for length in shape:
            count *= length
        entries[name] = {"dtype": "F16", "shape": shape, "data_offsets": [end, end + 2 * count]}
        end += 2 * count
    return safetensors(entries, metadata, bytes(end))


def multipart_seeds():
    def part(boundary, head, content):
        return b"--" + boundary + b"\r\n" + b"".join(line + b"\r\n" for line in head) + b"\r\n" + content + b"\r\n"

    def body(boundary, *parts):
        return b"".join(part(boundary, *p) for p in parts) + b"--" + boundary + b"--\r\n"

    field = ([b'Content-Disposition: form-data; name="a"'], b"value")
    file = ([b'Content-Disposition: form-data; name="scan"; filename="s.nii.gz"',
             b"Content-Type: application/octet-stream"], b"\x1f\x8b\r\n--\r\n\r\r\n-" + bytes(range(64)))
    star = ([b"Content-Disposition: form-data; name=x; filename*=UTF-8''%e2%82%ac"], b"")
    related = ([b"Content-Type: application/dicom"], b"\0" * 128 + b"DICM")
    boundaries = [b"b", b"--", b"XX", b"0123456789abcdef"]
    for number, boundary in enumerate(boundaries):
        code = number << 1
        seed("multipart", f"field-{number}", bytes([code, 0]) + body(boundary, field))
        seed("multipart", f"form-{number}", bytes([code, 3]) + struct.pack("<3H", 9, 40, 77) + body(boundary, field, file, star))
        seed("multipart", f"related-{number}", bytes([code | 1, 2]) + struct.pack("<2H", 5, 9) + body(boundary, related, related))
    seed("multipart", "preamble", bytes([0, 0]) + b"hello\r\n" + body(b"b", field) + b"epilogue")
    seed("multipart", "padding", bytes([0, 0]) + body(b"b", field).replace(b"--b\r\n", b"--b \t \r\n"))
    seed("multipart", "cut", bytes([0, 1]) + struct.pack("<H", 20) + body(b"b", file)[:-6])
    seed("multipart", "encoding", bytes([0, 0]) + body(b"b", (file[0] + [b"Content-Transfer-Encoding: base64"], b"QQ==")))


def zipped(method, entries):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in entries:
            info = zipfile.ZipInfo(name, (2027, 1, 31, 12, 0, 0))
            info.compress_type = method
            archive.writestr(info, content)
    return file.getvalue()


def zip_seeds():
    plain = [("1", b"one"), ("folder/", b""), ("folder/2.dcm", bytes(200))]
    seed("zip", "stored", zipped(zipfile.ZIP_STORED, plain))
    seed("zip", "deflated", zipped(zipfile.ZIP_DEFLATED, plain))
    seed("zip", "empty", zipped(zipfile.ZIP_STORED, []))
    seed("zip", "upwards", zipped(zipfile.ZIP_STORED, [("../1", b"one")]))
    seed("zip", "absolute", zipped(zipfile.ZIP_STORED, [("/1", b"one")]))
    seed("zip", "nested", zipped(zipfile.ZIP_STORED, [("z", zipped(zipfile.ZIP_STORED, plain))]))
    seed("zip", "bzip2", zipped(zipfile.ZIP_BZIP2, plain))
    seed("zip", "bomb", zipped(zipfile.ZIP_DEFLATED, [("b", bytes(1 << 21))]))
    link = io.BytesIO()
    with zipfile.ZipFile(link, "w") as archive:
        info = zipfile.ZipInfo("l")
        info.create_system, info.external_attr = 3, 0o120777 << 16
        archive.writestr(info, "/etc/passwd")
    seed("zip", "link", link.getvalue())
    stored = zipped(zipfile.ZIP_STORED, plain)
    seed("zip", "in-front", b"front" + stored)
    seed("zip", "comment", stored[:-2] + struct.pack("<H", 5) + b"words")
    seed("zip", "encrypted", stored.replace(struct.pack("<HH", 20, 0), struct.pack("<HH", 20, 1)))


def element(group, number, kind, value, explicit=True):
    if isinstance(value, str):
        value = value.encode()
    if len(value) % 2:
        value += b"\0" if kind == "UI" else b" "
    head = struct.pack("<HH", group, number)
    if not explicit:
        return head + struct.pack("<I", len(value)) + value
    if kind in ("OB", "OW", "SQ"):
        return head + kind.encode() + struct.pack("<HI", 0, len(value)) + value
    return head + kind.encode() + struct.pack("<H", len(value)) + value


def item(*elements):
    content = b"".join(elements)
    return struct.pack("<HHI", 0xFFFE, 0xE000, len(content)) + content


def dicom(syntax="1.2.840.10008.1.2.1", frames=0, padding=None, signed=0, bits=16):
    explicit = syntax != "1.2.840.10008.1.2"
    ct = "1.2.840.10008.5.1.4.1.1.2" + (".1" if frames else "")
    meta = element(2, 2, "UI", ct) + element(2, 3, "UI", "1.2.3.4.1") + element(2, 0x10, "UI", syntax)
    rows, columns = 4, 5

    def e(group, number, kind, value):
        return element(group, number, kind, value, explicit)

    def short(number):
        return struct.pack("<H", number & 0xFFFF)

    data = e(8, 8, "CS", "ORIGINAL\\PRIMARY\\AXIAL") + e(8, 0x16, "UI", ct) + e(8, 0x18, "UI", "1.2.3.4.1")
    data += e(8, 0x32, "TM", "120000.5") + e(8, 0x60, "CS", "CT") + e(8, 0x103E, "LO", "PORTAL VENOUS")
    data += e(0x20, 0xD, "UI", "1.2.3") + e(0x20, 0xE, "UI", "1.2.3.4") + e(0x20, 0x11, "IS", "2")
    data += e(0x20, 0x12, "IS", "1") + e(0x20, 0x13, "IS", "1")
    if not frames:
        data += e(0x20, 0x32, "DS", "-10\\-20\\0") + e(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0")
    data += e(0x20, 0x52, "UI", "1.2.3.9") + e(0x28, 2, "US", short(1)) + e(0x28, 4, "CS", "MONOCHROME2")
    if frames:
        data += e(0x28, 8, "IS", str(frames))
    data += e(0x28, 0x10, "US", short(rows)) + e(0x28, 0x11, "US", short(columns))
    if not frames:
        data += e(0x28, 0x30, "DS", "0.7\\0.8")
    data += e(0x28, 0x100, "US", short(bits)) + e(0x28, 0x101, "US", short(bits)) + e(0x28, 0x102, "US", short(bits - 1))
    data += e(0x28, 0x103, "US", short(signed))
    if padding is not None:
        data += e(0x28, 0x120, "SS" if signed else "US", short(padding))
    data += e(0x28, 0x1052, "DS", "-1024") + e(0x28, 0x1053, "DS", "1")
    if frames:
        shared = item(e(0x20, 0x9116, "SQ", item(e(0x20, 0x37, "DS", "1\\0\\0\\0\\1\\0"))),
                      e(0x28, 0x9110, "SQ", item(e(0x28, 0x30, "DS", "0.7\\0.8"))))
        each = [item(e(0x20, 0x9113, "SQ", item(e(0x20, 0x32, "DS", f"-10\\-20\\{2.5 * z}"))),
                     e(0x28, 0x9145, "SQ", item(e(0x28, 0x1052, "DS", "-1024"), e(0x28, 0x1053, "DS", "1"))))
                for z in range(frames)]
        data += e(0x5200, 0x9229, "SQ", shared) + e(0x5200, 0x9230, "SQ", b"".join(each))
    count = rows * columns * max(1, frames)
    values = b"".join(struct.pack("<H" if bits == 16 else "<B", (1000 + 7 * i) % (1 << bits)) for i in range(count))
    data += e(0x7FE0, 0x10, "OW" if bits == 16 else "OB", values)
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + data


def dicom_seeds():
    seed("dicom", "explicit", dicom())
    seed("dicom", "implicit", dicom("1.2.840.10008.1.2"))
    seed("dicom", "signed-padding", dicom(padding=-2000, signed=1))
    seed("dicom", "eight-bits", dicom(bits=8))
    seed("dicom", "enhanced", dicom(frames=3))
    seed("dicom", "enhanced-implicit", dicom("1.2.840.10008.1.2", frames=3))
    seed("dicom", "no-signature", dicom()[132:])
    seed("dicom", "cut", dicom()[:-9])
    # Slices in every encoding: made by Tests/Fixtures/dicom/make.py.
    for file in sorted((FIXTURES / "dicom").glob("*.dcm")):
        seed("dicom", file.stem.replace("_", "-"), file.read_bytes())


def http_seeds():
    def lines(*text, body=b""):
        return "\r\n".join(text).encode() + b"\r\n\r\n" + body

    requests = {
        "get": lines("GET /hello HTTP/1.1", "Host: a"),
        "old": lines("GET /hello HTTP/1.0"),
        "head": lines("HEAD /hello?a=b&c=%20+d HTTP/1.1", "Host: a", "X-Request-Id: my-id_1.2"),
        "absolute": lines("GET http://host:8080/hello HTTP/1.1", "Host: a"),
        "options": lines("OPTIONS * HTTP/1.1", "Host: a"),
        "encoded": lines("GET /%e2%82%ac/%2e%2e/%2F HTTP/1.1", "Host: a"),
        "upwards": lines("GET /a/../b HTTP/1.1", "Host: a"),
        "length": lines("POST /memory HTTP/1.1", "Host: a", "Content-Length: 5", body=b"hello"),
        "chunked": lines("POST /memory HTTP/1.1", "Host: a", "Transfer-Encoding: chunked", body=b"5;x=y\r\nhello\r\n0\r\nT: u\r\n\r\n"),
        "both": lines("POST /memory HTTP/1.1", "Host: a", "Content-Length: 5", "Transfer-Encoding: chunked", body=b"0\r\n\r\n"),
        "twice": lines("POST /memory HTTP/1.1", "Host: a", "Content-Length: 5", "Content-Length: 6", body=b"hello"),
        "expect": lines("POST /files HTTP/1.1", "Host: a", "Expect: 100-continue", "Content-Length: 3", body=b"abc"),
        "refused": lines("POST /refused HTTP/1.1", "Host: a", "Content-Length: 3", body=b"abc"),
        "too-large": lines("POST /memory HTTP/1.1", "Host: a", "Content-Length: 2000", body=b"abc"),
        "form": lines("POST /files HTTP/1.1", "Host: a", 'Content-Type: multipart/form-data; boundary="b"', "Content-Length: 84",
                      body=b'--b\r\nContent-Disposition: form-data; name="a"; filename="f"\r\n\r\nvalue\r\n--b--\r\n------'),
        "range": lines("GET /tagged HTTP/1.1", "Host: a", "Range: bytes=10-19", 'If-Range: "tag"'),
        "none-match": lines("GET /tagged HTTP/1.1", "Host: a", 'If-None-Match: "x", W/"tag"'),
        "pipelined": lines("GET /hello HTTP/1.1", "Host: a") + lines("GET /nothing HTTP/1.1", "Host: a", "Connection: close"),
        "folded": lines("GET /hello HTTP/1.1", "Host: a", "X-A: b", "\tc"),
        "authorised": lines("GET /hello HTTP/1.1", "Host: a", "Authorization: Bearer hpr_x", "X-Forwarded-For: 10.0.0.1, 10.0.0.2"),
    }
    for name, content in requests.items():
        seed("http", name, bytes([len(name) & 3]) + content)
        # The head alone, its lines without carriage returns.
        seed("head", name, content.split(b"\r\n\r\n")[0].replace(b"\r\n", b"\n"))


def config_seeds():
    text = (ROOT / "config/hepar.yaml").read_text()
    lines = [line for line in text.splitlines() if line.strip() and not line.strip().startswith("#")]
    seed("config", "default", ("\n".join(lines) + "\n").encode())
    seed("config", "one", b"http:\n  port: 80\n")
    seed("config", "flow", b'{http: {port: 0x50, host: "::1"}, log: {format: json, level: debug}}')
    seed("config", "dotted", b"http.port: 8081\nhttp.host: 'localhost'\n")
    seed("config", "wrong", b"http:\n  port: ninety\n  prot: 1\njobs: [1, 2]\nscan: ~\n")
    seed("config", "anchors", b"a: &a {port: 1}\nhttp: *a\nlog: {<<: *a, level: info}\n")
    seed("config", "words", b'data: {folder: "a\\tb\\u00e9", free_space_mib: 1}\ncompute: {algorithm: gemm}\n---\n')
    digits = "2c26b46b68ffc68ff99b453c1d30413413422d706483bfa0f98a5e886266e7ae"
    entry = (f'  - name: "pacs-bridge"\n    sha256: "{digits}"\n    roles: [submit, read_own]\n'
             '    created: "2027-01-31T12:00:00Z"\n')
    seed("tokens", "one", f"tokens:\n{entry}".encode())
    seed("tokens", "all-fields", (f'tokens:\n{entry}    expires: "2028-01-31T12:00:00Z"\n'
                                  "    quota: {queued_jobs: 20, queued_bytes: 10737418240}\n").encode())
    other = entry.replace("pacs-bridge", "b").replace("2c26", "2c27")
    seed("tokens", "two", f"tokens:\n{entry}{other}".encode())
    seed("tokens", "none", b"tokens: []\n")
    seed("tokens", "flow", f'{{tokens: [{{name: a, sha256: {digits}, roles: [admin], created: "2027-01-31T12:00:00+02:00"}}]}}'.encode())
    seed("tokens", "unknown", f"tokens:\n{entry}    expries: never\n".encode())


for old in CORPORA.glob("*/seed-*"):
    old.unlink()
nifti_seeds()
safetensors_seeds()
multipart_seeds()
zip_seeds()
dicom_seeds()
http_seeds()
config_seeds()
for folder in sorted(CORPORA.iterdir()):
    files = list(folder.iterdir())
    print(f"{folder.name}: {len(files)} files, {sum(f.stat().st_size for f in files)} bytes")
