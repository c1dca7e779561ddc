"""Runs the real zferry at both ends and tells what happened: exit codes, the last JSON object, the bytes that came out.

ZFERRY_BIN names the binary, ZFERRY_IO the back end (auto, uring, poll). Every test has a folder of its own; every transfer has a
room in it, with a state folder for each end, so that transfers may run side by side.
"""
import concurrent.futures
import dataclasses
import itertools
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
import unittest
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT / "tools" / "lib"))

BIN = os.environ.get("ZFERRY_BIN", str(ROOT / "build" / "release" / "cli" / "zferry"))
IO = os.environ.get("ZFERRY_IO", "auto")
SHARED = Path(os.environ.get("ZFERRY_SHARED", ROOT.parent / "shared"))
FINISH_S = 60            # a transfer of these tests that takes longer hangs
PEER_TIMEOUT = "2s"
LINGER = "3s"
PARALLEL = 8            # they mostly wait
SKIPPED = 77             # ctest's SKIP_RETURN_CODE
SUCCESSES = {"applied", "delivered", "already-received"}


def read_faults():
    """Name -> exit code, from the one table that holds them."""
    rows = re.findall(r'FaultFacts\{Fault::k\w+,\s*"([\w-]+)",\s*(\d+),\s*(true|false)', (ROOT / "engine/base/fault.cc").read_text())
    return {name: int(code) for name, code, _ in rows}, {name: word == "true" for name, _, word in rows}


FAULTS, RETRYABLE = read_faults()


def read_schema():
    """What checks each JSON line against its documentation, where this Python can."""
    try:
        import jsonschema
    except ImportError:
        return None
    return jsonschema.Draft202012Validator(json.loads((ROOT / "docs/json-lines.schema.json").read_text()))


VALIDATOR = read_schema()


