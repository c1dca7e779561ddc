"""dedup.py reseed: a stream into a fresh store, a changed version of it, and that once more; wire bytes in percent of the stream."""
from dataclasses import dataclass

from dedup_ferry import SESSION, Ferry, Maker


@dataclass(frozen=True)
class Kind:
    name: str
    title: str
    format: str
    record_bytes: int
    block_bytes: int          # of a change
    changed_bar: float        # percent of the stream
    again_bar: float = 0.1


KINDS = (
    Kind("zfs", "ZFS stream, records of 128 KiB", "zfs", 131072, 131072, 2.2),
    Kind("plain", "the same as plain bytes", "plain", 131072, 131072, 4.4),
    Kind("zvol", "zvol, records of 16 KiB", "zvol", 16384, 16384, 4.0),
)
BY_NAME = {kind.name: kind for kind in KINDS}


def carry(ferry, options, kind, report):
    maker, session = Maker(options, kind.format, kind.record_bytes), SESSION if kind.format == "plain" else None
    changed = maker.changed(options.changed, kind.block_bytes)
    steps = (("seed", maker.first(), None), (f"{options.changed:g} % of {kind.block_bytes >> 10} KiB blocks changed", changed, kind.changed_bar),
             ("the same again", changed, kind.again_bar))
    for what, words, bar in steps:
        sent = ferry.send(f"{kind.name}: {what}", words, session, options.bytes * 3 + (1 << 30))
        verdict = report.bar(sent.what, sent.wire_percent, bar) if bar else ""
        report.raw.append({**sent.raw(), "store_bytes": ferry.store_bytes()})
        yield [kind.title, what, f"{sent.stream_bytes / 1e6:.1f}", f"{sent.wire_bytes / 1e6:.2f}", f"{sent.wire_percent:.3f}", verdict,
               f"{sent.wall_s:.1f}"]


def run(options, report):
    rows = []
    for kind in [BY_NAME[name] for name in options.kinds.split(",")]:
        with Ferry(options, options.folder) as ferry:
            rows += carry(ferry, options, kind, report)
    report.show(["stream", "sent", "stream MB", "wire MB", "wire, % of stream", "bar", "s"], rows)
