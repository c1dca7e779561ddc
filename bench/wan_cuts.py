#!/usr/bin/env python3
"""One transfer over a WAN that is cut again and again: what each cut costs, in bytes and in time, and whether anything was noticed.

All lanes are cut at once, silently or with resets, for 1 to 20 s. Per cut: the bytes that were sent again (the source's own count),
and the time from the moment at which packets pass again to the first new byte at the consumer. The bars: 1 bandwidth-delay product and
4 MiB a lane; 3 round trips and 2 s. Byte-identical, one producer, one consumer, exit 0 at both ends.
    bench/wan_cuts.py --lanes 4 --size 2G --cuts 20 --out result.json
Needs root (tools/wanlab, docs/WANLAB.md). `wan_cuts.py produce` and `consume` are its own children.
"""
import argparse
import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tools" / "wanlab"))

PORT = 9443
PIECE_BYTES = 1 << 20
RECORD = struct.Struct("<QQ")      # CLOCK_MONOTONIC in ns, bytes so far
RECORD_EVERY_NS = 5_000_000
AGAIN_BYTES_A_LANE = 4 << 20
RECOVERY_S = 2.0
RECOVERY_RTTS = 3
CUT_S = (1.0, 20.0)
FLOWS_AGAIN_S = 120                # a cut that is not got over in this time never is


