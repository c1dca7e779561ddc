"""What the stand-in for ZFS keeps: datasets in a folder, their objects, snapshots and resume tokens (fake_zfs.py)."""
import fcntl
import hashlib
import os
import pickle
import signal
import struct
import time
import zlib
from pathlib import Path

from fletcher import Fletcher4

BEGIN, OBJECT, FREEOBJECTS, WRITE, FREE, END, BYREF, SPILL, EMBEDDED, RANGE, REDACT = range(11)
HEADER_BYTES, CHECKSUM_AT = 312, 280
MAGIC, ALL = 0x2F5BACBAC, (1 << 64) - 1
RESUMING = 1 << 22
FLAGS = (("largeblockok", 1 << 21), ("embedok", 1 << 18), ("compressok", 1 << 24), ("rawok", 1 << 26))   # by feature bit
PAYLOAD_BYTES_MAX = 32 << 20
INCOMPLETE = "checksum mismatch or incomplete stream"


class Refused(Exception):
    """Ends with exit code 1 and these words."""


class Cut(Exception):
    """The input ended, was damaged, or a signal came: what is complete may be kept."""

    def __init__(self, why, number=0):
        super().__init__(why)
        self.number = number


def u32(data, at):
    return struct.unpack_from("<I", data, at)[0]


def u64(data, at):
    return struct.unpack_from("<Q", data, at)[0]


def sha(*parts):
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    return digest.hexdigest()


# Packed lists of names and values.

def pack_native(pairs):
    """As the kernel packs a token: integers, strings, and names that are there or not (True)."""
    out = struct.pack("<BBH", 0, 1, 0) + struct.pack("<iI", 0, 1)
    for name, value in pairs:
        key = name.encode() + b"\0"
        kind, data = ((1, b"") if value is True else (8, struct.pack("<Q", value)) if isinstance(value, int) else
                      (9, value.encode() + b"\0"))
        head = struct.pack("<hhii", len(key), 0, 0 if kind == 1 else 1, kind) + key
        head += bytes(-(4 + len(head)) % 8)
        data += bytes(-len(data) % 8)
        out += struct.pack("<i", 4 + len(head) + len(data)) + head + data
    return out + bytes(4)


def unpack_integers(data):
    """The 64-bit integers of a packed list, in native or XDR encoding; what else is in it is passed over."""
    if len(data) < 12 or data[1] != 1:
        raise Refused("the stream's list of names and values is malformed")
    found, at, native = {}, 12, data[0] == 0
    ints = "<i" if native else ">i"
    while size := struct.unpack_from(ints, data, at)[0]:
        if size < 0 or at + size > len(data):
            raise Refused("the stream's list of names and values is malformed")
        if native:
            name_bytes, _, _, kind = struct.unpack_from("<hhii", data, at + 4)
            name, value_at = data[at + 16:at + 16 + name_bytes - 1], at + (16 + name_bytes + 7) // 8 * 8
        else:
            name_bytes = struct.unpack_from(">i", data, at + 8)[0]
            name, kind_at = data[at + 12:at + 12 + name_bytes], at + 12 + (name_bytes + 3) // 4 * 4
            kind, value_at = struct.unpack_from(">i", data, kind_at)[0], kind_at + 8
        if kind == 8:
            found[name.decode()] = struct.unpack_from("<Q" if native else ">Q", data, value_at)[0]
        at += size
    return found


