"""The streams that the tests carry: made ones always, kept ones from tests/data/streams, and the shared collection where it is there."""
import functools
import hashlib
import io
import itertools
import random
import shutil
import subprocess
import tempfile
from pathlib import Path

from harness import ROOT, SHARED

import make_stream  # found through harness


def zfs_bytes(size, seed=1, record_bytes=131072, text=False):
    """A made ZFS stream of about `size` bytes."""
    out = io.BytesIO()
    make_stream.write_zfs(out, seed, size, record_bytes, (lambda rng, n: make_stream.text_like(rng.random(), n)) if text else None)
    return out.getvalue()


def zfs_that_differs(size, seed, from_byte, record_bytes=131072):
    """As zfs_bytes(size, seed), with the same BEGIN, but for one byte of each payload from about `from_byte` on (up to 8 MiB)."""
    made = itertools.count()

    def payload(rng, count):
        data = rng.randbytes(count)
        return data if next(made) * record_bytes < from_byte else bytes([data[0] ^ 1]) + data[1:]

    out = io.BytesIO()
    make_stream.write_zfs(out, seed, size, record_bytes, payload)
    return out.getvalue()


@functools.lru_cache(maxsize=None)
def middling_zfs():
    """24 MiB that do not compress."""
    return zfs_bytes(24 << 20, 6)


@functools.lru_cache(maxsize=None)
def small_zfs():
    """2.5 MiB that do not compress: three blocks, so that every kind of frame is on the wire."""
    return zfs_bytes(5 << 19)


def made_streams():
    rng = random.Random(7)
    yield "made zfs, 8 MiB random", zfs_bytes(8 << 20, 2)
    yield "made zfs, 8 MiB text", zfs_bytes(8 << 20, 3, text=True)
    yield "made zfs, 4 KiB records", zfs_bytes(1 << 20, 4, 4096)
    yield "made zfs, one record", zfs_bytes(1, 5, 512)
    yield "opaque, 1 byte", b"x"
    yield "opaque, 311 bytes", rng.randbytes(311)
    yield "opaque, 1 MiB - 1", rng.randbytes((1 << 20) - 1)
    yield "opaque, 1 MiB", rng.randbytes(1 << 20)
    yield "opaque, 1 MiB + 1", rng.randbytes((1 << 20) + 1)
    yield "opaque, 9 MiB random", rng.randbytes(9 << 20)
    yield "opaque, 9 MiB text", make_stream.text_like(8, 9 << 20)
    yield "opaque, 16 MiB zeros", bytes(16 << 20)
    yield "opaque, half zeros", make_stream.half_zeros(9, 9 << 20)


def kept_files():
    """(name, path of a raw or zstd-compressed stream)."""
    for folder in (ROOT / "tests" / "data" / "streams", SHARED / "streams"):
        for path in sorted(folder.glob("*.zstream*")):
            if path.suffix in (".zst", ".zstream"):
                yield f"{folder.parent.name}/{path.name}", path


class Collection:
    """All streams as raw files in a folder of its own, one after the other; each is taken away when the next one is asked for."""

    def __init__(self):
        self.folder = Path(tempfile.mkdtemp(prefix="zferry-streams-"))

    def close(self):
        shutil.rmtree(self.folder, True)

    def __iter__(self):
        """(name, path, sha256) of each."""
        for number, (name, data) in enumerate(made_streams()):
            yield self._with(name, number, lambda path, data=data: path.write_bytes(data))
        for number, (name, kept) in enumerate(kept_files()):
            if kept.suffix == ".zst":
                yield self._with(name, number, lambda path, kept=kept: subprocess.run(
                    ["zstd", "-q", "-d", "-f", kept, "-o", path], check=True))
            else:
                yield self._with(name, number, lambda path, kept=kept: shutil.copyfile(kept, path))

    def _with(self, name, number, make):
        for old in self.folder.iterdir():
            old.unlink()
        path = self.folder / f"stream{number}"
        make(path)
        return name, path, sha256_of(path)


def sha256_of(path):
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while piece := file.read(1 << 20):
            digest.update(piece)
    return digest.hexdigest()
