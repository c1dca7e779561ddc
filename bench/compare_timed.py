"""One transfer of bench/compare: a peer carries a stream that does not end, for a bounded time, and what it took is read at the end of it.

The clock starts when the generator writes its first byte, right after the sending end was started: handshakes are in the figures.
The generator and the consumer run outside the control groups of the two ends, so that CPU and memory are the peers' own.
"""
import fcntl
import json
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

from compare_measure import Memory, Process, chain, wait_listening
from compare_peers import free_port
from compare_place import LOOPBACK
from compare_sink import RECORD_EVERY_NS, Arrivals

HERE = Path(__file__).resolve().parent
GIB = 1 << 30
STEADY_AFTER_S = 5        # "after the start": slow start, handshakes and first buffers are over
STEADY_LEAST_S = 2        # less than this after it says nothing
PIPE_BYTES = 1 << 20      # before the source: 5 GB/s go through; through the usual 64 KiB only 1.4, which would hold the fast peers back
VERIFY_LIMIT_S = 300
SAID_MOST = 200           # characters of what a source that failed had to say
IPERF_GRACE_S = 20        # for its handshake, and for its buffers to drain over a slow link
# The consumer leaves its end's groups before it becomes the consumer: what it costs is not the peer's.
LEAVE = 'for group in $1; do echo $$ >"$group/cgroup.procs"; done; shift; exec "$@"'


