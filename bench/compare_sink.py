#!/usr/bin/env python3
"""The consumer of bench/compare: empties the pipe on stdin and writes down, about every 100 ms, when how many bytes were there.

    compare_sink.py RECORDS
A record (RECORD below) is the time (CLOCK_MONOTONIC, ns), the bytes so far, and 1 at the stream's end. The first read is always recorded.
"""
import os
import struct
import sys
import time

RECORD = struct.Struct("<QQQ")
RECORD_EVERY_NS = 100_000_000
READ_BYTES = 1 << 18


def main():
    records = os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    piece, total, due = [bytearray(READ_BYTES)], 0, 0
    while count := os.readv(0, piece):
        now = time.monotonic_ns()
        total += count
        if now >= due:
            os.write(records, RECORD.pack(now, total, 0))
            due = now + RECORD_EVERY_NS
    os.write(records, RECORD.pack(time.monotonic_ns(), total, 1))


class Arrivals:
    """What a consumer wrote down, for whoever reads its file."""

    def __init__(self, data):
        self.rows = [RECORD.unpack_from(data, at) for at in range(0, len(data) - RECORD.size + 1, RECORD.size)]

    @property
    def first_ns(self):
        """When the first byte came; None where none did."""
        return self.rows[0][0] if self.rows and self.rows[0][1] else None

    @property
    def ended_ns(self):
        """When the stream ended; None where it has not."""
        return self.rows[-1][0] if self.rows and self.rows[-1][2] else None

    def at(self, moment_ns):
        """The bytes that had come by then; between two records in proportion."""
        before = (0, 0)
        for now, total, _ in self.rows:
            if now > moment_ns:
                if not before[0]:
                    return 0
                return before[1] + (total - before[1]) * (moment_ns - before[0]) // (now - before[0])
            before = (now, total)
        return before[1]


if __name__ == "__main__":
    main()
