"""Where the two ends of a transfer run, and the address under which the target is met: this host's loopback, or a lab of tools/wanlab.

A place turns the command line of an end into the one that runs it there. It never starts anything by itself.
"""
import contextlib
import sys
from pathlib import Path

WANLAB = Path(__file__).resolve().parent.parent / "tools" / "wanlab"


class Loopback:
    """Both ends in the namespace that we are in."""

    address = "127.0.0.1"

    def source(self, words):
        return list(words)

    def target(self, words):
        return list(words)

    def stats(self):
        """What the link itself counted; nothing here."""
        return None


class LabPlace:
    """The source at side a, the target at side b of a lab that runs."""

    def __init__(self, lab):
        self.lab, self.address = lab, lab.address("b")

    def source(self, words):
        return self.lab.inside("a", words)

    def target(self, words):
        return self.lab.inside("b", words)

    def stats(self):
        """For each direction: what passed, what was dropped and why, and how far the link itself is to be trusted (overruns: not at all)."""
        said = self.lab.stats()
        return {way: {"packets": one["delivered"]["packets"], "bytes": one["delivered"]["bytes"], "overruns": one["overruns"],
                      "dropped": {why: n["packets"] for why, n in one["dropped"].items() if n["packets"]},
                      "queue_bytes_peak": one["queue_bytes_peak"], "late_us_mean": one["late_us_mean"], "late_us_max": one["late_us_max"]}
                for way, one in said.items() if way in ("a-to-b", "b-to-a")}


LOOPBACK = Loopback()


@contextlib.contextmanager
def opened(link, congestion, seed, rmem=None, wmem=None):
    """A fresh place for one transfer over `link` (compare_cells.Link). A lab's losses are drawn from the seed, packet by packet from the
    first one, so each peer that gets a fresh lab of one seed meets the same link. Raises lab.Unavailable, lab.Trouble."""
    if not link.options:
        yield LOOPBACK
        return
    if str(WANLAB) not in sys.path:
        sys.path.insert(0, str(WANLAB))
    from lab import Lab
    with Lab.up(seed=seed, congestion=congestion, rmem=rmem, wmem=wmem, **link.options) as lab:
        yield LabPlace(lab)
