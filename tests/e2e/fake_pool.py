"""A folder in which fake_zfs.py plays `zfs`, for tests: the command to put first in PATH, what is in it, and resuming streams."""
import os
import shutil
import signal
import struct
import subprocess
import sys
import time
import zlib
from pathlib import Path

import fake_zfs
import fake_zfs_state
from fletcher import Fletcher4

HERE = Path(__file__).resolve().parent


class FakePool:
    """`folder` gets bin/zfs and the state; `settings` are FAKE_ZFS_* without that prefix."""

    def __init__(self, folder, **settings):
        self.state = folder / "fake-zfs"
        self.bin = folder / "bin"
        for made in (self.state, self.bin):
            made.mkdir(parents=True, exist_ok=True)
        for name, first in (("zfs", ""), ("zpool", "zpool ")):
            command = self.bin / name
            command.write_text(f'#!/bin/sh\nexec "{sys.executable}" -SE "{HERE / "fake_zfs.py"}" {first}"$@"\n')
            command.chmod(0o755)
        self.environment = dict(os.environ, PATH=f"{self.bin}:{os.environ['PATH']}", FAKE_ZFS_STATE=str(self.state),
                                **{f"FAKE_ZFS_{name.upper()}": str(value) for name, value in settings.items()})

    def zfs(self, *arguments, check=True, **options):
        return subprocess.run([self.bin / "zfs", *arguments], env=self.environment, capture_output=True, text=True, check=check, **options)

    def receive(self, stream, *arguments):
        with open(stream, "rb") as stdin:
            return self.zfs("receive", *arguments, check=False, stdin=stdin)

    def start(self, *arguments):
        """A receive that is fed by hand."""
        return subprocess.Popen([self.bin / "zfs", "receive", *arguments], env=self.environment, stdin=subprocess.PIPE,
                                stderr=subprocess.PIPE)

    def token(self, dataset):
        """The resume token, or nothing."""
        found = self.zfs("get", "-H", "-o", "value", "receive_resume_token", dataset, check=False).stdout.strip()
        return None if found in ("", "-") else found

    def place(self, dataset):
        """What the token says, as a dictionary of its numbers."""
        token = self.token(dataset)
        return token and read_token(token)

    def receiver(self, dataset):
        """The process that receives into it now, or nothing."""
        try:
            number = int((self.state / dataset.replace("/", "%") / "lock").read_text())
            return number if b"fake_zfs" in Path(f"/proc/{number}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    def dump(self, snapshot):
        """What the snapshot holds, or nothing where there is none."""
        dataset, _, name = snapshot.partition("@")
        if self.zfs("get", "-H", "-p", "-o", "value", "guid", snapshot, check=False).returncode:
            return None
        return (self.state / dataset.replace("/", "%") / f"{name}.dump").read_bytes()

    def kill(self, dataset, number=signal.SIGKILL):
        if process := self.receiver(dataset):
            os.kill(process, number)
        return process

    def await_place(self, dataset, reached, limit_s=20):
        limit = time.monotonic() + limit_s
        while not ((place := self.place(dataset)) and reached(place)):
            if time.monotonic() > limit:
                raise AssertionError(f"the token of {dataset} does not get so far: {place}")
            time.sleep(0.02)
        return place

    def close(self):
        shutil.rmtree(self.state, True)


def read_token(token):
    version, _, length, packed = token.split("-")
    plain = zlib.decompress(bytes.fromhex(packed))
    if (version, int(length, 16)) != ("1", len(plain)):
        raise ValueError(f"no token: {token}")
    return fake_zfs.unpack_integers(plain)


def records(data):
    """(type, header, payload) of each record of a stream."""
    at = 0
    while at < len(data):
        header = data[at:at + fake_zfs.HEADER_BYTES]
        kind = fake_zfs.u32(header, 0)
        end = at + fake_zfs.HEADER_BYTES + fake_zfs.payload_bytes(kind, header)
        yield kind, header, data[at + fake_zfs.HEADER_BYTES:end]
        at = end


def resuming_stream(data, number, offset):
    """What `zfs send -t` would send of this stream, from an object's offset on: for tests of the stand-in, not of zferry."""
    sums, out = Fletcher4(), bytearray()

    def put(header, payload, first=False):
        header = bytearray(header)
        sums.feed(header[:fake_zfs.CHECKSUM_AT])
        if not first:
            header[fake_zfs.CHECKSUM_AT:] = struct.pack("<4Q", *sums.sums)
        sums.feed(header[fake_zfs.CHECKSUM_AT:])
        sums.feed(payload)
        out.extend(header)
        out.extend(payload)

    for kind, header, payload in records(data):
        header = bytearray(header)
        if kind == fake_zfs.BEGIN:
            payload = fake_zfs_state.pack_native([("resume_object", number), ("resume_offset", offset)])
            struct.pack_into("<I", header, 4, len(payload))
            struct.pack_into("<Q", header, 16, fake_zfs.u64(header, 16) | fake_zfs.RESUMING)
            put(header, payload, first=True)
            continue
        if kind == fake_zfs.END:
            header[8:40] = struct.pack("<4Q", *sums.sums)
            put(header, payload)
            break
        of, at = fake_zfs.u64(header, 8), fake_zfs.u64(header, 24 if kind == fake_zfs.WRITE else 16)
        if kind in (fake_zfs.WRITE, fake_zfs.FREE, fake_zfs.EMBEDDED):
            keep = (of, at) >= (number, offset)
        else:
            keep = of > number or (of == number and kind in (fake_zfs.OBJECT, fake_zfs.SPILL))
        if keep:
            put(header, payload)
    return bytes(out)
