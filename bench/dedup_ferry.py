"""Transfers for bench/dedup.py: zferry with keys of its own at both ends, a store that stays from one transfer to the next, and what each
transfer put on the link. A source of bytes is a command line whose standard output is the stream; nothing large is kept.
"""
import functools
import hashlib
import json
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from compare_measure import Process
from compare_place import LOOPBACK

LISTEN_LIMIT_S = 60        # a store with a large window is read when it is opened
TIME_LIMIT_S = 3600
SESSION = "dedup-bench"
PRIVATE_FOLDER = 0o700


@dataclass
class Sent:
    """One transfer; bytes as the source's last object tells them."""

    what: str
    stream_bytes: int
    wire_bytes: int
    wall_s: float
    source_cpu_s: float
    target_cpu_s: float
    target_peak_bytes: int
    compared: bool            # that what came out is what went in, by SHA-256

    @property
    def wire_percent(self):
        return 100 * self.wire_bytes / self.stream_bytes

    @property
    def gb_per_s(self):
        return self.stream_bytes / self.wall_s / 1e9

    def raw(self):
        return {**asdict(self), "wire_percent": round(self.wire_percent, 4), "gb_per_s": round(self.gb_per_s, 4)}


@functools.lru_cache(maxsize=None)
def help_of(zferry, verb):
    return subprocess.run([zferry, verb, "--help"], capture_output=True, text=True, check=False).stdout


def deduplicates(zferry):
    return "--dedup-scope" in help_of(zferry, "recv")


def store_words(zferry, folder, capacity):
    if "--store-capacity" in help_of(zferry, "recv"):
        return ["--store", folder, "--store-capacity", str(capacity)]
    return ["--store", f"{folder}:{capacity}"]


@functools.lru_cache(maxsize=None)
def sha256_of(words):
    """Of what a source gives; made once for each."""
    digest = hashlib.sha256()
    with subprocess.Popen(words, stdout=subprocess.PIPE) as source:
        while piece := source.stdout.read(1 << 20):
            digest.update(piece)
    if source.returncode:
        raise RuntimeError(f"exit {source.returncode}: {' '.join(map(str, words))}")
    return digest.hexdigest()


def objects(path):
    """The JSON objects that a zferry has written to its standard error so far."""
    found = []
    for line in path.read_text(errors="replace").splitlines():
        try:
            found.append(json.loads(line))
        except ValueError:
            pass    # half a line, or a word of another program
    return found


def stopped(*processes):
    for process in processes:
        if process:
            process.stop(9)


