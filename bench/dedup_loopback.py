"""dedup.py loopback: how fast a stream of duplicates goes, and what looking for duplicates costs where there are none.

The stream lies in a file in memory and comes through a pipe (compare_source.py), so that making it costs nothing while the clock runs. Where
there are none, every transfer has a fresh store, in memory too, and those with and without it take turns.
"""
import contextlib
import subprocess
import sys
import tempfile
from pathlib import Path

from compare_cells import Link
from compare_place import LOOPBACK, opened
from dedup_ferry import SESSION, Ferry, Maker

HERE = Path(__file__).resolve().parent
DUPLICATES_BAR, UNIQUE_BAR, LINK_BAR = 0.8, 0.6, 0.97
SINK = ["sh", "-c", "exec cat > /dev/null"]


def feed_words(stream, started):
    if not started:
        return ["cat", str(stream)]
    return [sys.executable, "-IS", str(HERE / "compare_source.py"), "--body", str(stream), "--bytes", str(stream.stat().st_size),
            "--started", str(started)]


class Rounds:
    """Transfers of one stream, each checked once before the clock counts."""

    def __init__(self, options, report, ferry, place):
        self.options, self.report, self.ferry, self.place = options, report, ferry, place
        self.stream = ferry.folder / "stream"
        self.capacity = options.bytes * 3 + (1 << 30)
        self.session = SESSION if options.format == "plain" else None
        with open(self.stream, "wb") as out:
            subprocess.run(Maker(options, options.format, options.record_bytes).first(), stdout=out, check=True)

    def send(self, what, store, clock=True):
        words = feed_words(self.stream, self.ferry.folder / "started" if clock else None)
        sent = self.ferry.send(what, words, self.session, self.capacity if store else None, self.place, SINK if clock else None)
        if clock:
            self.report.raw.append(sent.raw())
        return sent

    def duplicates(self):
        self.ferry.drop_store()
        self.send("seed", True, clock=False)
        sent = [self.send(f"duplicates, round {n + 1}", True) for n in range(self.options.rounds)]
        return min(sent, key=lambda each: each.wall_s)

    def unique(self):
        """(best without, best with)"""
        found = {False: [], True: []}
        for number in range(self.options.rounds):
            for store in (False, True) if number % 2 == 0 else (True, False):
                self.ferry.drop_store()
                found[store].append(self.send(f"unique, {'with' if store else 'without'} store, round {number + 1}", store))
        self.ferry.drop_store()
        return tuple(min(found[store], key=lambda each: each.wall_s) for store in (False, True))


def row(what, sent, verdict=""):
    cpu = f"{sent.source_cpu_s:.2f} + {sent.target_cpu_s:.2f}"
    return [what, f"{sent.gb_per_s:.3f}", f"{sent.wall_s:.2f}", f"{sent.wire_percent:.3f}", cpu, verdict]


@contextlib.contextmanager
def chosen_place(options):
    if not options.rate:
        yield LOOPBACK
        return
    rate = {"M": "mbit", "G": "gbit"}.get(options.rate[-1])
    link = Link("rate", "", None, {"rate": options.rate[:-1] + rate if rate else options.rate, "rtt": options.rtt})
    with opened(link, options.congestion, options.seed) as place:
        yield place


def run(options, report):
    rows = []
    with tempfile.TemporaryDirectory(prefix="zferry-dedup-", dir=options.folder) as folder, chosen_place(options) as place, \
            Ferry(options, folder) as ferry:
        rounds = Rounds(options, report, ferry, place)
        if "unique" in options.parts:
            without, with_store = rounds.unique()
            ratio = without.wall_s / with_store.wall_s
            bar = LINK_BAR if options.rate else UNIQUE_BAR
            verdict = f"{ratio:.3f}x {report.bar('unique: with : without a store', ratio, bar, True)}"
            rows += [row("nothing to deduplicate, no store", without), row("nothing to deduplicate, store", with_store, verdict)]
        if "duplicates" in options.parts and not options.rate:
            best = rounds.duplicates()
            rows.append(row("duplicates only", best, report.bar("duplicates, GB/s", best.gb_per_s, DUPLICATES_BAR, True)))
    report.note(f"best of {options.rounds} rounds; {options.format}, records of {options.record_bytes >> 10} KiB, entropy {options.entropy:g}"
                + (f"; link of {options.rate}, {options.rtt}" if options.rate else "; loopback"))
    report.show(["what", "GB/s", "s", "wire, % of stream", "CPU s, source + target", "bar"], rows)
