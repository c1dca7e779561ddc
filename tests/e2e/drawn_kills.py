"""What kills are drawn from: streams, moments, victims, consumers (killed_transfer.py plays them)."""
import dataclasses
import random
import subprocess
import time
from pathlib import Path

import harness  # noqa: F401  where the modules below are found
from fake_pool import FakePool
from streams import kept_files

import make_stream

MIB = 1 << 20
SIDES = ("target", "source")
VICTIMS = (("target",), ("source",), ("consumer",), ("target", "source"), ("target", "consumer"), ("source", "consumer"),
           ("target", "source", "consumer"))
CONSUMERS = ("out", "file", "zfs -s", "dataset", "zfs")     # dataset: --dataset alone; zfs: without -s
ZFS = ("zfs -s", "dataset", "zfs")
DATASET = "p/x"
STORE_CAPACITY = "512M"
PEER_TIMEOUT, LINGER, LINGER_S = "2s", "3s", 3
FINISH_S = 240                       # after the last blow; more hangs, however busy the disk is
COMMIT_BYTES, COMMIT_S = 64 * MIB, 1.0     # the bar: what was not durable yet
SLACK_S = 0.5                        # a commit takes time itself
FRAMES_SHARE, HELLOS_BYTES = 0.01, 256 * 1024


def bar_name(who):
    return "+".join(who)


class Stream:
    """A stream in a file, and what a fake `zfs receive` in one go makes of it."""

    def __init__(self, path):
        self.path, self.bytes = path, path.stat().st_size
        pool = FakePool(path.parent / f"{path.name}-in-one-go")
        result = pool.receive(path, "-s", "-u", DATASET)
        if result.returncode:
            raise RuntimeError(result.stderr)
        self.snapshot = pool.zfs("list", "-H", "-t", "snapshot", "-o", "name", DATASET).stdout.strip()
        self.dump = pool.dump(self.snapshot)


def made_stream(folder, size, seed):
    path = folder / f"made-{size >> 20}M-{seed}"
    with open(path, "wb") as out:
        make_stream.write_zfs(out, seed, size, random.Random(seed).choice((16384, 131072, 131072)))
    return Stream(path)


def real_streams(folder):
    """Full ones of the shared collection, where it is there."""
    for name, packed in kept_files():
        if (name := Path(name).name.partition(".")[0]) in ("full-plain", "full-Lce", "full-raw-w", "zvol-16k"):
            path = folder / name
            subprocess.run(["zstd", "-q", "-d", packed, "-o", path], check=True)
            yield Stream(path)


@dataclasses.dataclass
class Blow:
    who: tuple
    after_s: float = None            # since the last start of an end, or
    at_bytes: int = None             # that have crossed in all, or
    finishing: bool = False          # once the target waits for its consumer to end, and after_s more
    revive_s: float = 0              # until the dead are started again

    def told(self):
        when = f"at {self.at_bytes} bytes" if self.at_bytes is not None else f"{self.after_s:.3f} s after {'the end' if self.finishing else 'a start'}"
        return f"{bar_name(self.who)} {when}"


@dataclasses.dataclass
class Draw:
    """Everything that a seed says of a transfer."""

    seed: str
    consumer: str
    listener: str
    lanes: int
    stream: Stream
    limit: int                       # bytes a second
    compress: str
    producer: bool
    group_ms: int
    consumer_rate: int               # bytes a second, 0: as they come
    blows: list

    def told(self):
        return (f"{self.stream.path.name}, {self.stream.bytes >> 20} MiB at {self.limit >> 20} MiB/s to {self.consumer}, {self.listener} listens, {self.lanes} lanes, "
                f"compress {self.compress}, groups of {self.group_ms} ms, consumer's rate {self.consumer_rate >> 20} MiB/s: "
                + "; ".join(blow.told() for blow in self.blows))


def draw_blow(rng, draw_s, size, consumer, kinds):
    who = rng.choice([kind for kind in kinds if consumer != "out" or "consumer" not in kind])
    blow = Blow(who, revive_s=rng.choice((0, 0, rng.uniform(0, 0.4))))
    kind = rng.random()
    if kind < 0.45:
        blow.after_s = rng.uniform(0, draw_s + 0.5)
    elif kind < 0.85:
        blow.at_bytes = rng.randrange(size)
    else:
        blow.finishing, blow.after_s = True, rng.uniform(0, 0.06)
    return blow


def draw(seed, streams, long_streams, kinds=VICTIMS, consumers=CONSUMERS, long_share=0.08):
    rng = random.Random(seed)
    is_long = rng.random() < long_share and long_streams
    stream = rng.choice(long_streams if is_long else streams)
    seconds = rng.uniform(5, 12) if is_long else rng.uniform(0.3, 2)
    consumer = rng.choice(consumers)
    slow = rng.random() < 0.3
    blows = [draw_blow(rng, seconds, stream.bytes, consumer, kinds) for _ in range(rng.choice((1, 1, 2, 2, 3)))]
    blows.sort(key=lambda blow: (blow.finishing, blow.at_bytes or 0))
    return Draw(seed, consumer, rng.choice(("target", "target", "source")), rng.choice((1, 1, 2, 4)), stream, int(stream.bytes / seconds),
                rng.choice(("off",) * 5 + ("auto",)), rng.random() < 0.2, rng.choice((30, 100, 400, 5000)),
                int(stream.bytes / seconds / 1.5) if slow else 0, blows)