def make_token(partial):
    pairs = [("fromguid", partial["fromguid"])] if partial["fromguid"] else []
    pairs += [("object", partial["object"]), ("offset", partial["offset"]), ("bytes", partial["bytes"]),
              ("toguid", partial["toguid"]), ("toname", partial["toname"])]
    pairs += [(name, True) for name, bit in FLAGS if partial["versioninfo"] & bit]
    packed = pack_native(pairs)
    squeezed = zlib.compress(packed, 6)
    sums = Fletcher4()
    sums.feed(squeezed[:len(squeezed) // 4 * 4])
    return f"1-{sums.sums[0]:x}-{len(packed):x}-{squeezed.hex()}"


# What is kept of a dataset.

class Dataset:
    def __init__(self, name):
        self.name = name
        self.folder = Path(os.environ["FAKE_ZFS_STATE"], name.replace("/", "%"))

    def load(self):
        """(what a receive left or nothing, [(name, guid, model)] of the snapshots, the oldest first)"""
        try:
            return pickle.loads((self.folder / "state").read_bytes())
        except FileNotFoundError:
            return None, []

    def save(self, partial, snapshots):
        self.replace("state", pickle.dumps((partial, snapshots)))

    def replace(self, file, data):
        """All of it or nothing, whenever this process is killed."""
        self.folder.mkdir(parents=True, exist_ok=True)
        temporary = self.folder / f".{file}.{os.getpid()}"
        temporary.write_bytes(data)
        temporary.rename(self.folder / file)

    def lock(self, what):
        """One at a time may change it."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self.lock_fd = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self.lock_fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Refused(f"{what}: destination '{self.name}': dataset is busy") from None
        os.ftruncate(self.lock_fd, 0)
        os.pwrite(self.lock_fd, str(os.getpid()).encode(), 0)

    @property
    def busy(self):
        """Whether a receive runs."""
        try:
            with open(self.folder / "lock", "rb") as lock:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            return False
        except FileNotFoundError:
            return False
        except BlockingIOError:
            return True

    def shown(self):
        """What a receive that runs tells of its place before that is on the disks, or nothing."""
        try:
            return pickle.loads((self.folder / "shown").read_bytes()) if self.busy else None
        except FileNotFoundError:
            return None

    def sync_wanted(self):
        return (self.folder / "sync-wanted").read_bytes()

    def sync(self):
        """Ends when what a receive that runs had taken before is on the disks."""
        wanted = f"{os.getpid()} {time.monotonic_ns()}".encode()
        self.replace("sync-wanted", wanted)
        asked = False
        while self.busy and not (asked and (self.folder / "synced").exists() and (self.folder / "synced").read_bytes() == wanted):
            try:
                os.kill(int((self.folder / "lock").read_text()), signal.SIGUSR1)
                asked = True
            except (OSError, ValueError):
                pass
            time.sleep(0.05)

    def existing(self):
        partial, snapshots = self.load()
        if not snapshots and not partial:
            raise Refused(f"cannot open '{self.name}': dataset does not exist")
        return partial, snapshots


class Model:
    """What the records have made: per object its header, bonus, spill and data; of the data, digests with their places."""

    def __init__(self, base=None):
        self.objects = {number: dict(known, data=dict(known["data"])) for number, known in base.objects.items()} if base else {}
        self.ranges = dict(base.ranges) if base else {}

    def existing(self, number):
        if number not in self.objects:
            raise Cut("a record of an object that does not exist")
        return self.objects[number]

    def object(self, header, payload):
        number, geometry = u64(header, 8), (u32(header, 24), header[34], header[50])    # block size, slots, block pointers
        known = self.objects.get(number)
        if not known or known["geometry"] != geometry:
            known = {"data": {}, "spill": ""}
        if not header[35] & 4:                                                          # it has no spill block
            known["spill"] = ""
        self.objects[number] = dict(known, geometry=geometry, about=sha(header[16:40], header[48:64], payload))

    def free(self, number, offset, length):
        """Takes a range out of an object's data; what is cut in two is told by the part that stays."""
        data, end = self.existing(number)["data"], min(offset + length, ALL)
        for at in [at for at in data if at < end and at + data[at][0] > offset]:
            size, digest, skipped = data.pop(at)
            if at < offset:
                data[at] = (offset - at, digest, skipped)
            if at + size > end:
                data[end] = (at + size - end, digest, skipped + end - at)

    def write(self, number, offset, length, digest):
        data = self.existing(number)["data"]
        if data.get(offset, (length,))[0] != length or offset not in data:
            self.free(number, offset, length)
        data[offset] = (length, digest, 0)

    def free_objects(self, first, count):
        for number in [n for n in self.objects if first <= n < first + count]:
            del self.objects[number]

    def dump(self):
        """The one way to tell it."""
        lines = [f"range {first} {digest}" for first, digest in sorted(self.ranges.items())]
        for number, known in sorted(self.objects.items()):
            lines.append(f"object {number} {known['geometry']} {known['about']} {known['spill']}")
            lines += [f"data {number} {at} {size} {digest} {skipped}" for at, (size, digest, skipped) in sorted(known["data"].items())]
        return lines


# Receiving.