class Ferry:
    """Both ends and one store below `folder`. Same keys and states in every transfer, so that the target meets the same principal again."""

    def __init__(self, options, folder):
        self.options, self.folder = options, Path(tempfile.mkdtemp(prefix="zferry-dedup-", dir=folder))
        self.folder.chmod(PRIVATE_FOLDER)
        self.store, self.count = self.folder / "store", 0
        for name in ("source", "target"):
            subprocess.run([options.zferry, "key", "gen", "--out", self.folder / f"{name}.key"], check=True, capture_output=True)
            with open(self.folder / f"{name}.key", "rb") as key:
                public = subprocess.run([options.zferry, "key", "pub"], stdin=key, check=True, capture_output=True, text=True).stdout.strip()
            (self.folder / f"{name}.pub").write_text(public + "\n")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        shutil.rmtree(self.folder, True)

    def drop_store(self):
        """The next transfer finds nothing."""
        shutil.rmtree(self.store, True)

    def store_bytes(self):
        return sum(path.stat().st_size for path in self.store.iterdir()) if self.store.exists() else 0

    def target(self, place, capacity):
        words = [self.options.zferry, "recv", "--listen", f"{place.address}:0", "--key", self.folder / "target.key",
                 "--allow", self.folder / "source.pub", "--state", self.folder / "target-state", "--json"]
        words += store_words(self.options.zferry, self.store, capacity) if capacity else []
        return place.target([*map(str, words), *self.options.recv_args])

    def source(self, place, port, session):
        words = [self.options.zferry, "send", f"{place.address}:{port}", "--key", self.folder / "source.key",
                 "--peer", (self.folder / "target.pub").read_text().strip(), "--state", self.folder / "source-state", "--json"]
        words += ["--session", session] if session else []
        return place.source([*map(str, words), *self.options.send_args])

    def port(self, said, target):
        limit = time.monotonic() + LISTEN_LIMIT_S
        while time.monotonic() < limit and target.code is None:
            for found in objects(said):
                if found.get("type") == "listening":
                    return found["port"]
            time.sleep(0.01)
        raise RuntimeError(f"zferry recv does not listen: {said.read_text(errors='replace').strip()[-400:]}")

    def send(self, what, words, session=None, capacity=None, place=LOOPBACK, consumer=None):
        """Carries what the command `words` writes. With a capacity the target has the store. Without a consumer what comes out is compared
        with what went in; with one it is the consumer's. Raises RuntimeError where an end fails or the bytes differ."""
        self.count += 1
        said = {end: self.folder / f"{end}-said-{self.count}" for end in ("source", "target", "feed", "sum")}
        feed = target = source = sink = None
        try:
            with open(said["sum"], "wb") as digest, open(said["target"], "wb") as target_said, open(said["source"], "wb") as source_said, \
                    open(said["feed"], "wb") as feed_said:
                sink_read, sink_write = os.pipe()
                sink = Process(consumer or ["sha256sum"], stdin=sink_read, stdout=digest)
                target = Process(self.target(place, capacity), stdin=subprocess.DEVNULL, stdout=sink_write, stderr=target_said)
                os.close(sink_read)
                os.close(sink_write)
                port = self.port(said["target"], target)
                feed_read, feed_write = os.pipe()
                started_at = time.monotonic()
                source = Process(self.source(place, port, session), stdin=feed_read, stdout=subprocess.DEVNULL, stderr=source_said)
                feed = Process(list(words), stdin=subprocess.DEVNULL, stdout=feed_write, stderr=feed_said)
                os.close(feed_read)
                os.close(feed_write)
                codes = [each.wait(TIME_LIMIT_S) for each in (feed, source, target, sink)]
        finally:
            stopped(feed, source, target, sink)
        ends = {end: next((o for o in reversed(objects(said[end])) if o.get("type") == "end"), {}) for end in ("source", "target")}
        if any(codes):
            raise RuntimeError(f"{what}: feed, source, target and sink exited {codes}: "
                               + "; ".join(f"{end}: {told.get('error', 'ok')}" for end, told in ends.items())
                               + f"; feed: {said['feed'].read_text(errors='replace').strip()[-200:] or 'silent'}")
        if consumer is None and said["sum"].read_text().split()[:1] != [sha256_of(tuple(words))]:
            raise RuntimeError(f"{what}: the bytes that came out are not those that went in")
        return Sent(what, ends["source"]["stream_bytes"], ends["source"]["wire_bytes"], max(source.ended_at, target.ended_at) - started_at,
                    source.cpu_s, target.cpu_s, target.maxrss_bytes, consumer is None)


class Maker:
    """Command lines of stream_maker for one kind of stream: the first version, and changed ones."""

    def __init__(self, options, stream_format, record_bytes=131072, size=None, seed=None):
        self.words = (str(options.stream_maker), "--format", stream_format, "--record-bytes", str(record_bytes), "--bytes",
                      str(size or options.bytes), "--seed", str(options.seed if seed is None else seed), "--entropy", str(options.entropy))

    def first(self):
        return self.words

    def changed(self, percent, block_bytes, number=1):
        return (*self.words, "--changed", str(percent), "--changed-block", str(block_bytes), "--change-seed", str(number))


def table(head, rows):
    """Markdown."""
    lines = ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    return "\n".join(lines + ["| " + " | ".join(map(str, row)) + " |" for row in rows])


class Report:
    """What was measured, and the bars that were held against it."""

    def __init__(self):
        self.raw, self.bars, self.notes = [], [], []

    def note(self, text):
        self.notes.append(text)
        print(f"dedup: {text}", flush=True)

    def bar(self, what, value, limit, at_least=False):
        """The verdict, in a word and the limit."""
        good = value >= limit if at_least else value <= limit
        self.bars.append({"what": what, "value": value, "limit": limit, "at_least": at_least, "ok": good})
        return f"{'ok' if good else '**FAIL**'} ({'>=' if at_least else '<='} {limit:g})"

    def show(self, head, rows):
        print("\n" + table(head, rows) + "\n")
        for each in self.raw:
            print("raw: " + json.dumps(each))
