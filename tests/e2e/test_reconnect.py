"""Lanes are cut, silenced, damaged and refused, and come back: the transfer completes, and neither the producer nor the consumer notices."""
import os
import random
import signal
import time
import unittest

import mangler
from harness import FerryCase, main
from mangler import Mangler, Rule
from resume_case import AGAIN_BYTES_MAX, LISTENERS, MIB, ResumeCase
from streams import sha256_of, small_zfs

OTHER = {"source": "target", "target": "source"}
NOTICED_S = 15


class Healed(FerryCase):
    """One strike at a chosen place; whatever comes after it passes."""

    def setUp(self):
        self.stream = self.folder / "stream"
        if not self.stream.exists():
            self.stream.write_bytes(small_zfs())

    def frames(self):
        observer = Mangler()
        pair = self.ferry(stream=self.stream, out=self.room() / "out", mangler=observer)
        self.check_success(pair, "delivered")
        return {speaker: observer.frames(speaker) for speaker in OTHER}

    def harm(self, case):
        rule, listener = case
        room = self.room()
        pair = self.ferry(stream=self.stream, out=room / "out", room=room, listener=listener, mangler=Mangler(rule, heals=True))
        told = pair.told()
        dialler = pair.source if listener == "target" else pair.target
        if not pair.mangler.proven_at_first and not dialler.ok:
            # The first connect of a run is not tried again: it ends at once, and no output is there.
            self.assertIn(dialler.outcome, ("unreachable", "link-lost", "not-allowed", "protocol"), told)
            self.assertFalse((room / "out").exists())
            return "never met"
        self.check_success(pair, "delivered")
        self.assertEqual(sha256_of(room / "out"), sha256_of(self.stream), told)
        return "struck" if pair.mangler.struck else "not struck"

    def harm_all(self, rules, struck_at_least):
        results = []
        self.run_cases([(rule, LISTENERS[number % 2]) for number, rule in enumerate(rules)], lambda case: results.append(self.harm(case)))
        counts = {kind: results.count(kind) for kind in sorted(set(results))}
        print(f"{self.id()}: {counts}", flush=True)
        self.assertGreaterEqual(counts.get("struck", 0), struck_at_least)

    def test_cut_at_every_frame_boundary(self):
        frames = self.frames()
        rules = [Rule(what, speaker, frame=index) for speaker, each in frames.items() for index in range(len(each))
                 for what in ("rst", "fin")]
        self.harm_all(rules, len(rules) * 3 // 4)

    def test_silence_at_each_kind_of_frame(self):
        frames = self.frames()
        rules = [Rule(what, speaker, frame=[kind for _, kind, _ in each].index(kind)) for speaker, each in frames.items()
                 for kind in sorted({kind for _, kind, _ in each}) for what in ("silence", "block")]
        self.harm_all(rules, len(rules) * 3 // 4)

    def test_flipped_bits(self):
        frames, rng = self.frames(), random.Random(13)
        rules = []
        for speaker, each in frames.items():
            for offset, kind, length in each:
                if kind != mangler.JOIN:
                    rules.append(Rule("flip", speaker, byte=offset + rng.randrange(length), bit=rng.randrange(8)))
        self.harm_all(rules, len(rules) * 3 // 4)


class Reconnects(ResumeCase):
    """Cuts while it flows."""

    peer_timeout = "12s"

    def flow(self, listener, lanes, **options):
        return self.begin(listener, stream=self.stream, source_extra=["--compress", "off", "--limit", "12M", "--lanes", str(lanes)], **options)

    def check_survived(self, pair, cuts, lanes=1):
        """Not more crossed again than the kernels on the way may have swallowed: 4 MiB a lane, and as much in the gate's sockets."""
        size, at_most = self.stream.stat().st_size, cuts * max(AGAIN_BYTES_MAX, 4 * MIB * lanes)
        self.check_completed(pair, pair.source, self.stream)
        again = self.check_crossed(pair, pair.source, size, at_most)
        self.assertLessEqual(pair.source.resume["sent_again_bytes"], at_most, pair.told())
        self.assertEqual(pair.source.resume["skipped_bytes"], 0, pair.told())
        return again

    def test_all_lanes_are_cut(self):
        places = (15, 35, 55, 75, 95)

        def worker(case):
            how, listener, lanes = case
            pair = self.flow(listener, lanes)
            size = self.stream.stat().st_size
            for percent in places:
                self.await_crossing(pair, size * percent // 100)
                self.assertGreater(pair.mangler.cut(how), 0, pair.told())
            again = self.check_survived(pair, len(places))
            for end in (pair.source, pair.target):
                self.assertGreaterEqual(end.resume["reconnects"], 3, pair.told())
                self.assertGreaterEqual(end.resume["lanes_lost"], 3, pair.told())
            print(f"{how}, {listener} listens, {lanes} lanes, {len(places)} cuts: {again} bytes beyond the stream's, "
                  f"{pair.source.resume}", flush=True)

        self.run_cases([(how, listener, lanes) for how in ("rst", "fin") for listener in LISTENERS for lanes in (1, 4)], worker)

    def test_one_lane_of_four_is_cut(self):
        """The others carry on: the link is never gone."""
        places = (15, 35, 55, 75)

        def worker(case):
            how, listener = case
            pair = self.flow(listener, 4)
            size = self.stream.stat().st_size
            for percent in places:
                self.await_crossing(pair, size * percent // 100)
                self.assertEqual(pair.mangler.cut(how, 1), 1, pair.told())
            self.check_survived(pair, len(places))
            for end in (pair.source, pair.target):
                self.assertEqual(end.resume["reconnects"], 0, pair.told())
                self.assertGreaterEqual(end.resume["lanes_lost"], len(places), pair.told())
            self.assertGreaterEqual(pair.mangler.accepted, 4 + len(places) - 1, "lanes are not replaced")

        self.run_cases([(how, listener) for how in ("rst", "fin") for listener in LISTENERS], worker)

    def test_silence(self):
        """Nothing passes for a while. A short silence costs nothing but its time; a long one is noticed."""
        def worker(case):
            seconds, listener, lanes = case
            pair = self.flow(listener, lanes)
            size = self.stream.stat().st_size
            places = (20, 60) if seconds < 10 else (40,)
            for percent in places:
                self.await_crossing(pair, size * percent // 100)
                pair.mangler.stall(seconds)
            noticed = [end.await_object(lambda o: o.get("stage") == "reconnecting", 0) for end in (pair.source, pair.target)]
            self.check_survived(pair, len(places), lanes)
            if seconds >= NOTICED_S:
                self.assertTrue(all(noticed), f"not noticed within {seconds} s{pair.told()}")
                for end in (pair.source, pair.target):
                    self.assertGreaterEqual(end.resume["reconnects"], 1, pair.told())
                    self.assertGreater(end.resume["without_link_s"], seconds / 2, pair.told())
            if seconds == 1:
                self.assertEqual(pair.source.resume["lanes_lost"], 0, pair.told())

        self.run_cases([(seconds, listener, lanes) for seconds, lanes in ((1, 1), (5, 1), (15, 1), (5, 4), (15, 4)) for listener in LISTENERS],
                       worker)

    def test_the_port_refuses_for_a_while(self):
        def worker(case):
            listener, lanes = case
            pair = self.flow(listener, lanes)
            for percent in (30, 70):
                self.await_crossing(pair, self.stream.stat().st_size * percent // 100)
                pair.mangler.refuse(3)
            self.check_survived(pair, 2)
            for end in (pair.source, pair.target):
                self.assertEqual(end.resume["reconnects"], 2, pair.told())
                self.assertGreater(end.resume["without_link_s"], 5, pair.told())

        self.run_cases([(listener, lanes) for listener in LISTENERS for lanes in (1, 4)], worker)

    def test_cuts_while_it_finishes(self):
        """The consumer has everything and takes its time: FINAL-ACK finds its way over a link that was cut twice."""
        def worker(case):
            how, listener = case
            pair = self.begin(listener, room=(room := self.room()), stream=self.small, consumer=self.consumer(room, "--stall", 4))
            self.assertTrue(pair.target.await_object(lambda o: o.get("stage") == "finishing"), pair.told())
            for _ in range(2):
                time.sleep(0.7)
                pair.mangler.cut(how)
            self.check_completed(pair, pair.source, self.small)
            self.assertGreaterEqual(pair.source.resume["reconnects"], 1, pair.told())

        self.run_cases([(how, listener) for how in ("rst", "fin") for listener in LISTENERS], worker)

    def test_a_stopped_end(self):
        """It vanishes silently, is noticed in time, and goes on where it was when it wakes."""
        def worker(case):
            which, listener = case
            pair = self.flow(listener, 2)
            end, other = (pair.source, pair.target) if which == "source" else (pair.target, pair.source)
            self.await_crossing(pair, self.stream.stat().st_size // 2)
            end.signal(signal.SIGSTOP)
            try:
                stopped = time.monotonic()
                self.assertTrue(other.await_object(lambda o: o.get("stage") == "reconnecting", NOTICED_S), pair.told())
                print(f"{which} stopped, {listener} listens: noticed after {time.monotonic() - stopped:.1f} s", flush=True)
                time.sleep(max(0, 13 - (time.monotonic() - stopped)))   # until it is dead and not only suspect
            finally:
                end.signal(signal.SIGCONT)
            self.check_survived(pair, 2)   # the kernel took it, for two lanes, on both sides of the gate

        self.run_cases([(which, listener) for which in OTHER for listener in LISTENERS], worker)

    def sit_still(self, seconds):
        """A consumer that takes no byte for so long, as `zfs receive` does in a long txg sync."""
        def worker(case):
            listener, lanes = case
            room = self.room()
            consumer = self.consumer(room, "--nap-at", 5 * MIB, "--nap", seconds)
            pair = self.begin(listener, room, stream=self.stream, consumer=consumer, source_extra=["--compress", "off", "--lanes", str(lanes)])
            for end in (pair.source, pair.target):
                self.assertIsNotNone(end.wait(seconds + 60), pair.told())
            self.check_survived(pair, 0)
            for end in (pair.source, pair.target):
                self.assertEqual((end.resume["lanes_lost"], end.resume["reconnects"], end.resume["sent_again_bytes"]), (0, 0, 0), pair.told())
                self.assertIsNone(end.await_object(lambda o: o.get("stage") == "reconnecting", 0), pair.told())

        self.run_cases([(listener, lanes) for listener in LISTENERS for lanes in (1, 4)], worker)

    def test_a_target_that_takes_no_byte(self):
        self.sit_still(18)

    @unittest.skipUnless(os.environ.get("ZFERRY_LONG_TESTS") == "1", "takes 5 minutes: ZFERRY_LONG_TESTS=1")
    def test_a_target_that_takes_no_byte_for_five_minutes(self):
        self.sit_still(300)

    def test_a_producer_that_says_nothing(self):
        """An idle link that is cut comes back as well."""
        for listener in LISTENERS:
            with self.subTest(listener=listener):
                go_on = self.room() / "go on"
                pair = self.begin(listener, producer=self.producer(self.small, "--percent", 50, "--until", go_on))
                self.await_arrival(pair, MIB)
                for how in ("rst", "fin"):
                    pair.mangler.cut(how)
                    time.sleep(1.5)
                go_on.touch()
                self.check_completed(pair, pair.source, self.small)
                self.assertEqual(pair.source.resume["reconnects"], 2, pair.told())


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
