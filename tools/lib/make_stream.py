"""Streams that look like `zfs send`'s, and others, made from a seed: for the benchmarks and the end-to-end tests.

A ZFS stream made here is a full one of one file system: BEGIN, OBJECTs, WRITEs, FREEs, END, little-endian, with right fletcher-4 sums
everywhere. It is what zferry checks; `zfs receive` would miss the file system's own objects in it.
"""
import random
import struct

HEADER_BYTES = 312
CHECKSUM_AT = 280
BEGIN, OBJECT, FREEOBJECTS, WRITE, FREE, END = 0, 1, 2, 3, 4, 5
MAGIC = 0x2F5BACBAC
MASK = (1 << 64) - 1
PAYLOADS = 64  # different payloads of a large stream; more would only cost time


def fletcher4(data):
    """The four sums over 32-bit words from zero, and how many words they took."""
    a = b = c = d = 0
    for (word,) in struct.iter_unpack("<I", data):
        a += word
        b += a
        c += b
        d += c
    return a & MASK, b & MASK, c & MASK, d & MASK, len(data) // 4


def append(state, more):
    """The sums of a run of words followed by another run."""
    a, b, c, d = state
    a2, b2, c2, d2, n = more
    triangle = n * (n + 1) // 2
    return ((a + a2) & MASK, (b + n * a + b2) & MASK, (c + n * b + triangle * a + c2) & MASK,
            (d + n * c + triangle * b + n * (n + 1) * (n + 2) // 6 * a + d2) & MASK)


class ZfsStream:
    """Writes one stream into a file object; the running sum stands in `sums`."""

    def __init__(self, out, seed, toname="made/stream@one"):
        self.out, self.sums = out, (0, 0, 0, 0)
        self.toguid = random.Random(seed).getrandbits(63) | 1
        self.bytes = 0
        header = bytearray(HEADER_BYTES)
        struct.pack_into("<II", header, 0, BEGIN, 0)
        struct.pack_into("<QQQIIQQ", header, 8, MAGIC, 1 | 4 << 2, 1700000000, 2, 0xC, self.toguid, 0)
        header[56:56 + len(toname)] = toname.encode()
        self._put(bytes(header), fletcher4(header))

    def _put(self, data, sums):
        self.out.write(data)
        self.bytes += len(data)
        self.sums = append(self.sums, sums)

    def record(self, header, payload=b"", payload_sums=None):
        """One record whose first 280 bytes are `header`; the checksum is filled in."""
        self.sums = append(self.sums, fletcher4(header[:CHECKSUM_AT]))
        stored = struct.pack("<4Q", *self.sums)
        self.sums = append(self.sums, fletcher4(stored))
        self.out.write(bytes(header[:CHECKSUM_AT]) + stored)
        self.bytes += HEADER_BYTES
        if payload:
            self._put(payload, payload_sums or fletcher4(payload))

    def object(self, number, block_bytes=131072):
        header = bytearray(CHECKSUM_AT)
        struct.pack_into("<II", header, 0, OBJECT, 0)
        struct.pack_into("<QIIII", header, 8, number, 19, 44, block_bytes, 168)
        struct.pack_into("<BBB", header, 32, 0, 0, 1)
        struct.pack_into("<Q", header, 40, self.toguid)
        self.record(header, bytes(168))

    def write(self, number, offset, payload, payload_sums=None):
        header = bytearray(CHECKSUM_AT)
        struct.pack_into("<II", header, 0, WRITE, 0)
        struct.pack_into("<QIIQQQ", header, 8, number, 19, 0, offset, len(payload), self.toguid)
        header[48] = 7
        self.record(header, payload, payload_sums)

    def free(self, number, offset, length=MASK):
        header = bytearray(CHECKSUM_AT)
        struct.pack_into("<II", header, 0, FREE, 0)
        struct.pack_into("<QQQQ", header, 8, number, offset, length, self.toguid)
        self.record(header)

    def end(self):
        header = bytearray(CHECKSUM_AT)
        struct.pack_into("<II", header, 0, END, 0)
        struct.pack_into("<4QQ", header, 8, *self.sums, self.toguid)
        self.record(header)


def text_like(seed, size):
    """Words of a made-up language, the common ones often: compresses about as prose does."""
    rng = random.Random(seed)
    words = ["".join(rng.choices("etaoinshrdlucmfwypvbgk", k=rng.randint(2, 9))) for _ in range(20000)]
    weights = [1 / (rank + 5) for rank in range(len(words))]
    made = " ".join(rng.choices(words, weights, k=size // 5)).encode()
    return made[:size].ljust(size, b"\n")


def half_zeros(seed, size, run_bytes=131072):
    """Runs of random bytes and of zeros, half and half."""
    rng = random.Random(seed)
    runs = (rng.randbytes(run_bytes) if rng.random() < 0.5 else bytes(run_bytes) for _ in range(0, size, run_bytes))
    return b"".join(runs)[:size]


def write_zfs(out, seed, size, record_bytes=131072, payload_of=None):
    """A ZFS stream of about `size` bytes; how many it has. `payload_of(rng, bytes)` makes a payload, random by default."""
    rng = random.Random(seed)
    make = payload_of or (lambda r, n: r.randbytes(n))
    count = max(1, size // (record_bytes + HEADER_BYTES))
    payloads = [make(rng, record_bytes) for _ in range(min(PAYLOADS, count))]
    known = [(p, fletcher4(p)) for p in payloads]
    stream = ZfsStream(out, seed)
    per_object = 512
    for index in range(count):
        number, within = 2 + index // per_object, index % per_object
        if within == 0:
            stream.object(number, record_bytes)
        stream.write(number, within * record_bytes, *known[index % len(known)])
        if within == per_object - 1 or index == count - 1:
            stream.free(number, (within + 1) * record_bytes)
    stream.end()
    return stream.bytes


KINDS = ("random", "text", "zeros", "zfs")


def write_stream(path, kind, size, seed=1):
    """A stream of one of KINDS in the file `path`; how many bytes it has. `text` repeats itself after 32 MiB, too far for zstd to see."""
    piece_bytes = 32 << 20
    with open(path, "wb") as out:
        if kind == "zfs":
            return write_zfs(out, seed, size)
        if kind == "text":
            piece = text_like(seed, min(size, piece_bytes))
        for at in range(0, size, piece_bytes):
            want = min(piece_bytes, size - at)
            if kind == "random":
                out.write(random.Random(seed + at).randbytes(want))
            elif kind == "zeros":
                out.write(half_zeros(seed + at, want))
            else:
                out.write(piece[:want])
    return size
