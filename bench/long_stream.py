#!/usr/bin/env python3
"""Sends a stream that is many times longer than the target's store, with a stand-in for `zfs receive -s` (tests/e2e/fake_zfs.py) as the consumer,
and checks that the store never holds more than its capacity and that what arrived is what one receive in one go makes of it. Without tokens
the same must be refused before anything crosses, with the capacity that it takes.
    bench/long_stream.py --gib 16 --capacity 1G --kills 3 --folder /var/tmp
The stream is made as it is sent (tools/lib/make_stream.py): it takes no disk. The stand-in verifies no checksums, zferry does.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
GIB, DATASET, SEED = 1 << 30, "p/x", 16
sys.path[:0] = [str(ROOT / "tests" / "e2e"), str(ROOT / "tools" / "lib")]
UNITS = {"M": 1 << 20, "G": GIB}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--gib", type=float, default=16)
    parser.add_argument("--capacity", default="1G")
    parser.add_argument("--kills", type=int, default=0, help="of the target, evenly over the stream")
    parser.add_argument("--folder", type=Path, default=Path(tempfile.gettempdir()), help="where the store is: a real disk")
    parser.add_argument("--zferry", default=str(ROOT / "build" / "release" / "cli" / "zferry"))
    parser.add_argument("--produce", type=int, help=argparse.SUPPRESS)
    return parser.parse_args()


class End:
    """One zferry, what it says read as it comes."""

    def __init__(self, arguments, environment):
        self.process = subprocess.Popen(list(map(str, arguments)), env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                        stderr=subprocess.PIPE, text=True)
        self.end, self.bytes, self.other = None, 0, []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            try:
                said = json.loads(line)
            except ValueError:
                self.other.append(line.rstrip())
                continue
            self.bytes = said.get("stream_bytes", self.bytes)
            if said.get("type") == "end":
                self.end = said
            elif said.get("type") in ("warning", "info"):
                self.other.append(said.get("text", line.rstrip()))

    def wait(self):
        self.process.wait()
        self.reader.join(5)
        return self.process.returncode


class Watch:
    """The most that the store's files were long, all together."""

    def __init__(self, folder):
        self.folder, self.most, self.over = folder, 0, False
        self.thread = threading.Thread(target=self._look, daemon=True)
        self.thread.start()

    def _look(self):
        while not self.over:
            used = 0
            for path in self.folder.glob("*"):
                try:
                    used += path.stat().st_size
                except FileNotFoundError:
                    pass
            self.most = max(self.most, used)
            time.sleep(0.1)

    def close(self):
        self.over = True
        self.thread.join()
        return self.most


class Run:
    def __init__(self, options, room, size):
        from fake_pool import FakePool
        from killed_transfer import free_port
        self.options, self.room, self.size = options, room, size
        self.pool = FakePool(room, check=0)
        self.port = free_port()
        subprocess.run([options.zferry, "key", "secret", "--out", room / "secret"], check=True, capture_output=True)

    def common(self, side):
        return ["--secret", self.room / "secret", "--state", self.room / side, "--json"]

    def target(self, *receive):
        store = f"{self.room / 'store'}:{self.options.capacity}"
        return End([self.options.zferry, "recv", "--listen", f"127.0.0.1:{self.port}", *self.common("target"), "--store", store, "--", "zfs",
                    "receive", *receive, "-u", DATASET], self.pool.environment)

    def source(self):
        return End([self.options.zferry, "send", f"127.0.0.1:{self.port}", *self.common("source"), "--compress", "off", "--size", self.size, "--",
                    sys.executable, __file__, "--produce", self.size], os.environ)

    def with_tokens(self):
        watch = Watch(self.room / "store")
        began = time.monotonic()
        target = self.target("-s")
        time.sleep(0.5)
        source = self.source()
        for number in range(self.options.kills):
            while source.bytes < self.size * (number + 1) // (self.options.kills + 1) and source.process.poll() is None:
                time.sleep(0.05)
            target.process.send_signal(signal.SIGKILL)
            target.wait()
            target = self.target("-s")
        codes = source.wait(), target.wait()
        took, most = time.monotonic() - began, watch.close()
        whole = self.pool.dump(f"{DATASET}@one") == self.in_one_go()
        print(f"{self.size / GIB:.2f} GiB through a store of {self.options.capacity}, target killed {self.options.kills} times: exit codes {codes}, "
              f"{took:.0f} s; the store's files were at most {most / (1 << 20):.0f} MiB; sent again "
              f"{source.end and source.end['resume']['sent_again_bytes']} bytes; received is {'equal' if whole else 'NOT EQUAL'}", flush=True)
        capacity = int(self.options.capacity[:-1]) * UNITS[self.options.capacity[-1]]
        if codes != (0, 0) or not whole or most > capacity:
            print("\n".join([*source.other[-5:], *target.other[-5:], str(source.end), str(target.end)]))
            return False
        return True

    def in_one_go(self):
        import make_stream
        from fake_pool import FakePool
        pool = FakePool(self.room / "whole", check=0)
        receive = pool.start("-s", "-u", DATASET)
        make_stream.write_zfs(receive.stdin, SEED, self.size)
        receive.stdin.close()
        if receive.wait() != 0:
            raise RuntimeError(receive.stderr.read().decode())
        return pool.dump(f"{DATASET}@one")

    def without_tokens(self):
        target = self.target()
        time.sleep(0.5)
        source = self.source()
        codes = source.wait(), target.wait()
        said = target.end or {}
        print(f"without tokens: exit codes {codes}, {source.end and source.end['wire_bytes']} bytes crossed; {said.get('error')}; next: {said.get('next')}",
              flush=True)
        return codes == (44, 44) and "bytes" in (said.get("next") or "")


def main():
    options = parse_arguments()
    if options.produce:
        import make_stream
        make_stream.write_zfs(sys.stdout.buffer, SEED, options.produce)
        return 0
    os.environ["ZFERRY_BIN"] = options.zferry = os.path.abspath(options.zferry)
    room = Path(tempfile.mkdtemp(prefix="long-stream-", dir=options.folder))
    size = int(options.gib * GIB)
    good = Run(options, room, size).with_tokens()
    refused = room / "refused"
    refused.mkdir()
    good = Run(options, refused, size).without_tokens() and good
    if good:
        shutil.rmtree(room, True)
    else:
        print(f"FAILED: the files are in {room}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
