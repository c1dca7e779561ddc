"""dedup.py wan: a re-seed over a link of tools/wanlab, by zferry into a store that has the first version, and by zstd | ssh, in one run."""
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from compare_cells import Link
from compare_measure import chain
from compare_pipes import SshZstd
from compare_place import opened
from compare_sink import Arrivals
from dedup_ferry import PRIVATE_FOLDER, Ferry, Maker

HERE = Path(__file__).resolve().parent
PEER_LIMIT_S = 7200
RATIO_BAR = 15


def sink_words(records):
    return [sys.executable, "-IS", str(HERE / "compare_sink.py"), str(records)]


def scaled_s(arrivals, began_ns, took_s, part, whole):
    """How long the whole takes by what a part took: its first half as it was, the rest at the rate of the second half, in which the
    connection is up to speed."""
    ended_ns = arrivals.ended_ns
    half_ns = began_ns + (ended_ns - began_ns) // 2
    came = arrivals.at(ended_ns) - arrivals.at(half_ns)
    if came <= 0:
        raise RuntimeError("too little was carried to tell a rate from: more --peer-bytes are wanted")
    return took_s + (whole - part) * (ended_ns - half_ns) / 1e9 / came


def by_ssh(options, place, words):
    """Seconds that it took, what came when, and the moment of the start."""
    with tempfile.TemporaryDirectory(prefix="zferry-dedup-") as name:
        folder = Path(name)
        folder.chmod(PRIVATE_FOLDER)
        peer, made = SshZstd(options, folder, place), []
        try:
            peer.start_receiver(None, sink_words(folder / "records"), subprocess.DEVNULL)
            *first, last = peer.senders()
            began_ns = time.monotonic_ns()
            made = chain([list(words), *first, place.source(last)], None, subprocess.DEVNULL, subprocess.DEVNULL)
            codes = [each.wait(PEER_LIMIT_S) for each in made]
            took_s = made[-1].ended_at - began_ns / 1e9
            peer.finish(PEER_LIMIT_S)
            arrivals = Arrivals((folder / "records").read_bytes())
        finally:
            for each in made:
                each.stop(9)
            peer.cleanup()
    if any(codes) or arrivals.ended_ns is None:
        raise RuntimeError(f"ssh+zstd: {codes}, the stream did not come to its end")
    return took_s, arrivals, began_ns


def run(options, report):
    maker, link = Maker(options, "zfs"), Link("wan", "", None, {"rate": options.rate, "rtt": options.rtt})
    words = maker.changed(options.changed, 131072)
    rows = []
    report.note(f"{options.rate}, {options.rtt}, {options.congestion}; entropy {options.entropy:g}: "
                + ("nothing for zstd to gain" if options.entropy >= 1 else "zstd gains something"))
    with Ferry(options, options.folder) as ferry:
        seed = ferry.send("seed, over loopback", maker.first(), None, options.bytes * 3 + (1 << 30))
        report.raw.append(seed.raw())
        with opened(link, options.congestion, options.seed, options.rmem, options.wmem) as place:
            sent = ferry.send("re-seed", words, None, options.bytes * 3 + (1 << 30), place, sink_words(ferry.folder / "records"))
        arrived = Arrivals((ferry.folder / "records").read_bytes())
    if arrived.ended_ns is None or arrived.rows[-1][1] != sent.stream_bytes:
        raise RuntimeError("zferry: not all of the stream came out")
    report.raw.append(sent.raw())
    rows.append(["zferry, 2nd version into the store", f"{sent.stream_bytes / 1e6:.0f}", f"{sent.wire_bytes / 1e6:.1f}", f"{sent.wall_s:.1f}", ""])
    why = SshZstd.missing(options)
    if why:
        report.note(f"without ssh+zstd: {why}")
    else:
        part = Maker(options, "zfs", size=options.peer_bytes).changed(options.changed, 131072) if options.peer_bytes else words
        with opened(link, options.congestion, options.seed, options.rmem, options.wmem) as place:
            took_s, arrivals, began_ns = by_ssh(options, place, part)
            stats = place.stats()
        came = arrivals.rows[-1][1]
        peer_s = scaled_s(arrivals, began_ns, took_s, came, sent.stream_bytes) if options.peer_bytes else took_s
        if options.peer_bytes:
            report.note(f"ssh+zstd carried {came / 1e6:.0f} MB in {took_s:.1f} s; its time for all is SCALED from that, at the rate of its second half")
        report.raw.append({"what": "ssh+zstd", "bytes": came, "took_s": took_s, "scaled_s": peer_s, "link": stats})
        ratio = peer_s / sent.wall_s
        rows.append(["zstd -T0 -3 \\| ssh" + (" (scaled)" if options.peer_bytes else ""), f"{sent.stream_bytes / 1e6:.0f}", "",
                     f"{peer_s:.1f}", f"{ratio:.1f}x {report.bar('ssh+zstd : zferry', ratio, RATIO_BAR, True)}"])
    report.show(["by", "stream MB", "wire MB", "s", "ratio"], rows)
