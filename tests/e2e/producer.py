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
options = parser.parse_args()

signal.signal(signal.SIGPIPE, signal.SIG_DFL)
with open(options.file, "rb") as stream:
    data = stream.read()
data = memoryview(data)[:int(len(data) * options.percent / 100)]
while data:
    data = data[os.write(1, data):]
time.sleep(options.stall)
if options.signal:
    os.kill(os.getpid(), options.signal)
os._exit(options.exit)
