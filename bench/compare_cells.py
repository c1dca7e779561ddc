"""The matrix of bench/compare: streams, links, congestion controls; which cells are in the chosen set, and how long cells take."""
from dataclasses import dataclass, field

CONGESTIONS = ("cubic", "bbr")
HOST = "host"               # loopback's: what this host is set to
RUN_OVERHEAD_S = 1.0        # a lab, keys, an sshd, and taking it all away
IPERF = "iperf3"


@dataclass(frozen=True)
class Link:
    """`options` are those of tools/wanlab/lab.py; none: loopback. `rate` is in bits a second, None where there is no limit."""

    name: str
    title: str
    rate: float | None = None
    options: dict = field(default_factory=dict)


LINKS = (
    Link("loopback", "loopback"),
    Link("100mbit-80ms", "100 Mbit/s, 80 ms", 100e6, {"rate": "100mbit", "rtt": "80ms"}),
    Link("1gbit-20ms", "1 Gbit/s, 20 ms", 1e9, {"rate": "1gbit", "rtt": "20ms"}),
    Link("1gbit-80ms", "1 Gbit/s, 80 ms", 1e9, {"rate": "1gbit", "rtt": "80ms"}),
    Link("1gbit-100ms-loss0.1", "1 Gbit/s, 100 ms, 0.1 % loss", 1e9, {"rate": "1gbit", "rtt": "100ms", "loss": "0.1%"}),
    Link("1gbit-100ms-loss1", "1 Gbit/s, 100 ms, 1 % loss", 1e9, {"rate": "1gbit", "rtt": "100ms", "loss": "1%"}),
)
BY_NAME = {link.name: link for link in LINKS}
STREAMS = ("random", "text", "vm", "compressed", "real")


@dataclass(frozen=True)
class Cell:
    stream: str
    link: Link
    congestion: str

    @property
    def name(self):
        return f"{self.stream}/{self.link.name}/{self.congestion}"


def every():
    """The full matrix, incompressible first."""
    return [Cell(stream, link, congestion) for stream in STREAMS for link in LINKS
            for congestion in (CONGESTIONS if link.options else (HOST,))]


def in_chosen_set(cell):
    """Incompressible over everything; every stream over every link with CUBIC, what most hosts have; and with BBR where a stream that
    compresses meets a long or lossy way."""
    if cell.stream == "random" or cell.congestion != "bbr":
        return True
    if cell.link.name == "1gbit-100ms-loss0.1":
        return cell.stream in ("text", "vm", "real")
    return cell.link.name == "1gbit-80ms" and cell.stream in ("text", "vm")


def selected(full=False, only=()):
    """The cells to run; each word of `only` is a part of the names that are wanted."""
    return [cell for cell in every() if (full or in_chosen_set(cell) or only) and
            (not only or any(word in cell.name for word in only))]


def runs_a_round(cell, peers, parallels):
    """How many transfers one round of a cell has: iperf3 carries no stream, so it runs once for each link."""
    return len([name for name in peers if name != IPERF]) + (len(parallels) if IPERF in peers and cell.stream == "random" else 0)


def estimate_s(cells, peers, parallels, rounds, seconds):
    """How long these cells take, without streams that must be made and compared first."""
    return sum(runs_a_round(cell, peers, parallels) for cell in cells) * rounds * (seconds + RUN_OVERHEAD_S)