class Generator:
    """compare_source.py, which waits until it is told to begin."""

    def __init__(self, words, folder):
        self.started = Path(folder) / "started"
        self.output, write_end = os.pipe()
        fcntl.fcntl(write_end, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        command = [sys.executable, "-IS", HERE / "compare_source.py", *words, "--started", self.started]
        self.process = Process(command, stdin=subprocess.PIPE, stdout=write_end, stderr=subprocess.PIPE)
        os.close(write_end)
        if self.process.popen.stderr.readline() != b"ready\n":
            raise RuntimeError("the generator does not start")

    def begin(self):
        """Begins; who reads has its end of the pipe by now, so that the generator sees when it goes."""
        os.close(self.output)
        self.process.popen.stdin.close()

    def began_ns(self):
        return int(self.started.read_text())

    def stop(self):
        self.process.stop(9)
        self.process.popen.stderr.close()


class Transfer:
    """A peer at work at both ends of a place, with a generator before it and `consumer` behind it."""

    def __init__(self, peer_class, options, place, words, name):
        self.options, self.place, self.words = options, place, words
        self.holder = tempfile.TemporaryDirectory(prefix="zferry-compare-")
        self.folder = Path(self.holder.name)
        os.chmod(self.folder, 0o700)
        self.peer = peer_class(options, self.folder, place)
        self.groups = {end: Memory(f"{name}-{end}") for end in ("source", "target", "apart")}
        self.senders, self.generator = [], None

    def start(self, consumer, output):
        consumer = ["sh", "-c", LEAVE, "sh", " ".join(map(str, self.groups["apart"].folders)), *map(str, consumer)]
        self.peer.start_receiver(self.groups["target"], consumer, output)
        self.generator = Generator(self.words, self.folder)
        *first, last = self.peer.senders()   # of a pipeline only the last has the network; the others need no namespace
        with open(self.folder / "said", "wb") as said:
            self.senders = chain([*first, self.place.source(last)], self.groups["source"], stdin=self.generator.output,
                                 stdout=subprocess.DEVNULL, stderr=said)
        self.generator.begin()

    def dead(self):
        """What ended with an error, in words, or nothing."""
        ends = [("source", each) for each in self.senders] + [("target", each) for each in self.peer.ends]
        for end, each in ends:
            if each.code:
                lines = (self.folder / "said").read_text(errors="replace").split("\n") if end == "source" else []
                said = next((f": {line.strip()}" for line in lines if line.strip()), "")
                return f"the {end} exited {each.code}{said[:SAID_MOST]}"
        return None

    def close(self):
        """Ends everything; the peaks of memory."""
        for group in self.groups.values():
            group.kill()
        for each in self.senders:
            each.stop(9)
        if self.generator:
            self.generator.stop()
        self.peer.cleanup()
        peaks = {end: group.close() for end, group in self.groups.items()}
        self.holder.cleanup()
        return peaks


def figures(arrivals, began_ns, until_ns, cpu_s):
    """What a run gave until `until_ns`; bytes a second, milliseconds, seconds a GiB. Raises RuntimeError where nothing came at all."""
    took_s = (until_ns - began_ns) / 1e9
    count = arrivals.at(until_ns)
    steady_ns = began_ns + STEADY_AFTER_S * 10**9
    steady_s = (until_ns - steady_ns) / 1e9
    row = {"seconds": took_s, "bytes": count, "goodput": count / took_s, "steady_goodput": None,
           "first_byte_ms": (arrivals.first_ns - began_ns) / 1e6 if arrivals.first_ns else None}
    if steady_s >= STEADY_LEAST_S:
        row["steady_goodput"] = (count - arrivals.at(steady_ns)) / steady_s
    for end, spent in cpu_s.items():
        row[f"{end}_cpu_s_per_gib"] = spent * GIB / count if spent is not None and count else None
    return row


def run_timed(peer_class, options, place, stream, name):
    """One run of at most options.seconds; its figures. Raises RuntimeError where an end fails."""
    transfer = Transfer(peer_class, options, place, stream.words(), name)
    records, row, failure = transfer.folder / "records", None, None
    try:
        transfer.start([sys.executable, "-IS", HERE / "compare_sink.py", records], subprocess.DEVNULL)
        cut_s = time.monotonic() + options.seconds + 0.05   # of which the first is the generator's way to its first byte
        while time.monotonic() < cut_s and not failure:
            time.sleep(min(0.05, max(0.001, cut_s - time.monotonic())))
            failure = transfer.dead()
        cpu_s = {end: transfer.groups[end].cpu_s() for end in ("source", "target")}
        stats = place.stats()
        time.sleep(1.5 * RECORD_EVERY_NS / 1e9)             # so that a record stands behind the end too
        began_ns = transfer.generator.began_ns()
        arrivals = Arrivals(records.read_bytes() if records.exists() else b"")
        row = figures(arrivals, began_ns, began_ns + round(options.seconds * 1e9), cpu_s)
        row["link"] = stats
    finally:
        peaks = transfer.close()
    if failure:
        raise RuntimeError(failure)
    return {**row, **{f"{end}_peak_bytes": peaks[end] for end in ("source", "target")}}


def verify(peer_class, options, stream):
    """A short whole transfer over loopback: the bytes that come out are those that went in, else RuntimeError."""
    count = stream.verified_bytes
    transfer = Transfer(peer_class, options, LOOPBACK, stream.words(count), "verify")
    with tempfile.NamedTemporaryFile(prefix="zferry-sha256-") as output:
        try:
            transfer.start(["sha256sum"], output)
            codes = [each.wait(VERIFY_LIMIT_S) for each in transfer.senders]
            target_ok = not any(codes) and transfer.peer.finish(VERIFY_LIMIT_S)[1]
            failure = transfer.dead()
        finally:
            transfer.close()
        came_out = Path(output.name).read_text().split()
    if any(codes) or not target_ok:
        raise RuntimeError(failure or "an end failed")
    if came_out[:1] != [stream.sha256(count)]:
        raise RuntimeError("the bytes that came out are not those that went in")


def iperf(options, place, parallel, name):
    """One run of iperf3 with so many connections: the same figures, as far as it has them. Its consumer is iperf3 itself."""
    groups = {end: Memory(f"{name}-{end}") for end in ("source", "target")}
    port, server = free_port(), None
    try:
        server = Process(place.target(["iperf3", "-s", "-1", "-p", str(port)]), groups["target"], stdin=subprocess.DEVNULL,
                         stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        wait_listening(port, server)
        client = Process(place.source(["iperf3", "-c", place.address, "-p", str(port), "-t", str(round(options.seconds)),
                                       "-P", str(parallel), "-J", "--get-server-output"]),
                         groups["source"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        box = []
        reader = threading.Thread(target=lambda: box.append(client.popen.stdout.read()), daemon=True)
        reader.start()
        try:
            client.wait(options.seconds + IPERF_GRACE_S)
        except TimeoutError:
            raise RuntimeError(f"iperf3 -P {parallel} does not come to its end") from None
        reader.join(5)
        cpu_s, stats = {end: group.cpu_s() for end, group in groups.items()}, place.stats()
    finally:
        for group in groups.values():
            group.kill()
        if server:
            server.stop(9)
        peaks = {end: group.close() for end, group in groups.items()}
    row = iperf_figures(json.loads(box[0]), cpu_s)
    return {**row, "link": stats, "parallel": parallel, **{f"{end}_peak_bytes": peaks[end] for end in groups}}


def iperf_figures(said, cpu_s):
    """From iperf3's JSON; what the server received counts. Raises RuntimeError with its own words where it failed."""
    if "error" in said or "end" not in said:
        raise RuntimeError(f"iperf3: {said.get('error', 'no result')}")
    total = said["end"]["sum_received"]
    row = {"seconds": total["seconds"], "bytes": total["bytes"], "goodput": total["bits_per_second"] / 8, "first_byte_ms": None,
           "steady_goodput": None}
    intervals = said.get("server_output_json", {}).get("intervals", [])
    late = [each["sum"]["bits_per_second"] / 8 for each in intervals if each["sum"]["start"] >= STEADY_AFTER_S - 0.01
            and each["sum"]["seconds"] > 0.5]
    if len(late) >= STEADY_LEAST_S:
        row["steady_goodput"] = statistics.mean(late)
    for end, spent in cpu_s.items():
        row[f"{end}_cpu_s_per_gib"] = spent * GIB / total["bytes"] if spent is not None and total["bytes"] else None
    return row
