"""Every way in which a producer, a consumer, an output or a user can end a transfer early: what both ends say, and that nothing is committed."""
import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import unittest

from harness import HERE, FerryCase, main
from streams import small_zfs

PYTHON = sys.executable


class ExitMatrix(FerryCase):
    def setUp(self):
        self.stream = self.folder / "stream"
        if not self.stream.exists():
            self.stream.write_bytes(small_zfs())

    def producer(self, *arguments):
        return [PYTHON, HERE / "producer.py", "--file", self.stream, *arguments]

    def consumer(self, room, *arguments):
        return [PYTHON, HERE / "consumer.py", "--marker", room / "marker", *arguments]

    def check_nothing_made(self, room, told=""):
        """No output, no temporary file, no commit."""
        left = [path.name for path in room.iterdir() if path.name not in ("source-state", "target-state", "in")]
        self.assertEqual(left, [], told)

    # The producer

    def test_producer_fails(self):
        def worker(case):
            percent, how, sink = case
            room = self.room()
            ends = {"exit 1": ["--exit", "1"], "exit 255": ["--exit", "255"], "killed": ["--signal", "9"], "pipe": ["--signal", "13"]}
            out = {"out": room / "out"} if sink == "file" else {"consumer": self.consumer(room)}
            pair = self.ferry(producer=self.producer("--percent", str(percent), *ends[how]), room=room, **out)
            self.check_both(pair, "producer-failed")
            self.check_nothing_made(room, pair.told())

        self.run_cases([(percent, how, sink) for percent in (0, 50, 99, 100) for how in ("exit 1", "killed")
                        for sink in ("file", "consumer")] + [(50, "exit 255", "file"), (100, "pipe", "consumer")], worker)

    def test_producer_stops_early_and_says_all_is_well(self):
        """`zfs send` does not, but a pipeline with a broken middle does."""
        def worker(percent):
            room = self.room()
            pair = self.ferry(producer=self.producer("--percent", str(percent)), consumer=self.consumer(room), room=room)
            self.check_both(pair, "stream-incomplete")
            self.check_nothing_made(room, pair.told())

        self.run_cases([0.001, 50, 99, 99.99], worker)

    def test_producer_writes_nothing_and_says_all_is_well(self):
        """An empty stream that a producer vouches for is the consumer's to judge; `zfs receive` refuses it."""
        room = self.room()
        pair = self.ferry(producer=self.producer("--percent", "0"), consumer=self.consumer(room), room=room)
        self.check_both(pair, "consumer-failed")
        self.check_nothing_made(room, pair.told())

    def test_producer_cannot_be_run(self):
        room = self.room()
        pair = self.ferry(producer=["/nonexistent/zfs", "send"], out=room / "out", room=room, finish=False)
        self.assertEqual(pair.source.wait(), 42, pair.told())
        if pair.target.wait(5) is None:   # the source may have found out before it dialled
            pair.target.stop()
        self.check_truth(pair, False)
        self.assertIn(pair.target.outcome, ("cannot-run", "interrupted"))
        self.check_nothing_made(room)

    def test_stream_is_damaged(self):
        def worker(offset):
            room = self.room()
            data = bytearray(small_zfs())
            data[offset] ^= 0x10
            (room / "in").write_bytes(data)
            pair = self.ferry(stream=room / "in", out=room / "out", room=room)
            self.check_both(pair, "stream-damaged")
            self.check_nothing_made(room, pair.told())

        size = len(small_zfs())
        self.run_cases([312 + 300, 1000, 5000, size // 2, size - 300, size - 20], worker)

    # The consumer

    def test_consumer_fails(self):
        def worker(case):
            name, arguments = case
            room = self.room()
            pair = self.ferry(stream=self.stream, consumer=self.consumer(room, *arguments), room=room)
            self.check_both(pair, "consumer-failed")

        half = str(len(small_zfs()) // 2)
        self.run_cases([
            ("exits 0 before it read anything", ["--take", "0"]),
            ("exits 1 before it read anything", ["--take", "0", "--exit", "1"]),
            ("exits 0 half way", ["--take", half]),
            ("exits 1 half way", ["--take", half, "--exit", "1"]),
            ("exits 1 after the end of the input", ["--exit", "1"]),
            ("exits 255 after the end of the input", ["--exit", "255"]),
        ], worker)

    def test_consumer_dies_by_a_signal(self):
        pair = self.ferry(stream=self.stream, consumer=["/bin/sh", "-c", "head -c 100000 > /dev/null; kill -9 $$"])
        self.check_both(pair, "consumer-failed")

    def test_consumer_cannot_be_run(self):
        """What looks like a program, and is found not to be one when it is run: the source learns of it."""
        path = self.folder / "no-program"
        path.write_text("#!/nonexistent/interpreter\n")
        path.chmod(0o700)
        pair = self.ferry(stream=self.stream, consumer=[path, "receive"])
        self.check_both(pair, "cannot-run")

    def test_slow_consumer_is_no_dead_peer(self):
        """A consumer that sits still for longer than the peer time-out, as `zfs receive` does in a txg sync."""
        room = self.room()
        pair = self.ferry(stream=self.stream, consumer=self.consumer(room, "--stall", "5"), room=room)
        self.check_success(pair, "applied")

    def test_slow_producer_is_no_dead_peer(self):
        room = self.room()
        pair = self.ferry(producer=self.producer("--stall", "5"), consumer=self.consumer(room), room=room)
        self.check_success(pair, "applied")

    # The output

    def test_output_is_full(self):
        with open("/dev/full", "wb") as full:
            pair = self.ferry(stream=self.stream, stdout=full)
        self.check_both(pair, "output-failed")

    def test_output_file_system_is_full(self):
        room = self.room()
        small = room / "small"
        small.mkdir()
        if os.getuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", small], capture_output=True,
                                              check=False).returncode:
            self.skipTest("a tmpfs of 1 MiB cannot be mounted here")
        try:
            pair = self.ferry(stream=self.stream, out=small / "out")
            self.check_both(pair, "output-failed")
            self.assertEqual(list(small.iterdir()), [], pair.told())
        finally:
            subprocess.run(["umount", small], check=True)

    def test_output_is_closed(self):
        read_end, write_end = os.pipe()
        os.close(read_end)
        with os.fdopen(write_end, "wb") as broken:
            pair = self.ferry(stream=self.stream, stdout=broken)
        self.check_both(pair, "output-failed")

    def test_output_folder_is_missing(self):
        """It is told before anybody connects."""
        room = self.room()
        target = self.start_target(room, ["--listen", "127.0.0.1:0"], self.auth("key")[1], out=self.folder / "nowhere" / "out")
        self.assertEqual(target.wait(20), 41, target.told())
        self.assertEqual(target.outcome, "output-failed", target.told())
        self.assertIsNone(target.port)

    def test_output_is_not_replaced_by_a_failure(self):
        room = self.room()
        (room / "out").write_text("precious")
        pair = self.ferry(producer=self.producer("--percent", "90", "--exit", "1"), out=room / "out", room=room)
        self.check_both(pair, "producer-failed")
        self.assertEqual((room / "out").read_text(), "precious")

    # Signals

    def mid_stream(self, room, **options):
        """A transfer that has come to 60 % and goes on when it is asked to: never."""
        pair = self.ferry(producer=self.producer("--percent", "60", "--stall", "40"), consumer=self.consumer(room), room=room,
                          finish=False, **options)
        self.assertTrue(pair.target.await_object(lambda o: o.get("stream_bytes", 0) > 1 << 20), pair.told())
        return pair

    def test_signal_in_mid_stream_without_patience(self):
        """Whichever end goes, the other one ends as well."""
        def worker(case):
            which, number = case
            room = self.room()
            pair = self.mid_stream(room, patient=False)
            end, other = (pair.source, pair.target) if which == "source" else (pair.target, pair.source)
            end.signal(number)
            self.assertIsNotNone(end.wait(15), f"does not end at a signal{pair.told()}")
            self.assertIsNotNone(other.wait(15), f"does not see that the other end ended{pair.told()}")
            if number == signal.SIGKILL:
                self.check_end(other, pair.told())
                self.assertEqual(other.outcome, "link-lost", pair.told())
            else:
                self.check_both(pair, "interrupted")
            self.check_nothing_made(room, pair.told())

        self.run_cases([(which, number) for which in ("source", "target")
                        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGKILL)], worker)

    def test_signal_to_the_target_in_mid_stream(self):
        """It says so: the source has nothing to wait for."""
        def worker(number):
            room = self.room()
            pair = self.mid_stream(room)
            pair.target.signal(number)
            for end in (pair.target, pair.source):
                self.assertIsNotNone(end.wait(15), pair.told())
            self.check_both(pair, "interrupted")
            self.check_nothing_made(room, pair.told())

        self.run_cases([signal.SIGINT, signal.SIGTERM], worker)

    def test_an_end_is_gone_in_mid_stream(self):
        """The other one waits for it to come back, until it is told to go, and says what it is."""
        def worker(case):
            which, number = case
            room = self.room()
            pair = self.mid_stream(room)
            end, other = (pair.source, pair.target) if which == "source" else (pair.target, pair.source)
            end.signal(number)
            self.assertIsNotNone(end.wait(15), pair.told())
            self.assertTrue(other.await_object(lambda o: o.get("stage") == "reconnecting"), pair.told())
            time.sleep(3)
            self.assertIsNone(other.process.poll(), f"does not wait{pair.told()}")
            other.signal(signal.SIGINT)
            self.assertEqual(other.wait(15), 12, pair.told())
            self.check_end(other, pair.told())
            if number != signal.SIGKILL:
                self.check_end(end, pair.told())
                self.assertEqual(end.outcome, "interrupted", pair.told())
            self.check_nothing_made(room, pair.told())

        self.run_cases([("source", signal.SIGINT), ("source", signal.SIGTERM), ("source", signal.SIGKILL), ("target", signal.SIGKILL)], worker)

    def signal_applying(self, signals, seconds, patient=True):
        """Signals to the target while its consumer has everything and takes `seconds` to finish."""
        pair = self.ferry(stream=self.stream, consumer=["/bin/sh", "-c", f"cat > /dev/null; exec sleep {seconds}"], finish=False, patient=patient)
        self.assertTrue(pair.target.await_object(lambda o: o.get("stage") == "finishing"), pair.told())
        for number in signals:
            time.sleep(0.5)
            pair.target.signal(number)
        for end in (pair.target, pair.source):
            self.assertIsNotNone(end.wait(15), pair.told())
        return pair

    def test_signal_while_the_consumer_applies(self):
        """It has read END: what it says is the truth, so one signal waits for that."""
        for number in (signal.SIGINT, signal.SIGTERM):
            self.check_success(self.signal_applying([number], 3), "applied")

    def test_second_signal_while_the_consumer_applies(self):
        """The operator does not wait: then nobody knows, and nobody claims to. A patient source would ask on for a quarter of an hour."""
        pair = self.signal_applying([signal.SIGTERM, signal.SIGTERM], 20, patient=False)
        self.check_truth(pair, False)
        self.assertEqual(pair.outcomes, ("outcome-unknown", "outcome-unknown"), pair.told())

    def test_signal_before_a_peer_came(self):
        _, target_auth = self.auth("key")
        for number in (signal.SIGINT, signal.SIGTERM):
            target = self.start_target(self.room(), ["--listen", "127.0.0.1:0"], target_auth)
            self.assertIsNotNone(target.port)
            target.signal(number)
            self.assertEqual(target.wait(10), 12, target.told())
            self.check_end(target, target.told())

    # Who is at the other end

    def test_connection_refused(self):
        with contextlib.closing(socket.socket()) as taken:   # bound, not listening: nothing else gets this port
            taken.bind(("127.0.0.1", 0))
            source_auth, _ = self.auth("key")
            source = self.start_source(self.room(), [f"127.0.0.1:{taken.getsockname()[1]}"], source_auth, self.stream)
            self.assertEqual(source.wait(30), 10, source.told())
            self.check_end(source, source.told())


class SlowLink(FerryCase):
    def test_an_abort_behind_two_megabytes_is_still_heard(self):
        """The link needs longer for what is queued than a peer is waited for when nothing moves."""
        room = self.room()
        (room / "in").write_bytes(small_zfs() * 2)
        pair = self.ferry(producer=[sys.executable, HERE / "producer.py", "--file", room / "in", "--exit", "3"], out=room / "out", room=room,
                          source_extra=["--limit", "300K", "--compress", "off"])
        self.check_both(pair, "producer-failed")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