class End:
    """One running zferry, source or target."""

    def __init__(self, arguments, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, program=BIN):
        """`program` is zferry, or what runs it with these arguments elsewhere."""
        self.arguments = [program, *map(str, arguments)]
        self.started_at = time.monotonic()
        self.process = subprocess.Popen(self.arguments, stdin=stdin, stdout=stdout, stderr=subprocess.PIPE)
        self.lines, self.objects, self.code, self.stopped = [], [], None, False
        self.news = threading.Condition()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for raw in self.process.stderr:
            line = raw.decode(errors="replace").rstrip("\n")
            with self.news:
                self.lines.append(line)
                try:
                    self.objects.append(json.loads(line))
                except ValueError:
                    self.objects.append(None)
                self.news.notify_all()
        with self.news:
            self.reader = None
            self.news.notify_all()

    def await_object(self, wanted, timeout_s=10):
        """The first JSON object for which `wanted` is true; nothing where the process ends before."""
        limit = time.monotonic() + timeout_s
        with self.news:
            while True:
                for found in self.objects:
                    if isinstance(found, dict) and wanted(found):
                        return found
                if self.reader is None or time.monotonic() > limit:
                    return None
                self.news.wait(0.2)

    @property
    def port(self):
        found = self.await_object(lambda o: o.get("type") == "listening")
        return found and found["port"]

    def wait(self, timeout_s=FINISH_S):
        """The exit code; nothing where it still runs after the time."""
        try:
            self.code = self.process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return None
        with self.news:
            self.news.wait_for(lambda: self.reader is None, 5)
        return self.code

    def signal(self, number):
        self.process.send_signal(number)

    def stop(self):
        """Ends it as a user would; for targets that wait for a peer that will not come."""
        self.stopped = True
        self.signal(signal.SIGTERM)
        return self.wait(10)

    def close(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        if reader := self.reader:
            reader.join(2)  # a child of its may have stderr open still: then it stays with the thread
        if self.reader is None:
            self.process.stderr.close()

    @property
    def end(self):
        """The last line on stderr, which is the end object, or nothing."""
        last = self.objects[-1] if self.objects else None
        return last if isinstance(last, dict) and last.get("type") == "end" else None

    @property
    def progress(self):
        """The last progress object, or an empty one."""
        return next((o for o in reversed(self.objects) if isinstance(o, dict) and o.get("type") == "progress"), {})

    @property
    def stage(self):
        return self.progress.get("stage")

    @property
    def resume(self):
        return self.end["resume"]

    @property
    def outcome(self):
        return self.end["outcome"] if self.end else None

    @property
    def ok(self):
        return self.code == 0

    def told(self):
        return f"{' '.join(self.arguments[1:3])} ... exit {self.code}:\n    " + "\n    ".join(self.lines[-6:])


@dataclasses.dataclass
class Pair:
    """Both ends of one transfer, after it."""

    source: End
    target: End
    room: Path
    mangler: object = None

    def told(self):
        frames = f"\n  {self.mangler.told()}" if self.mangler else ""
        return f"\n  source: {self.source.told()}\n  target: {self.target.told()}{frames}"

    @property
    def outcomes(self):
        return self.source.outcome, self.target.outcome


class FerryCase(unittest.TestCase):
    """A test case with a folder, keys, and what starts and checks transfers."""

    peer_timeout = PEER_TIMEOUT

    @classmethod
    def setUpClass(cls):
        if not os.access(BIN, os.X_OK):
            raise unittest.SkipTest(f"there is no {BIN}")
        cls.folder = Path(tempfile.mkdtemp(prefix="zferry-e2e-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.rooms = itertools.count()
        cls.public = {}
        for name in ("source", "target", "stranger"):
            subprocess.run([BIN, "key", "gen", "--out", cls.folder / f"{name}.key"], check=True, capture_output=True)
            with open(cls.folder / f"{name}.key", "rb") as key:
                cls.public[name] = subprocess.run([BIN, "key", "pub"], stdin=key, check=True, capture_output=True,
                                                  text=True).stdout.strip()
            (cls.folder / f"allow-{name}").write_text(cls.public[name] + "\n")
        subprocess.run([BIN, "key", "secret", "--out", cls.folder / "secret"], check=True, capture_output=True)
        cls.require_io()

    @classmethod
    def require_io(cls):
        """Skips the class where this machine refuses the back end that it should run on."""
        if IO == "auto":
            return
        end = End(["recv", "--listen", "127.0.0.1:0", "--secret", cls.folder / "secret", "--state", cls.folder / "probe",
                   "--io", IO, "--json"])
        try:
            if end.port is None:
                raise unittest.SkipTest(f"--io {IO} is refused here: {end.lines[-1:]}")
        finally:
            end.close()

    def room(self):
        room = self.folder / f"room{next(self.rooms)}"
        room.mkdir()
        return room

    def auth(self, kind, listener="target"):
        """The arguments of source and target. Who dials names its peer, who listens has a list."""
        if kind == "secret":
            return ["--secret", self.folder / "secret"], ["--secret", self.folder / "secret"]
        known = {end: ["--allow", self.folder / f"allow-{other}"] if end == listener else ["--peer", self.public[other]]
                 for end, other in (("source", "target"), ("target", "source"))}
        return tuple(["--key", self.folder / f"{end}.key", *known[end]] for end in ("source", "target"))

    def common(self, room, end):
        return ["--state", room / f"{end}-state", "--io", IO, "--json", "--peer-timeout", self.peer_timeout]

    def start(self, arguments, **streams):
        end = End(arguments, **streams)
        self.addCleanup(end.close)
        return end

    def start_target(self, room, address, auth, consumer=None, out=None, stdout=subprocess.DEVNULL, extra=()):
        arguments = ["recv", *address, *auth, *self.common(room, "target"), "--linger", LINGER, *extra]
        arguments += ["--out", out] if out else []
        arguments += ["--", *consumer] if consumer else []
        return self.start(arguments, stdout=stdout)

    def start_source(self, room, address, auth, stream=None, producer=None, extra=()):
        arguments = ["send", *address, *auth, *self.common(room, "source"), *extra]
        if producer:
            return self.start([*arguments, "--", *producer])
        with open(stream or os.devnull, "rb") as stdin:
            return self.start(arguments, stdin=stdin)

    def ferry(self, stream=None, producer=None, consumer=None, out=None, stdout=subprocess.DEVNULL, auth="key", listener="target",
              mangler=None, room=None, source_extra=(), target_extra=(), allow=None, patient=True, finish=True):
        """One transfer. `mangler` is put between the ends. Not `patient`: a lost link ends the session at once, on both ends. With
        `finish` both ends are waited for."""
        if not patient:
            source_extra, target_extra = [*source_extra, "--give-up-after", "0"], [*target_extra, "--hold", "0"]
        room = room or self.room()
        source_auth, target_auth = self.auth(auth, listener)
        if allow:
            target_auth[target_auth.index("--allow") + 1] = allow
        listen = ["--listen", "127.0.0.1:0"]

        def dial(port):
            if mangler:
                self.addCleanup(mangler.close)
                return [f"127.0.0.1:{mangler.start(port, 'source' if listener == 'target' else 'target')}"]
            return [f"127.0.0.1:{port}"]

        def target_at(address):
            return self.start_target(room, address, target_auth, consumer, out, stdout, target_extra)

        def source_at(address):
            return self.start_source(room, address, source_auth, stream, producer, source_extra)

        first = target_at(listen) if listener == "target" else source_at(listen)
        if first.port is None:
            raise AssertionError(f"does not listen: {first.told()}")
        second = source_at(dial(first.port)) if listener == "target" else target_at(dial(first.port))
        source, target = (second, first) if listener == "target" else (first, second)
        pair = Pair(source, target, room, mangler)
        if finish:
            self.finish(pair, listener)
        return pair

    def finish(self, pair, listener="target"):
        """Waits for both ends. An end that still listens since nobody ever opened a session is told to go: a listening target lets
        visitors come and go."""
        dialler, waiter = (pair.source, pair.target) if listener == "target" else (pair.target, pair.source)
        if dialler.wait() is None:
            raise AssertionError(f"hangs after {FINISH_S} s: {pair.told()}")
        unproven = pair.mangler is not None and not pair.mangler.proven
        limit = time.monotonic() + FINISH_S
        while waiter.wait(1) is None:
            if unproven or (listener == "target" and waiter.stage == "waiting"):
                waiter.stop()
                return
            if time.monotonic() > limit:
                raise AssertionError(f"hangs after {FINISH_S} s: {pair.told()}")

    def check_end(self, end, told):
        """What holds for each end always: a last JSON object, which says what the exit code says."""
        self.assertIsNotNone(end.end, f"the last line on stderr is no end object{told}")
        if VALIDATOR:
            wrong = [str(error) for found in end.objects if isinstance(found, dict) for error in VALIDATOR.iter_errors(found)]
            self.assertEqual(wrong, [], told)
        self.assertEqual(end.end["exit_code"], end.code, told)
        self.assertEqual(end.end["ok"], end.code == 0, told)
        if end.ok:
            self.assertIn(end.outcome, SUCCESSES, told)
        else:
            self.assertIn(end.outcome, FAULTS, told)
            self.assertEqual(FAULTS[end.outcome], end.code, told)
            self.assertEqual(RETRYABLE[end.outcome], end.end["retryable"], told)
            self.assertTrue(end.end["error"], told)

    def check_truth(self, pair, complete):
        """Never a success on either end unless the output is complete; the source alone may not know."""
        told = pair.told()
        self.check_end(pair.source, told)
        self.check_end(pair.target, told)
        if pair.source.ok or pair.target.ok:
            self.assertTrue(complete, f"a success without a complete output{told}")
        if pair.source.ok:
            self.assertTrue(pair.target.ok, f"the source reports what the target denies{told}")
        elif pair.target.ok:
            self.assertEqual(pair.source.outcome, "outcome-unknown", told)

    def check_both(self, pair, fault, complete=False):
        """Both ends report this fault."""
        self.check_truth(pair, complete)
        self.assertEqual(pair.outcomes, (fault, fault), pair.told())

    def check_success(self, pair, outcome):
        self.check_truth(pair, True)
        self.assertEqual(pair.outcomes, (outcome, outcome), pair.told())

    def run_cases(self, cases, worker):
        """worker(case) for each case, several at a time; all failures are told. There must be cases."""
        self.assertTrue(cases)
        failures = []
        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            running = {pool.submit(worker, case): case for case in cases}
            for future in concurrent.futures.as_completed(running):
                if future.exception():
                    failures.append(f"[{running[future]}] {type(future.exception()).__name__}: {future.exception()}")
        print(f"{self.id()}: {len(cases)} cases, {len(failures)} failed", flush=True)
        if failures:
            self.fail(f"{len(failures)} of {len(cases)} cases failed:\n" + "\n".join(failures[:10]))


def main():
    """Runs the module; 77 where everything was skipped."""
    program = unittest.main(module="__main__", exit=False, verbosity=2)
    result = program.result
    if not result.wasSuccessful():
        sys.exit(1)
    skipped_classes = any("setUpClass" in str(case) for case, _ in result.skipped)
    if result.skipped and (result.testsRun == 0 or skipped_classes or len(result.skipped) == result.testsRun):
        sys.exit(SKIPPED)
    if result.testsRun == 0:
        sys.exit(1)
