"""Stands in for `zfs send`: writes a part of a file to stdout, then ends as it is told."""
import argparse
import os
import signal
import time

parser = argparse.ArgumentParser()
parser.add_argument("--file", required=True)
parser.add_argument("--percent", type=float, default=100)
parser.add_argument("--exit", type=int, default=0)
parser.add_argument("--signal", type=int, default=0, help="die by this signal instead")
parser.add_argument("--stall", type=float, default=0, help="seconds to sit still before ending")
parser.add_argument("--until", help="after --percent, wait until this file exists, then write the rest as well")
parser.add_argument("--piece", type=int, default=1 << 30, help="write no more bytes at a time than this")
parser.add_argument("--rate", type=float, default=0, help="MB a second")
options = parser.parse_args()

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
parent = os.getppid()


def sit(seconds, over=lambda: False):
    """Not longer than the zferry that runs it."""
    limit = time.monotonic() + seconds
    while time.monotonic() < limit and not over():
        if os.getppid() != parent:
            os._exit(1)
        time.sleep(min(0.05, seconds))


def write(data):
    while data:
        piece = data[:options.piece]
        if options.rate:
            piece = piece[:65536]
            time.sleep(len(piece) / options.rate / 1e6)
        data = data[os.write(1, piece):]


with open(options.file, "rb") as stream:
    whole = memoryview(stream.read())
part = int(len(whole) * options.percent / 100)
write(whole[:part])
if options.until:
    sit(120, lambda: os.path.exists(options.until))
    write(whole[part:])
sit(options.stall)
if options.signal:
    os.kill(os.getpid(), options.signal)
os._exit(options.exit)
