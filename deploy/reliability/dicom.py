"""Synthetic CT slices for the campaigns, written byte by byte: nothing need be installed."""
import struct


def element(group, number, kind, value):
    """A data element in explicit little-endian form."""
    value = value.encode() if isinstance(value, str) else value
    value += b"\0" if kind == "UI" and len(value) % 2 else b" " * (len(value) % 2)
    long = kind in ("OW", "OB")
    length = struct.pack("<HI", 0, len(value)) if long else struct.pack("<H", len(value))
    return struct.pack("<HH", group, number) + kind.encode() + length + value


def dicom(index, pixels, side, series="1.2.3.4", number="2", instance_number=None, z=None, row="1\\0\\0\\0\\1\\0"):
    """One CT slice of `side` x `side` 16-bit values, 2.5 mm above the one before unless `z` says otherwise."""
    instance, word = f"1.2.3.4.{index + 1}", lambda number: struct.pack("<H", number)
    meta = element(2, 2, "UI", "1.2.840.10008.5.1.4.1.1.2") + element(2, 3, "UI", instance) + \
        element(2, 0x10, "UI", "1.2.840.10008.1.2.1")
    place = 2.5 * index if z is None else z
    fields = [
        (0x0008, 0x0008, "CS", "ORIGINAL\\PRIMARY\\AXIAL"), (0x0008, 0x0016, "UI", "1.2.840.10008.5.1.4.1.1.2"),
        (0x0008, 0x0018, "UI", instance), (0x0008, 0x0060, "CS", "CT"), (0x0020, 0x000D, "UI", "1.2.3"),
        (0x0020, 0x000E, "UI", series), (0x0020, 0x0011, "IS", number),
        (0x0020, 0x0013, "IS", str(instance_number or index + 1)),
        (0x0020, 0x0032, "DS", f"-10\\-20\\{place}"), (0x0020, 0x0037, "DS", row),
        (0x0020, 0x0052, "UI", "1.2.3.9"), (0x0028, 0x0002, "US", word(1)), (0x0028, 0x0004, "CS", "MONOCHROME2"),
        (0x0028, 0x0010, "US", word(side)), (0x0028, 0x0011, "US", word(side)), (0x0028, 0x0030, "DS", "0.7\\0.7"),
        (0x0028, 0x0100, "US", word(16)), (0x0028, 0x0101, "US", word(16)), (0x0028, 0x0102, "US", word(15)),
        (0x0028, 0x0103, "US", word(0)), (0x0028, 0x1052, "DS", "-1024"), (0x0028, 0x1053, "DS", "1"),
        (0x7FE0, 0x0010, "OW", pixels)]
    body = b"".join(element(*field) for field in fields)
    return bytes(128) + b"DICM" + element(2, 0, "UL", struct.pack("<I", len(meta))) + meta + body