def parse_size(text):
    units = {"K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
    return int(float(text[:-1]) * units[text[-1].upper()]) if text[-1].upper() in units else int(text)


def begin_child(folder, name):
    with open(f"{folder}/{name}.starts", "a", encoding="ascii") as starts:
        starts.write(f"{os.getpid()}\n")


def produce(folder, size, seed):
    """`size` bytes that do not compress, to stdout."""
    begin_child(folder, "producer")
    rng, digest, left = random.Random(seed), hashlib.sha256(), size
    while left:
        piece = memoryview(rng.randbytes(min(left, PIECE_BYTES)))
        digest.update(piece)
        left -= len(piece)
        while piece:
            piece = piece[os.write(1, piece):]
    Path(folder, "producer.sha256").write_text(digest.hexdigest())


def consume(folder):
    """Reads stdin to its end and writes down when what came."""
    begin_child(folder, "consumer")
    digest, total, written_at = hashlib.sha256(), 0, 0
    with open(f"{folder}/arrivals", "wb", buffering=0) as arrivals:
        while piece := os.read(0, PIECE_BYTES):
            now = time.monotonic_ns()
            total += len(piece)
            if now - written_at >= RECORD_EVERY_NS:
                arrivals.write(RECORD.pack(now, total))
                written_at = now
            digest.update(piece)
    Path(folder, "consumer.sha256").write_text(digest.hexdigest())


class Arrivals:
    """What the consumer wrote down."""

    def __init__(self, folder):
        self.path = folder / "arrivals"

    def read(self):
        data = self.path.read_bytes() if self.path.exists() else b""
        return [RECORD.unpack_from(data, at) for at in range(0, len(data) - RECORD.size + 1, RECORD.size)]

    def total(self):
        if not self.path.exists():
            return 0
        with open(self.path, "rb") as file:
            whole = file.seek(0, os.SEEK_END) // RECORD.size
            if not whole:
                return 0
            file.seek((whole - 1) * RECORD.size)
            return RECORD.unpack(file.read(RECORD.size))[1]


class End:
    """One zferry, and what it says."""

    def __init__(self, process):
        self.process, self.objects, self.lines = process, [], []
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            self.lines.append(line.decode(errors="replace").rstrip())
            try:
                self.objects.append((time.monotonic_ns(), json.loads(line)))
            except ValueError:
                pass

    def sent_again(self):
        found = [o["resume"]["sent_again_bytes"] for _, o in self.objects if "resume" in o]
        return found[-1] if found else 0

    def end(self):
        self.reader.join(5)
        return self.objects[-1][1] if self.objects else {}


class Run:
    """One transfer with its cuts."""

    def __init__(self, options, lab, folder):
        self.options, self.lab, self.folder = options, lab, folder
        self.arrivals = Arrivals(folder)
        self.cuts = []

    def start(self):
        o, lab, me = self.options, self.lab, [sys.executable, Path(__file__).resolve()]
        subprocess.run([o.zferry, "key", "secret", "--out", self.folder / "secret"], check=True, capture_output=True)
        common = ["--secret", self.folder / "secret", "--lanes", o.lanes, "--json", *o.zferry_args.split()]
        address = {"source": lab.address("a"), "target": lab.address("b")}[o.listener]
        place = {end: ["--listen", f":{PORT}"] if end == o.listener else [f"{address}:{PORT}"] for end in ("source", "target")}
        source = ["send", *place["source"], *common, "--state", self.folder / "state-a", "--session", "wan-cuts", "--compress", "off",
                  "--", *me, "produce", self.folder, o.size, o.seed]
        target = ["recv", *place["target"], *common, "--state", self.folder / "state-b", "--", *me, "consume", self.folder]
        ends = {}
        for name, side, words in sorted((("source", "a", source), ("target", "b", target)), key=lambda each: each[0] != o.listener):
            ends[name] = End(lab.popen(side, [o.zferry, *words], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                       stderr=subprocess.PIPE))
            time.sleep(0.5)
        self.source, self.target = ends["source"], ends["target"]

    def await_bytes(self, count):
        limit, seen = time.monotonic() + FLOWS_AGAIN_S, 0
        while (total := self.arrivals.total()) < count:
            if total > seen:
                limit, seen = time.monotonic() + FLOWS_AGAIN_S, total
            if self.source.process.poll() is not None or self.target.process.poll() is not None:
                raise RuntimeError("an end is over:\n" + "\n".join(self.source.lines[-4:] + self.target.lines[-4:]))
            if time.monotonic() > limit:
                raise RuntimeError("nothing flows any more:\n" + "\n".join(self.source.lines[-4:] + self.target.lines[-4:]))
            time.sleep(0.005)

    def cut_once(self, number, kind, seconds):
        again = self.source.sent_again()
        began = time.monotonic_ns()
        before = self.arrivals.total()
        self.lab.cut(rst=kind == "rst")
        time.sleep(seconds)
        self.lab.heal()
        healed = self.lab.stats()["last_heal"]["healed_ns"]
        limit = time.monotonic() + FLOWS_AGAIN_S
        at_heal = max((total for at, total in self.arrivals.read() if at <= healed), default=0)
        while self.arrivals.total() <= at_heal and time.monotonic() < limit:
            time.sleep(0.01)
        first = next((at for at, total in self.arrivals.read() if at > healed and total > at_heal), None)
        time.sleep(1.2)                      # the source's progress lines come twice a second
        self.cuts.append({"cut": number, "kind": kind, "seconds": seconds, "at_bytes": before, "began_ns": began, "healed_ns": healed,
                          "recovery_s": (first - healed) / 1e9 if first else None, "again_bytes": self.source.sent_again() - again})
        shown = self.cuts[-1]
        recovery = f"{shown['recovery_s']:6.2f} s" if first else "   never"
        print(f"{number:4} {kind:>7} {seconds:6.1f} s {before / 1e6:9.1f} MB {recovery} {shown['again_bytes'] / 1e6:8.2f} MB", flush=True)

    def go(self):
        o, rng = self.options, random.Random(self.options.seed)
        kinds = ["silent", "rst"] * ((o.cuts + 1) // 2)
        rng.shuffle(kinds)
        print(" cut    kind   length        after  recovery sent again", flush=True)
        started = time.monotonic()
        for number in range(o.cuts):
            self.await_bytes(int(o.size * (number + 0.5 + rng.uniform(-0.2, 0.2)) / (o.cuts + 0.3)))
            self.cut_once(number + 1, kinds[number], round(rng.uniform(*CUT_S), 1))
        for end in (self.source, self.target):
            end.process.wait(o.size * 8 / 1e6 + 300)
        self.elapsed_s = time.monotonic() - started

    def verdict(self):
        """Everything that is asked for, by name: whether it is so."""
        o = self.options
        bits = float(o.rate_mbit) * 1e6
        again_max = bits * o.rtt_ms / 8000 + AGAIN_BYTES_A_LANE * o.lanes
        recovery_max = RECOVERY_RTTS * o.rtt_ms / 1000 + RECOVERY_S

        def read(name):
            path = self.folder / name
            return path.read_text().split() if path.exists() else []

        recoveries = [cut["recovery_s"] for cut in self.cuts]
        self.summary = {
            "lanes": o.lanes, "cuts": len(self.cuts), "again_bytes_max": max(cut["again_bytes"] for cut in self.cuts),
            "again_bytes_bar": again_max, "recovery_s_max": max(recoveries) if None not in recoveries else None,
            "recovery_s_median": sorted(r for r in recoveries if r is not None)[len(recoveries) // 2] if None not in recoveries else None,
            "recovery_s_bar": recovery_max, "elapsed_s": self.elapsed_s,
            "cut_s": sum(cut["seconds"] for cut in self.cuts), "carried_without_cuts_s": o.size * 8 / bits,
            "source": self.source.end(), "target": self.target.end()}
        return {
            "both ends exit 0": (self.source.process.returncode, self.target.process.returncode) == (0, 0),
            "byte-identical": read("producer.sha256") == read("consumer.sha256") != [],
            "one producer, one consumer": (len(read("producer.starts")), len(read("consumer.starts"))) == (1, 1),
            f"recovery within {recovery_max:.2f} s": all(r is not None and r <= recovery_max for r in recoveries),
            f"sent again within {again_max / 1e6:.1f} MB a cut": all(cut["again_bytes"] <= again_max for cut in self.cuts)}


def parse_arguments():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--lanes", type=int, default=1)
    parser.add_argument("--size", type=parse_size, default=2 << 30)
    parser.add_argument("--cuts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate-mbit", type=float, default=200)
    parser.add_argument("--rtt-ms", type=float, default=40)
    parser.add_argument("--listener", choices=("target", "source"), default="target")
    parser.add_argument("--zferry", default=str(ROOT / "build" / "release" / "cli" / "zferry"))
    parser.add_argument("--zferry-args", default="", help="for both ends, one string")
    parser.add_argument("--out", help="write everything as JSON")
    options = parser.parse_args()
    options.zferry = os.path.abspath(options.zferry)
    return options


def main():
    if sys.argv[1:2] == ["produce"]:
        return produce(sys.argv[2], int(sys.argv[3]), int(sys.argv[4]))
    if sys.argv[1:2] == ["consume"]:
        return consume(sys.argv[2])
    from lab import Lab, Unavailable
    options = parse_arguments()
    try:
        lab = Lab.up(rate=f"{options.rate_mbit:g}mbit", rtt=f"{options.rtt_ms:g}ms", seed=options.seed)
    except Unavailable as why:
        print(f"wan_cuts: {why}", file=sys.stderr)
        return 77
    with lab, tempfile.TemporaryDirectory(prefix="wan-cuts-") as folder:
        run = Run(options, lab, Path(folder))
        run.start()
        run.go()
        verdict = run.verdict()
        wan = lab.stats()
    for name, good in verdict.items():
        print(f"{'ok  ' if good else 'FAIL'} {name}")
    known = run.summary
    print(f"{known['elapsed_s']:.0f} s, of them {known['cut_s']:.0f} s cut; {known['carried_without_cuts_s']:.0f} s at the full rate. "
          f"Source: {known['source'].get('resume')}")
    if options.out:
        Path(options.out).write_text(json.dumps({"options": vars(options), "summary": known, "verdict": verdict, "cuts": run.cuts, "wan": wan},
                                                indent=1))
    return 0 if all(verdict.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
