"""Stands in for `zfs receive`: commits (writes its marker, appends a line to its log) the moment it has read the final END, exits 1 when
the input ends before that, and ignores what follows. Options make it misbehave.
"""
import argparse
import hashlib
import os
import struct
import sys
import time

HEADER_BYTES = 312
BEGIN, OBJECT, WRITE, END, SPILL, WRITE_EMBEDDED = 0, 1, 3, 5, 7, 8

parser = argparse.ArgumentParser()
parser.add_argument("--marker", required=True)
parser.add_argument("--log", help="one line for each commit")
parser.add_argument("--starts", help="one line for each consumer that was started")
parser.add_argument("--take", type=int, help="read so many bytes and no more, then exit")
parser.add_argument("--exit", type=int, default=0, help="with --take: the exit code; else: the exit code after the end of the input")
parser.add_argument("--stall", type=float, default=0, help="seconds to sit still after --take, or before the end of the input is read")
parser.add_argument("--nap-at", type=int, help="sit still for --nap seconds once so many bytes are read")
parser.add_argument("--nap", type=float, default=0)
options = parser.parse_args()
digest = hashlib.sha256()
total = 0
if options.starts:
    with open(options.starts, "a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()}\n")


def read(count):
    global total
    parts, left = [], count
    while left:
        part = os.read(0, min(left, 1 << 20))
        if not part:
            sys.stderr.write(f"consumer: the input ended after {total} bytes, before the stream did\n")
            os._exit(1)
        digest.update(part)
        if options.nap_at is not None and total < options.nap_at <= total + len(part):
            time.sleep(options.nap)
        total += len(part)
        left -= len(part)
        parts.append(part)
    return b"".join(parts)


def payload_bytes(kind, header):
    """As ZFS derives it; little-endian streams only."""
    def u32(at):
        return struct.unpack_from("<I", header, at)[0]

    def u64(at):
        return struct.unpack_from("<Q", header, at)[0]

    if kind == BEGIN:
        return u32(4)
    if kind == OBJECT:
        return u32(36) or (u32(28) + 7) & ~7
    if kind == WRITE:
        return u64(96) if header[50] else u64(32)
    if kind == SPILL:
        return u64(40) or u64(16)
    if kind == WRITE_EMBEDDED:
        return (u32(52) + 7) & ~7
    return 0


if options.take is not None:
    if options.take:
        read(options.take)
    time.sleep(options.stall)
    os._exit(options.exit)
compound, ends = False, 0
while True:
    header = read(HEADER_BYTES)
    kind = struct.unpack_from("<I", header)[0]
    if total == HEADER_BYTES:
        compound = header[16] & 3 == 2
    read(payload_bytes(kind, header))
    if kind == END:
        checksum = header[8:40]
        ends += 1
        if not compound or (ends > 1 and not any(checksum)):
            break
with open(options.marker, "w", encoding="ascii") as marker:
    marker.write(f"{total} {digest.hexdigest()}\n")
if options.log:
    with open(options.log, "a", encoding="ascii") as log:
        log.write(f"{digest.hexdigest()}\n")
time.sleep(options.stall)
while os.read(0, 1 << 20):
    pass
os._exit(options.exit)
