"""The source dies, leaves, or is overtaken, and the same command is given again: the consumer at the target notices nothing, gets every
byte once, and no more crosses again than was on its way.
"""
import os
import re
import shlex
import signal
import subprocess
import time
import unittest

from harness import FAULTS, main
from resume_case import AGAIN_BYTES_MAX, LISTENERS, MIB, ResumeCase
from streams import sha256_of, small_zfs, zfs_bytes, zfs_that_differs

class Killed(ResumeCase):
    def kill_at(self, percent, listener, lanes, how=signal.SIGKILL):
        """While it flows as fast as it may."""
        extra = ["--compress", "off", "--limit", "16M", "--lanes", str(lanes)]
        pair = self.begin(listener, stream=self.stream, source_extra=extra)
        size = self.stream.stat().st_size
        self.await_crossing(pair, size * percent // 100)
        pair.source.signal(how)
        self.assertIsNotNone(pair.source.wait(15), pair.told())
        source = self.again(pair, listener, stream=self.stream, extra=extra)
        # So near to the end a busy machine may let FINAL through before the kill: then the second run is told so.
        self.check_completed(pair, source, self.stream, outcomes=("applied", "already-received") if percent == 99 else ("applied",))
        if source.outcome == "already-received":
            return pair
        again = self.check_crossed(pair, source, size)
        told = pair.told()
        self.assertGreater(source.resume["skipped_bytes"], size * percent // 100 - AGAIN_BYTES_MAX - MIB, told)
        self.assertEqual(source.resume["skipped_bytes"], pair.target.resume["skipped_bytes"], told)
        self.assertGreaterEqual(pair.target.resume["reconnects"], 1, told)
        print(f"{how.name} at {percent} %, {listener} listens, {lanes} lanes: {again} bytes beyond the stream's", flush=True)
        return pair

    def test_kill_at_every_stage(self):
        cases = [(percent, listener, lanes) for percent in (10, 50, 90, 99) for listener in LISTENERS for lanes in (1, 4)]
        self.run_cases(cases, lambda case: self.kill_at(*case))

    def test_interrupt_at_every_stage(self):
        cases = [(percent, listener, 1, how) for percent in (10, 90) for listener in LISTENERS for how in (signal.SIGINT, signal.SIGTERM)]

        def worker(case):
            pair = self.kill_at(*case)
            self.check_end(pair.source, pair.told())
            self.assertEqual(pair.source.outcome, "interrupted", pair.told())
            self.assertIn("the source was interrupted; what came is kept", "\n".join(pair.target.lines), pair.told())

        self.run_cases(cases, worker)

    def test_before_the_first_byte(self):
        """The target has a consumer and nothing else."""
        def worker(listener):
            pair = self.begin(listener, producer=self.producer(self.small, "--percent", 1, "--stall", 60))
            self.assertTrue(pair.target.await_object(lambda o: o.get("stage") == "streaming"), pair.told())
            pair.source.signal(signal.SIGKILL)
            pair.source.wait()
            self.check_completed(pair, self.again(pair, listener, stream=self.small), self.small)

        self.run_cases(LISTENERS, worker)

    def test_several_kills_in_a_row(self):
        def worker(case):
            listener, lanes = case
            extra = ["--compress", "off", "--limit", "16M", "--lanes", str(lanes)]
            size = self.stream.stat().st_size
            pair = self.begin(listener, stream=self.stream, source_extra=extra)
            source, kills = pair.source, (10, 25, 26, 60, 95)
            for percent in kills:
                self.await_crossing(pair, size * percent // 100)
                source.signal(signal.SIGKILL)
                source.wait()
                source = self.again(pair, listener, stream=self.stream, extra=extra)
            self.check_completed(pair, source, self.stream)
            self.check_crossed(pair, source, size, AGAIN_BYTES_MAX * len(kills))
            # How often it lost its source; it may have taken two of them for one.
            self.assertGreaterEqual(pair.target.resume["reconnects"], 2, pair.told())

        self.run_cases([(listener, lanes) for listener in LISTENERS for lanes in (1, 16)], worker)

    def test_packed_and_read_otherwise(self):
        """Each run packs its own way, from a pipe or a command, read in other pieces."""
        path = self.file("text", lambda: zfs_bytes(12 * MIB, 8, text=True))

        def worker(case):
            first, second, listener = case
            pair = self.begin(listener, producer=self.producer(path, "--percent", 60, "--stall", 60), source_extra=first)
            self.await_arrival(pair, path.stat().st_size // 2)
            pair.source.signal(signal.SIGKILL)
            pair.source.wait()
            pieces = ["--piece", 777] if second[1] == "off" else ["--piece", 100001]
            source = (self.again(pair, listener, stream=path, extra=second) if second[1] == "3"
                      else self.again(pair, listener, producer=self.producer(path, *pieces), extra=second))
            self.check_completed(pair, source, path)
            self.assertGreater(source.resume["skipped_bytes"], path.stat().st_size // 2, pair.told())

        levels = (["--compress", "off"], ["--compress", "3"], ["--compress", "auto"])
        self.run_cases([(a, b, LISTENERS[n % 2]) for n, (a, b) in enumerate((a, b) for a in levels for b in levels if a is not b)], worker)

    def test_streams_that_are_named(self):
        """What is not a ZFS stream is continued where --session names it."""
        path = self.file("opaque", lambda: os.urandom(9 * MIB + 5))

        def worker(listener):
            room, named = self.room(), ["--session", "disk image"]
            pair = self.begin(listener, room, consumer=self.any_consumer(room), source_extra=named,
                              producer=self.producer(path, "--percent", 70, "--stall", 60))
            self.await_arrival(pair, path.stat().st_size // 2)
            pair.source.signal(signal.SIGKILL)
            pair.source.wait()
            source = self.again(pair, listener, stream=path, extra=named)
            told = f"\n  later source: {source.told()}{pair.told()}"
            self.assertEqual((source.wait(), pair.target.wait()), (0, 0), told)
            self.assertEqual(sha256_of(room / "copy"), sha256_of(path))
            self.assertEqual(len((room / "starts").read_text().split()), 1, told)
            self.assertGreater(source.resume["skipped_bytes"], path.stat().st_size // 2, told)

        self.run_cases(LISTENERS, worker)

    def test_streams_without_a_name(self):
        """Nobody can say that it is the same: refused, and told why."""
        path = self.file("opaque", lambda: os.urandom(9 * MIB + 5))
        room = self.room()
        pair = self.begin(room=room, consumer=self.any_consumer(room), producer=self.producer(path, "--percent", 70, "--stall", 60))
        self.await_arrival(pair, path.stat().st_size // 2)
        pair.source.signal(signal.SIGKILL)
        pair.source.wait()
        source = self.again(pair, stream=path)
        self.assertEqual(source.wait(), FAULTS["busy"], source.told())
        self.check_end(source, source.told())
        self.assertIn("without a name", source.end["error"])
        self.assertEqual(pair.target.stop(), 12, pair.told())


class NextCommand(ResumeCase):
    """What an interrupted source says is a command that does it."""

    def check_next(self, end, piped):
        found = re.fullmatch(r"run the same command again: (.*)", end.end["next"])
        self.assertTrue(found, end.told())
        command = found[1]
        self.assertEqual(command.startswith("... | "), piped, command)
        command = command.removeprefix("... | ")
        read = subprocess.run(["/bin/bash", "-c", f"printf '%s\\0' {command}"], capture_output=True, check=True).stdout
        self.assertEqual([word.decode() for word in read.split(b"\0")[:-1]], end.arguments)
        return command

    def test_pasted(self):
        def worker(case):
            listener, number, piped = case
            room = self.room()
            path = room / "it's a stream"
            path.write_bytes(small_zfs())
            gate_open = room / "go on"
            command = self.producer(path, "--percent", 60, "--until", gate_open)
            options = {"source_extra": ["--session", "it's $HOME; `date` \\ \x1b[31m ü"]}
            if piped:
                os.mkfifo(room / "pipe")
                feeder = subprocess.Popen(["/bin/sh", "-c", 'exec "$@" > "$0"', room / "pipe", *command])
                self.addCleanup(feeder.wait)
                self.addCleanup(feeder.kill)
                pair = self.begin(listener, room, stream=room / "pipe", **options)
            else:
                pair = self.begin(listener, room, producer=command, **options)
            self.await_arrival(pair, MIB)
            pair.source.signal(number)
            self.assertEqual(pair.source.wait(15), 12, pair.told())
            self.check_end(pair.source, pair.told())
            line = self.check_next(pair.source, piped)
            if listener == "source":
                line = line.replace("127.0.0.1:0", f"127.0.0.1:{pair.source.port}")
            gate_open.touch()
            # What stood before the pipe is the user's to type again.
            line = f"{shlex.join(['cat', str(path)])} | {line}" if piped else line
            pasted = subprocess.run(["/bin/bash", "-c", line], capture_output=True, text=True, timeout=60, check=False)
            self.assertEqual(pasted.returncode, 0, f"{line}\n{pasted.stderr[-2000:]}{pair.told()}")
            self.assertEqual(pair.target.wait(), 0, pair.told())
            self.assertEqual((room / "marker").read_text().split(), [str(path.stat().st_size), sha256_of(path)])
            self.assertEqual(len((room / "starts").read_text().split()), 1, pair.told())

        self.run_cases([(listener, number, piped) for listener in LISTENERS for number in (signal.SIGINT, signal.SIGTERM)
                        for piped in (False, True)], worker)

    def test_interrupted_target(self):
        """Both say interrupted, and what to do; the source's command is whole."""
        for listener in LISTENERS:
            for number in (signal.SIGINT, signal.SIGTERM):
                with self.subTest(listener=listener, number=number):
                    pair = self.begin(listener, producer=self.producer(self.small, "--percent", 60, "--stall", 60))
                    self.await_arrival(pair, MIB)
                    pair.target.signal(number)
                    self.assertEqual((pair.target.wait(15), pair.source.wait(15)), (12, 12), pair.told())
                    self.check_both(pair, "interrupted")
                    self.check_next(pair.source, False)
                    self.assertTrue(pair.target.end["next"], pair.told())
                    self.assertFalse((pair.room / "marker").exists())


class Patience(ResumeCase):
    def test_hold_ends(self):
        """Killed: the link was lost. Interrupted: it was that."""
        def worker(case):
            listener, number, outcome = case
            pair = self.begin(listener, producer=self.producer(self.small, "--percent", 60, "--stall", 60), target_extra=["--hold", "4s"])
            self.await_arrival(pair, MIB)
            pair.source.signal(number)
            pair.source.wait()
            gone = time.monotonic()
            self.assertIsNotNone(pair.target.wait(20), pair.told())
            self.assertTrue(2.5 < time.monotonic() - gone < 12, f"{time.monotonic() - gone} s{pair.told()}")
            self.check_end(pair.target, pair.told())
            self.assertEqual(pair.target.outcome, outcome, pair.told())
            self.assertFalse((pair.room / "marker").exists())

        self.run_cases([(listener, number, outcome) for listener in LISTENERS for number, outcome in (
            (signal.SIGKILL, "link-lost"), (signal.SIGINT, "interrupted"), (signal.SIGTERM, "interrupted"))], worker)

    def test_no_hold(self):
        """It ends as soon as the source is gone; the same command again meets nobody."""
        for number, outcome in ((signal.SIGKILL, "link-lost"), (signal.SIGINT, "interrupted")):
            with self.subTest(number=number):
                pair = self.begin(producer=self.producer(self.small, "--percent", 60, "--stall", 60), target_extra=["--hold", "0"])
                self.await_arrival(pair, MIB)
                pair.source.signal(number)
                pair.source.wait()
                self.assertIsNotNone(pair.target.wait(5), pair.told())
                self.check_end(pair.target, pair.told())
                self.assertEqual(pair.target.outcome, outcome, pair.told())

    def test_source_gives_up(self):
        def worker(listener):
            pair = self.begin(listener, producer=self.producer(self.small, "--percent", 60, "--stall", 60),
                              source_extra=["--give-up-after", "4s"])
            self.await_arrival(pair, MIB)
            pair.target.signal(signal.SIGKILL)
            pair.target.wait()
            gone = time.monotonic()
            self.assertIsNotNone(pair.source.wait(20), pair.told())
            self.assertTrue(2.5 < time.monotonic() - gone < 12, f"{time.monotonic() - gone} s{pair.told()}")
            self.check_end(pair.source, pair.told())
            self.assertEqual(pair.source.outcome, "link-lost", pair.told())

        self.run_cases(LISTENERS, worker)

    def test_source_tries_no_longer_than_the_target_holds(self):
        """And a target whose own hold is longer waits on when it has given up."""
        pair = self.begin(producer=self.producer(self.small, "--percent", 60, "--stall", 60), target_extra=["--hold", "3s"])
        self.await_arrival(pair, MIB)
        pair.target.signal(signal.SIGKILL)
        self.assertIsNotNone(pair.source.wait(15), pair.told())
        self.assertEqual(pair.source.outcome, "link-lost", pair.told())

    def test_target_started_anew(self):
        """A source that comes back to a target that knows nothing of it is told so."""
        room = self.room()
        pair = self.begin(room=room, producer=self.producer(self.small, "--percent", 60, "--stall", 60))
        self.await_arrival(pair, MIB)
        pair.target.signal(signal.SIGKILL)
        pair.target.wait()
        other = self.start_target(room, ["--listen", f"127.0.0.1:{pair.mangler.upstream_port}"], self.auth("key")[1], self.consumer(room))
        self.assertEqual(pair.source.wait(20), FAULTS["session-gone"], pair.told())
        self.check_end(pair.source, pair.told())
        self.assertTrue(pair.source.end["next"].startswith("run the same command again: "), pair.told())
        pair.target = other
        self.check_completed(pair, self.again(pair, stream=self.small), self.small, consumers=2)


class Others(ResumeCase):
    """Whoever is not the run that the target waits for."""

    def held(self, path, percent=60, **options):
        """A target that holds a part of a stream, its source killed."""
        pair = self.begin(producer=self.producer(path, "--percent", percent, "--stall", 60), **options)
        self.await_arrival(pair, path.stat().st_size * percent // 100 - 2 * MIB)
        pair.source.signal(signal.SIGKILL)
        pair.source.wait()
        return pair

    def test_another_stream(self):
        other = self.file("other", lambda: zfs_bytes(3 * MIB, 77))
        pair = self.held(self.stream)
        source = self.again(pair, stream=other)
        self.assertEqual(source.wait(), FAULTS["busy"], source.told())
        self.check_end(source, source.told())
        self.assertIn("made/stream@one", source.end["error"])
        self.assertIn("waits for the rest", source.end["error"])
        self.check_completed(pair, self.again(pair, stream=self.stream), self.stream)

    def test_other_bytes_of_the_same_name(self):
        """Told between which bytes they differ; the target keeps what it has."""
        size, at = 8 * MIB, 5 * MIB
        path = self.file("right", lambda: zfs_bytes(size, 9))
        other = self.file("wrong", lambda: zfs_that_differs(size, 9, at))
        first, second = path.read_bytes(), other.read_bytes()
        differs = next(n for n in range(0, len(first), 1) if first[n] != second[n])
        for listener in LISTENERS:
            with self.subTest(listener=listener):
                pair = self.begin(listener, producer=self.producer(path, "--percent", 90, "--stall", 60))
                self.await_arrival(pair, size * 9 // 10 - MIB)
                pair.source.signal(signal.SIGKILL)
                pair.source.wait()
                source = self.again(pair, listener, stream=other)
                self.assertEqual(source.wait(), FAULTS["different-stream"], f"{source.told()}{pair.told()}")
                self.check_end(source, source.told())
                found = re.search(r"between byte (\d+) and (?:byte )?(\d+)", source.end["error"])
                self.assertTrue(found, source.told())
                self.assertTrue(int(found[1]) <= differs < int(found[2]), f"{differs}: {source.end['error']}")
                time.sleep(0.5)
                self.assertIsNone(pair.target.process.poll(), pair.told())
                self.check_completed(pair, self.again(pair, listener, stream=path), path)

    def test_a_second_run_while_the_first_lives(self):
        go_on = self.room() / "go on"
        pair = self.begin(producer=self.producer(self.small, "--percent", 60, "--until", go_on))
        self.await_arrival(pair, MIB)
        source = self.again(pair, stream=self.small)
        self.assertEqual(source.wait(20), FAULTS["busy"], source.told())
        self.check_end(source, source.told())
        self.assertIn("lives", source.end["error"])
        go_on.touch()
        self.check_completed(pair, pair.source, self.small)
        self.assertEqual(pair.target.resume["lanes_lost"], 0, pair.told())

    def test_a_stranger_gets_no_name(self):
        """Somebody else who may send here is told less."""
        both = self.folder / "allow-both"
        both.write_text(f"{self.public['source']}\n{self.public['stranger']}\n")
        pair = self.held(self.stream, allow=both)
        address = [f"127.0.0.1:{pair.mangler.port}"]
        keys = ["--key", self.folder / "stranger.key", "--peer", self.public["target"]]
        for path in (self.stream, self.small):
            source = self.start_source(self.room(), address, keys, path)
            self.assertEqual(source.wait(), FAULTS["busy"], source.told())
            self.assertNotIn("made/", source.end["error"])
        self.check_completed(pair, self.again(pair, stream=self.stream), self.stream)

    def test_a_silent_run_is_overtaken(self):
        """It was stopped, not killed; when it goes on it finds that it is not needed any more."""
        def worker(lanes):
            room = self.room()
            extra = ["--lanes", str(lanes)]
            go_on = room / "go on"
            pair = self.begin(room=room, producer=self.producer(self.small, "--percent", 60, "--stall", 60), source_extra=extra)
            self.await_arrival(pair, MIB)
            pair.source.signal(signal.SIGSTOP)
            self.addCleanup(pair.source.signal, signal.SIGCONT)
            time.sleep(2.2)
            source = self.again(pair, producer=self.producer(self.small, "--percent", 80, "--until", go_on), extra=extra)
            self.assertTrue(source.await_object(lambda o: o.get("stage") == "streaming", 20), source.told())
            pair.source.signal(signal.SIGCONT)
            self.assertEqual(pair.source.wait(20), FAULTS["fenced"], pair.told())
            self.check_end(pair.source, pair.told())
            self.assertIsNone(source.process.poll(), source.told())
            go_on.touch()
            self.check_completed(pair, source, self.small)

        self.run_cases([1, 4], worker)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
