"""The streams of bench/compare: made from a seed, or real ones of ../shared/streams, as files that compare_source.py repeats.

A body is longer than 128 MiB: what repeats is farther away than any peer's compression looks back. Real send streams of different
kinds become one compound stream (as `zfs send -R` makes it: head, whole streams, END), so that they too can go on for as long as wanted.
"""
import hashlib
import os
import random
import struct
import subprocess
import sys
import zlib
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.append(str(ROOT / "tools" / "lib"))
import make_stream  # noqa: E402

BODY_BYTES = 144 << 20
PIECE_BYTES = 16 << 20
VERIFIED_BYTES = 32 << 20
REAL_FOLDER = ROOT.parent / "shared" / "streams"
REAL_COMPOUND = "rep-R"          # gives the head and the END besides its own streams
REAL_OTHERS = ("full-plain", "full-raw-w", "zvol-16k", "full-e", "full-Lce", "clone-origin", "inc-i", "zvol-16k-inc", "inc-raw-w")
TITLES = {"random": "incompressible", "text": "text", "vm": "VM image with zeros", "compressed": "already compressed",
          "real": "real send streams"}


@dataclass(frozen=True)
class Stream:
    """Files of one stream. `verified_bytes` of the body are enough for a whole, valid, short transfer."""

    name: str
    body: str
    verified_bytes: int
    head: str | None = None
    tail: str | None = None

    def words(self, count=None):
        """What compare_source.py is told: `count` bytes of the body and the tail, or the body for ever."""
        words = ["--body", self.body] + (["--head", self.head] if self.head else [])
        if count is None:
            return words
        return words + ["--bytes", str(count)] + (["--tail", self.tail] if self.tail else [])

    def sha256(self, count):
        """Of what the generator makes of words(count)."""
        digest = hashlib.sha256(Path(self.head).read_bytes() if self.head else b"")
        with open(self.body, "rb") as body:
            digest.update(body.read(count))
        digest.update(Path(self.tail).read_bytes() if self.tail else b"")
        return digest.hexdigest()


def text_piece(seed):
    return make_stream.text_like(seed, PIECE_BYTES)


def rows_like(rng, size):
    """Records of a table as a program lays them out: counters, few different values, padding. Compresses well, not like text."""
    values = [rng.randbytes(8) for _ in range(200)]
    made, number = bytearray(), rng.getrandbits(30)
    while len(made) < size:
        number += rng.randint(1, 9)
        made += struct.pack("<QIH", number, rng.randint(0, 5000), rng.randint(0, 9)) + rng.choice(values) + bytes(10)
    return bytes(made[:size])


def vm_piece(seed):
    """A piece of a disk image: runs of 64 KiB to 4 MiB, of whose bytes 40 % are zeros, 15 % text, 15 % tables, 30 % do not compress."""
    rng = random.Random(seed)
    text, rows = make_stream.text_like(seed, PIECE_BYTES // 4), rows_like(rng, PIECE_BYTES // 4)
    used, made = {"text": 0, "rows": 0}, bytearray()
    while len(made) < PIECE_BYTES:
        size = min(PIECE_BYTES - len(made), (1 << 16) * 2 ** rng.randint(0, 6))
        kind = rng.choices(("zeros", "text", "rows", "random"), (40, 15, 15, 30))[0]
        if kind == "zeros":
            made += bytes(size)
        elif kind == "random":
            made += rng.randbytes(size)
        else:
            at, source = used[kind] % (PIECE_BYTES // 4), text if kind == "text" else rows
            taken = source[at:at + size]
            made += taken
            used[kind] += len(taken)
    return bytes(made)


def compressed_piece(seed):
    """Text through deflate, at three levels in turn."""
    made, part = bytearray(), 0
    while len(made) < PIECE_BYTES:
        made += zlib.compress(make_stream.text_like(seed * 100 + part, PIECE_BYTES // 2), (1, 3, 6)[part % 3])
        part += 1
    return bytes(made[:PIECE_BYTES])


def random_piece(seed):
    return random.Random(seed).randbytes(PIECE_BYTES)


MAKERS = {"random": random_piece, "text": text_piece, "vm": vm_piece, "compressed": compressed_piece}


def _made(name, folder, seed):
    path = folder / f"{name}-{seed}-{BODY_BYTES >> 20}"
    if not path.exists():
        count = BODY_BYTES // PIECE_BYTES
        with ProcessPoolExecutor(min(count, os.cpu_count() or 1)) as workers, open(f"{path}.part", "wb") as out:
            for piece in workers.map(MAKERS[name], range(seed * 1000, seed * 1000 + count)):
                out.write(piece)
        os.rename(f"{path}.part", path)
    return Stream(name, str(path), VERIFIED_BYTES)


def _real(folder):
    """One compound stream that never ends, out of all the real ones."""
    head, body, tail = (folder / f"real-{part}" for part in ("head", "body", "tail"))
    if not tail.exists():
        def unpacked(name):
            return subprocess.run(["zstd", "-q", "-d", "-c", REAL_FOLDER / f"{name}.zstream.zst"], check=True, capture_output=True).stdout
        record = make_stream.HEADER_BYTES
        compound = unpacked(REAL_COMPOUND)
        opening = 2 * record + struct.unpack_from("<I", compound, 4)[0]   # BEGIN, its list, END
        head.write_bytes(compound[:opening])
        with open(body, "wb") as out:
            out.write(compound[opening:-record])
            for name in REAL_OTHERS:
                out.write(unpacked(name))
        tail.write_bytes(compound[-record:])
    return Stream("real", str(body), body.stat().st_size, str(head), str(tail))


def missing(name):
    """Why a stream cannot be had here, or nothing."""
    if name != "real":
        return None
    absent = [each for each in (REAL_COMPOUND, *REAL_OTHERS) if not (REAL_FOLDER / f"{each}.zstream.zst").exists()]
    return f"no {absent[0]}.zstream.zst in {REAL_FOLDER}" if absent else None


def prepare(name, folder, seed):
    """The stream's files in `folder`, made where they are not there yet."""
    return _real(Path(folder)) if name == "real" else _made(name, Path(folder), seed)
