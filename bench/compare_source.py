#!/usr/bin/env python3
"""The generator of bench/compare: hands files to the pipe on stdout again and again, without copying, so that it is never the bottleneck.

HEAD once, then the body round and round: for ever, or --bytes of it and then TAIL. Says "ready" on stderr, begins when a line (or the
end) comes on stdin, and writes the moment at which it began to --started (CLOCK_MONOTONIC, ns). Uses nothing but the standard library.
"""
import argparse
import os
import sys
import time

PIECE_BYTES = 1 << 20


def put(file, begin, end):
    """Bytes begin..end of `file` to stdout."""
    while begin < end:
        begin += os.sendfile(1, file, begin, min(PIECE_BYTES, end - begin))


def put_whole(path):
    if path:
        with open(path, "rb", buffering=0) as file:
            put(file.fileno(), 0, os.fstat(file.fileno()).st_size)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--body", required=True)
    parser.add_argument("--head")
    parser.add_argument("--tail")
    parser.add_argument("--bytes", type=int, help="of the body, in all; then the tail and the end. Without it: for ever")
    parser.add_argument("--started", required=True)
    options = parser.parse_args()
    body = os.open(options.body, os.O_RDONLY)
    size = os.fstat(body).st_size
    sys.stderr.write("ready\n")
    sys.stdin.readline()
    with open(options.started, "w", encoding="ascii") as started:
        started.write(str(time.monotonic_ns()))
    put_whole(options.head)
    left = options.bytes
    while left is None or left > 0:
        take = size if left is None else min(left, size)
        put(body, 0, take)
        left = None if left is None else left - take
    put_whole(options.tail)


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:
        sys.exit(141)   # whom we feed has gone: its exit code tells more
