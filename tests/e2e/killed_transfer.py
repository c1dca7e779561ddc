"""One transfer over real files whose target, source and consumer are killed at drawn moments and started again with the same commands, until
both ends say that it is complete; and what must hold then. bench/kill_anywhere.py plays a thousand of them, test_store.py a few.

A Gate stands between the ends: its port stays while they come and go, and it counts what crosses.
"""
import collections
import filecmp
import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path

from fake_pool import FakePool
from harness import BIN, FAULTS, HERE, IO, RETRYABLE, End
from mangler import Gate
from drawn_kills import (COMMIT_BYTES, COMMIT_S, DATASET, FINISH_S, FRAMES_SHARE, HELLOS_BYTES, LINGER, LINGER_S, MIB, PEER_TIMEOUT, SIDES, SLACK_S,
    STORE_CAPACITY, ZFS, bar_name, draw)


class Ended(End):
    """An End with an environment of its own."""

    def __init__(self, arguments, environment, stdin):  # pylint: disable=super-init-not-called
        self.arguments = [BIN, *map(str, arguments)]
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(self.arguments, env=environment, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        self.lines, self.objects, self.code, self.stopped = [], [], None, False
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()


class Side:
    """One end of the transfer, through all its lives."""

    def __init__(self, name, command, environment, stdin=None):
        self.name, self.command, self.environment, self.stdin = name, command, environment, stdin
        self.end, self.killed, self.restart_at, self.told_lives = None, False, 0, []
        self.outcomes = []
        self.ended_at = self.killed_at = 0

    def start(self, listens):
        stdin = open(self.stdin, "rb") if self.stdin else subprocess.DEVNULL
        try:
            self.end, self.killed, self.reaped = Ended(self.command, self.environment, stdin), False, False
        finally:
            if self.stdin:
                stdin.close()
        if listens:
            self.end.await_object(lambda o: o.get("type") == "listening", 15)

    @property
    def alive(self):
        return self.end is not None and self.end.process.poll() is None

    @property
    def ok(self):
        return self.end is not None and not self.alive and self.end.process.returncode == 0

    def reap(self):
        """Once for each life that is over: how it ended."""
        self.reaped, self.ended_at = True, time.monotonic()
        self.end.wait(5)
        self.end.close()
        outcome = "killed" if self.killed else self.end.outcome or f"exit {self.end.code}"
        self.killed_at = self.ended_at if self.killed else self.killed_at
        self.outcomes.append(outcome)
        self.told_lives.append(f"{self.name} {outcome}: " + "\n    ".join(self.end.lines[-8:]))
        return outcome

    def close(self):
        if self.end:
            self.end.close()


PORTS = iter(range(12000, 32000))     # below those that the kernel gives to who dials


def free_port():
    """A port that stays free while nobody has it."""
    while True:
        try:
            with socket.create_server(("127.0.0.1", next(PORTS))) as probe:
                return probe.getsockname()[1]
        except OSError:
            pass


class Broken(AssertionError):
    """Something that must hold does not."""


class KilledTransfer:
    """Plays one draw in `room`, which must be empty; raises Broken."""

    def __init__(self, drawn, room, tally, store=True):
        self.draw, self.room, self.tally = drawn, room, tally
        self.gate = Gate()
        self.blows, self.struck = list(drawn.blows), []
        self.pool = FakePool(room, group_ms=drawn.group_ms, rate=drawn.consumer_rate)
        self.port = free_port()
        self.sides = self.make_sides(store)
        self.listener, self.dialler = (self.sides[name] for name in sorted(SIDES, key=lambda name: name != drawn.listener))
        self.target_ended = 0            # lives of targets that ended early: what was not durable crosses again

    # The commands, the same in each life.

    def make_sides(self, store):
        d, room = self.draw, self.room
        subprocess.run([BIN, "key", "secret", "--out", room / "secret"], check=True, capture_output=True)
        address = {side: ["--listen", f"127.0.0.1:{self.port}"] if side == d.listener else
                   [f"127.0.0.1:{self.gate.start(self.port, side)}"] for side in SIDES}

        def common(side):
            return [*address[side], "--secret", room / "secret", "--state", room / f"{side}-state", "--io", IO, "--json", "--lanes", d.lanes,
                    "--peer-timeout", PEER_TIMEOUT]

        send = ["send", *common("source"), "--compress", d.compress, "--limit", str(d.limit)]
        send += ["--", "cat", d.stream.path] if d.producer else []
        receive = ["recv", *common("target"), "--linger", LINGER]
        receive += ["--store", f"{room / 'store'}:{STORE_CAPACITY}"] if store else []
        receive += {"out": ["--out", room / "copy"],
                    "file": ["--", sys.executable, "-SE", HERE / "keeper.py", room / "copy"],
                    "zfs -s": ["--", "zfs", "receive", "-s", "-u", DATASET],
                    "dataset": ["--dataset", DATASET],
                    "zfs": ["--", "zfs", "receive", "-u", DATASET]}[d.consumer]
        return {"source": Side("source", send, None, None if d.producer else d.stream.path),
                "target": Side("target", receive, self.pool.environment)}

    def consumer_process(self):
        """The process id of the consumer, where one runs."""
        if self.draw.consumer in ZFS:
            return self.pool.receiver(DATASET)
        try:
            number = int((self.room / "copy.pid").read_text())
            return number if b"keeper.py" in Path(f"/proc/{number}/cmdline").read_bytes() else None
        except (OSError, ValueError):
            return None

    # Blows.

    def due(self, blow):
        if not all(side.alive for side in self.sides.values()):
            return False
        if "consumer" in blow.who and not self.consumer_process():
            return False
        now = time.monotonic()
        if blow.at_bytes is not None:
            return self.gate.carried["source"] >= blow.at_bytes
        since = max(side.end.started_at for side in self.sides.values())
        if blow.finishing:
            if not hasattr(blow, "seen_at"):
                if self.sides["target"].end.stage != "finishing":
                    return False
                blow.seen_at = now
            since = blow.seen_at
        return now >= since + blow.after_s

    def strike(self, blow):
        victims = []
        if "consumer" in blow.who:
            if not (consumer := self.consumer_process()):
                return False
            victims.append(consumer)
        for name in SIDES:
            if name in blow.who:
                side = self.sides[name]
                victims.append(side.end.process.pid)
                side.killed, side.restart_at = True, time.monotonic() + blow.revive_s
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                pass
        for name in SIDES:
            if name in blow.who:
                self.sides[name].end.process.wait()
                # It had ended by itself before: then it was not killed.
                self.sides[name].killed = self.sides[name].end.process.returncode == -signal.SIGKILL
        self.struck.append(blow)
        self.struck_at = time.monotonic()
        return True

    # Lives.

    def tend(self):
        """Reaps and starts again; true once both ends have succeeded."""
        now = time.monotonic()
        for side in self.sides.values():
            if not side.alive and not side.reaped:
                self.reaped(side, side.reap())
        if all(side.ok and side.reaped for side in self.sides.values()):
            return True
        source, target = self.sides["source"], self.sides["target"]
        if target.ok and source.alive and now - target.ended_at > LINGER_S + 1:
            if self.knew():
                return True
            self.again(target, "for a source that did not hear of its success")
        # The source waits up to 3 s for the target to hang up.
        if source.ok and target.killed and target.killed_at > source.ended_at - 4:
            self.tally.count("complete: the target was killed when the source knew")
            return True
        # A busy disk may take its time to write down that the source knows.
        if source.ok and target.alive and now - max(source.ended_at, target.end.started_at) > LINGER_S + 12 and target.end.stage != "finishing":
            self.again(source, "for a target that did not know of its success")
        for side in (self.listener, self.dialler):
            if side.alive or side.ok or now < side.restart_at:
                continue
            if side is self.dialler and not self.listener.alive:
                if not self.listener.ok:
                    continue
                if self.knew():
                    return True
                self.again(self.listener, "for the other's sake")
            elif side is source and self.knew():
                return True
            self.again(side)
        return False

    def knew(self):
        """Whether the source was killed between forgetting that the outcome is open and its exit: then a run of it would be another transfer."""
        knew = self.sides["target"].ok and self.sides["source"].killed and not list((self.room / "source-state").glob("unknown-*"))
        if knew:
            self.tally.count("complete: the source was killed when it knew, on its way out")
        return knew

    def again(self, side, why=None):
        self.tally.count("started again" + (f" {why}" if why else ""))
        side.start(side is self.listener)

    def reaped(self, side, outcome):
        if side.name == "target" and not side.end.ok:
            self.target_ended += 1
        if outcome == "killed":
            return
        self.tally.count(f"{side.name}: {outcome}")
        if side.end.ok:
            if not self.is_complete():
                raise Broken(f"the {side.name} says {outcome}, and the output is not complete")
            return
        if outcome not in FAULTS or FAULTS[outcome] != side.end.code:
            raise Broken(f"the {side.name} ended with {side.end.code}, {outcome}")
        if not self.struck:
            raise Broken(f"the {side.name} failed ({outcome}) before anything happened to it")
        # Who was met in the middle of a handshake and died looks like one who refuses; a consumer that was killed, like one that fails.
        excused = (side is self.dialler and outcome == "not-allowed") or (outcome == "consumer-failed" and self.consumer_was_hurt())
        if not RETRYABLE[outcome] and not excused:
            raise Broken(f"the {side.name} says that {outcome} is for ever")
        side.restart_at = time.monotonic() + 0.1

    def consumer_was_hurt(self):
        return any("consumer" in blow.who or "target" in blow.who for blow in self.struck)

    # What must hold.

    def is_complete(self):
        d = self.draw
        if d.consumer in ZFS:
            dump = self.pool.dump(d.stream.snapshot)
            self.compared = len(dump or b"")
            return dump == d.stream.dump
        copy = self.room / "copy"
        self.compared = d.stream.bytes
        return copy.exists() and filecmp.cmp(copy, d.stream.path, shallow=False)

    def crossed_again(self):
        return max(0, int(self.gate.carried["source"] - self.draw.stream.bytes * (1 + FRAMES_SHARE) - HELLOS_BYTES))

    def allowance(self):
        """(what may cross again by the bar, what should)"""
        d = self.draw
        flight = max(8, 4 * d.lanes) * MIB
        undurable = min(self.target_ended, len(self.struck) + 1)
        bar = sum(COMMIT_BYTES + COMMIT_S * d.limit for _ in range(undurable)) + flight * len(self.struck)
        return int(bar), int(undurable * (COMMIT_S + SLACK_S) * d.limit + flight * len(self.struck))

    def play(self):
        self.listener.start(True)
        self.dialler.start(False)
        self.struck_at = time.monotonic()
        while not self.tend():
            if self.blows and self.due(self.blows[0]):
                self.strike(self.blows.pop(0))
            if time.monotonic() > self.struck_at + FINISH_S:
                raise Broken("hangs")
            time.sleep(0.002)
        if not self.is_complete():
            raise Broken("both ends are content, and the output is not complete")
        again, (bar, expected) = self.crossed_again(), self.allowance()
        if self.draw.compress == "off" and again > bar:
            raise Broken(f"{again} bytes crossed again, more than {bar}")
        self.tally.completed(self, again, expected)

    def told(self):
        lives = [life for side in self.sides.values() for life in side.told_lives]
        running = [f"{side.name} runs: " + "\n    ".join(side.end.lines[-4:]) for side in self.sides.values() if side.alive]
        return "\n  ".join([f"seed {self.draw.seed}: {self.draw.told()}", f"commands: {self.commands()}", self.gate.told(),
                            "struck: " + "; ".join(blow.told() for blow in self.struck), *lives, *running])

    def commands(self):
        return " | ".join(" ".join(map(str, side.command)) for side in self.sides.values())

    def close(self):
        for side in self.sides.values():
            side.close()
        self.gate.close()
        if process := self.consumer_process():
            try:
                os.kill(process, signal.SIGKILL)
            except ProcessLookupError:
                pass


class Tally:
    """Counts over many transfers; thread-safe."""

    def __init__(self):
        self.lock = threading.Lock()
        self.counts, self.kills, self.by_consumer = collections.Counter(), collections.Counter(), collections.Counter()
        self.transfers = self.compared = self.stream_bytes = self.beyond_expected = 0
        self.worst, self.worst_seed, self.skipped = 0, None, 0
        self.worst_by_victims = collections.Counter()

    def count(self, what):
        with self.lock:
            self.counts[what] += 1

    @property
    def blows(self):
        return sum(self.kills.values())

    def completed(self, transfer, again, expected):
        with self.lock:
            self.transfers += 1
            self.compared += transfer.compared
            self.stream_bytes += transfer.draw.stream.bytes
            self.by_consumer[transfer.draw.consumer] += 1
            for blow in transfer.struck:
                self.kills[bar_name(blow.who)] += 1
            end = transfer.sides["source"].end.end
            self.skipped += end["resume"]["skipped_bytes"] if end and "resume" in end else 0
            if transfer.draw.compress != "off" or not transfer.struck:
                return
            self.beyond_expected += again > expected
            if again > self.worst:
                self.worst, self.worst_seed = again, transfer.draw.seed
            if len(transfer.struck) == 1:
                name = bar_name(transfer.struck[0].who)
                self.worst_by_victims[name] = max(self.worst_by_victims[name], again)

    def told(self):
        lines = [f"{self.transfers} transfers of {self.stream_bytes >> 20} MiB completed, {self.blows} kills:"]
        lines += [f"  {count:5} {name}" for name, count in sorted(self.kills.items(), key=lambda each: -each[1])]
        lines += ["by consumer: " + ", ".join(f"{name} {count}" for name, count in sorted(self.by_consumer.items()))]
        lines += [f"compared: {self.transfers} outputs, {self.compared} bytes of them, all equal"]
        lines += [f"crossed again: at most {self.worst / 1e6:.1f} MB in one transfer (seed {self.worst_seed}), more than one second of stream and "
                  f"what was in flight in {self.beyond_expected}; after one kill at most: "
                  + ", ".join(f"{name} {count / 1e6:.1f} MB" for name, count in sorted(self.worst_by_victims.items()))]
        lines += [f"skipped since the target had it: {self.skipped >> 20} MiB"]
        lines += [f"  {count:5} {name}" for name, count in sorted(self.counts.items())]
        return "\n".join(lines)


def play(drawn, folder, tally, store=True, tell=lambda transfer: False):
    """One draw in a room of its own, which stays where it failed; raises Broken with everything there is to tell. What went well is told
    where `tell` says so."""
    room = folder / f"room-{drawn.seed}".replace(":", "-")
    shutil.rmtree(room, True)
    room.mkdir(parents=True)
    transfer = KilledTransfer(drawn, room, tally, store)
    try:
        transfer.play()
        if tell(transfer):
            print(f"{transfer.told()}\n  crossed again: {transfer.crossed_again()}", flush=True)
    except Exception as why:
        raise Broken(f"{type(why).__name__}: {why}\n  {transfer.told()}\n  folder: {room}") from why
    finally:
        transfer.close()
    shutil.rmtree(room, True)


def has_store():
    told = subprocess.run([BIN, "recv", "--help"], capture_output=True, text=True, check=False).stdout
    return "--store " in told
