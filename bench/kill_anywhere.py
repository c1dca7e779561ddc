#!/usr/bin/env python3
"""Kills target, source, consumer, pairs of them and all at random moments of transfers over real files, starts the dead again with the same
commands, and checks that every transfer completes, that what came out is what went in, and how much crossed again.
    bench/kill_anywhere.py --kills 1000 --folder /var/tmp
    bench/kill_anywhere.py --seed 1 --only 37          # one of them again
What is drawn follows from the seed; at which byte a kill falls is the machine's. Where something is broken, its folder stays. The consumers:
a file (--out), a program that writes a file, and a stand-in for `zfs receive`, with and without -s (tests/e2e/fake_zfs.py).
"""
import argparse
import concurrent.futures
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", type=int, help="play this transfer alone")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the files are: a real disk, not tmpfs")
    parser.add_argument("--parallel", type=int, default=6, help="transfers at a time: they mostly wait")
    parser.add_argument("--zferry", default=str(ROOT / "build" / "release" / "cli" / "zferry"))
    parser.add_argument("--victims", help="only these, for example target,target+consumer")
    parser.add_argument("--consumers", help="only these, for example out,zfs -s")
    parser.add_argument("--long", type=float, default=0.08, help="the share of streams of 160 and 240 MiB, which ZFS is asked about on the way")
    parser.add_argument("--failures", type=int, default=1, help="end after so many")
    parser.add_argument("--without-store", action="store_true")
    parser.add_argument("--tell", help="how a transfer went, also where all is well, if an end ended so (consumer-failed,...), or all")
    return parser.parse_args()


class Campaign:
    def __init__(self, options, folder):
        import drawn_kills
        import killed_transfer
        self.lib, self.draws, self.options, self.folder = killed_transfer, drawn_kills, options, folder
        self.kinds = ([tuple(name.split("+")) for name in options.victims.split(",")] if options.victims else drawn_kills.VICTIMS)
        self.consumers = options.consumers.split(",") if options.consumers else drawn_kills.CONSUMERS
        mib = drawn_kills.MIB
        self.streams = [drawn_kills.made_stream(folder, size * mib, size) for size in (4, 6, 9, 14, 22, 34, 48, 64)]
        self.streams += drawn_kills.real_streams(folder)
        self.long_streams = [drawn_kills.made_stream(folder, size * mib, size) for size in (160, 240)]
        self.tally, self.failures, self.lock = killed_transfer.Tally(), [], threading.Lock()

    def draw(self, number):
        return self.draws.draw(f"{self.options.seed}:{number}", self.streams, self.long_streams, self.kinds, self.consumers, self.options.long)

    def tells(self, transfer):
        wanted = set((self.options.tell or "").split(","))
        return "all" in wanted or any(wanted & set(side.outcomes) for side in transfer.sides.values())

    def play(self, number):
        try:
            self.lib.play(self.draw(number), self.folder, self.tally, not self.options.without_store, self.tells)
        except self.lib.Broken as why:
            with self.lock:
                self.failures.append(number)
            print(f"BROKEN {why}\n  again: {sys.argv[0]} --seed {self.options.seed} --only {number} --folder {self.options.folder}", flush=True)

    def worker(self, numbers):
        while len(self.failures) < self.options.failures and self.tally.blows < self.options.kills:
            with self.lock:
                number = next(numbers)
            self.play(number)

    def go(self):
        if self.options.only is not None:
            return self.play(self.options.only)
        numbers = iter(range(10 ** 9))
        with concurrent.futures.ThreadPoolExecutor(self.options.parallel) as pool:
            running = [pool.submit(self.worker, numbers) for _ in range(self.options.parallel)]
            began = time.monotonic()
            while not all(future.done() for future in running):
                concurrent.futures.wait(running, 30)
                print(f"{time.monotonic() - began:5.0f} s: {self.tally.blows} kills, {self.tally.transfers} transfers", flush=True)
        for future in running:
            future.result()


def main():
    options = parse_arguments()
    os.environ["ZFERRY_BIN"] = os.path.abspath(options.zferry)
    sys.path.insert(0, str(ROOT / "tests" / "e2e"))
    folder = Path(tempfile.mkdtemp(prefix="kill-anywhere-", dir=options.folder))
    where = subprocess.run(["findmnt", "-no", "FSTYPE,SOURCE", "-T", folder], capture_output=True, text=True, check=False).stdout.strip()
    campaign = Campaign(options, folder)
    print(f"files in {folder} ({where or 'unknown file system'}), seed {options.seed}", flush=True)
    began = time.monotonic()
    campaign.go()
    print(f"{campaign.tally.told()}\n{time.monotonic() - began:.0f} s")
    if campaign.failures:
        print(f"FAILED: {len(campaign.failures)} transfers; their folders stay in {folder}")
        return 1
    shutil.rmtree(folder, True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
