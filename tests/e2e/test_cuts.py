"""The link is cut, silenced, or flips a bit, at every frame boundary and between. Ends without patience never claim what is not so, and
never hang; patient ones come back and complete."""
import random
import sys
import unittest

import mangler
from harness import HERE, FerryCase, main
from mangler import Mangler, Rule
from streams import sha256_of, small_zfs

OTHER = {"source": "target", "target": "source"}
# What a cut may be called: by state, no connection, no link, no knowledge.
CUT_FAULTS = {"unreachable", "link-lost", "outcome-unknown"}
# A flipped bit may besides show as a peer that is not who it should be, or that breaks the protocol.
FLIP_FAULTS = CUT_FAULTS | {"not-allowed", "protocol"}


class Cuts(FerryCase):
    def setUp(self):
        self.stream = self.folder / "stream"
        if not self.stream.exists():
            self.stream.write_bytes(small_zfs())
            type(self).digest = sha256_of(self.stream)

    def record(self):
        """An unharmed run: the frames and bytes of each direction."""
        observer = Mangler()
        pair = self.ferry(stream=self.stream, out=self.room() / "out", mangler=observer)
        self.check_success(pair, "delivered")
        frames = {speaker: observer.frames(speaker) for speaker in OTHER}
        for speaker, kinds in (("source", {mangler.OPEN, mangler.BLOCK, mangler.DATA, mangler.FINAL, mangler.DONE}),
                               ("target", {mangler.OPENED, mangler.ACK, mangler.FINAL_ACK})):
            self.assertLessEqual(kinds, {kind for _, kind, _ in frames[speaker]}, pair.told())
        return frames, {speaker: observer.bytes_of(speaker) for speaker in OTHER}

    def harm(self, rule, faults, listener="target"):
        """One transfer under a rule, checked."""
        room = self.room()
        out = room / "out"
        pair = self.ferry(stream=self.stream, out=out, room=room, listener=listener, mangler=Mangler(rule), patient=False)
        told = pair.told()
        complete = out.exists() and sha256_of(out) == self.digest
        self.check_truth(pair, complete)
        self.assertEqual(out.exists(), pair.target.ok, f"an output without a success{told}")
        if pair.mangler.struck:
            waiter = pair.target if listener == "target" else pair.source
            for end in (pair.source, pair.target):
                if not end.ok and not (end is waiter and end.stopped):
                    # To the dialler a cut handshake looks like a listener that does not know it, and hangs up without a word.
                    in_handshake = end is not waiter and pair.mangler.bytes_of(OTHER[pair.mangler.dialler]) <= 512
                    self.assertIn(end.outcome, faults | ({"not-allowed"} if in_handshake else set()), told)
        else:
            self.assertTrue(pair.source.ok, f"nothing was harmed, and yet it failed{told}")
        left = {path.name for path in room.iterdir()} - {"out", "source-state", "target-state"}
        self.assertEqual(left, set(), f"a temporary file stays{told}")
        return pair

    def harm_all(self, rules, faults):
        cases = [(rule, ("target", "source")[number % 2]) for number, rule in enumerate(rules)]
        self.run_cases(cases, lambda case: self.harm(case[0], faults, case[1]))

    def test_cut_at_every_frame_boundary(self):
        frames, _ = self.record()
        print({speaker: [mangler.NAMES[kind] for _, kind, _ in each] for speaker, each in frames.items()}, flush=True)
        rules = [Rule(what, speaker, frame=index) for speaker, each in frames.items() for index in range(len(each))
                 for what in ("rst", "fin")]
        self.harm_all(rules, CUT_FAULTS)

    def test_silence_at_frame_boundaries(self):
        """Each kind of frame once for each direction; the peer time-out ends these."""
        frames, _ = self.record()
        rules = []
        for speaker, each in frames.items():
            kinds = [kind for _, kind, _ in each]
            rules += [Rule("silence", speaker, frame=kinds.index(kind)) for kind in sorted(set(kinds))]
        self.harm_all(rules, CUT_FAULTS)

    def test_cut_between_boundaries(self):
        frames, sizes = self.record()
        rng = random.Random(11)
        rules = []
        for speaker, size in sizes.items():
            inside = [offset + extra for offset, _, length in frames[speaker][:8] for extra in (1, 7, 8, 9, length - 1)]
            places = [0, 1, 511, 512, *rng.sample(inside, min(8, len(inside))), *(rng.randrange(size) for _ in range(8))]
            rules += [Rule(rng.choice(("rst", "fin")), speaker, byte=place) for place in places if place < size]
        rules += [Rule("silence", "source", byte=100), Rule("silence", "target", byte=100),
                  Rule("silence", "source", byte=sizes["source"] // 2)]
        self.harm_all(rules, CUT_FAULTS)

    def test_flipped_bits(self):
        frames, sizes = self.record()
        rng = random.Random(12)
        rules = []
        for speaker, size in sizes.items():
            headers = [offset + rng.randrange(8) for offset, _, _ in frames[speaker]]
            bodies = [offset + rng.randrange(8, length) for offset, _, length in frames[speaker]]
            places = [rng.randrange(512) for _ in range(4)] + rng.sample(headers, min(8, len(headers))) + rng.sample(
                bodies, min(12, len(bodies))) + [rng.randrange(size) for _ in range(4)]
            rules += [Rule("flip", speaker, byte=place, bit=rng.randrange(8)) for place in places]
        self.harm_all(rules, FLIP_FAULTS)

    def test_one_direction_dies(self):
        """Each frame of the talk at the end, lost alone: everything from there on in that direction is swallowed."""
        rules = [Rule("block", "source", frame_type=kind) for kind in (mangler.OPEN, mangler.DATA, mangler.FINAL, mangler.DONE)]
        rules += [Rule("block", "target", frame_type=kind) for kind in (mangler.OPENED, mangler.ACK, mangler.FINAL_ACK)]
        self.harm_all(rules, CUT_FAULTS)


class LostFinalAck(FerryCase):
    """Only the FINAL-ACK is lost: the one case in which the ends cannot agree, and what the next run makes of it."""

    def lose(self, what, room, **ends):
        """A run whose FINAL-ACK does not arrive."""
        lossy = Mangler(Rule(what, "target", frame_type=mangler.FINAL_ACK))
        pair = self.ferry(stream=room / "in", room=room, mangler=lossy, patient=False, **ends)
        self.assertTrue(lossy.struck, pair.told())
        self.check_truth(pair, True)
        self.assertEqual((pair.source.outcome, pair.source.code, pair.target.code), ("outcome-unknown", 14, 0), pair.told())
        self.assertTrue(pair.source.end["next"], f"what to do next is not told{pair.told()}")
        return pair

    def lose_then_rerun(self, what):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        consumer = [sys.executable, HERE / "consumer.py", "--marker", room / "marker", "--log", room / "log"]
        self.assertEqual(self.lose(what, room, consumer=consumer).target.outcome, "applied")
        again = self.ferry(stream=room / "in", consumer=consumer, room=room)
        self.check_success(again, "already-received")
        self.assertEqual((room / "log").read_text().split(), [sha256_of(room / "in")], "delivered twice")
        # Now that both know, whoever sends it once more wants it received once more.
        self.check_success(self.ferry(stream=room / "in", consumer=consumer, room=room), "applied")
        self.assertEqual(len((room / "log").read_text().split()), 2)

    def test_killed_when_it_knew(self):
        """A source that was killed between DONE and its exit still has its note: it is told again, for as long as nothing else came."""
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        consumer = [sys.executable, HERE / "consumer.py", "--marker", room / "marker", "--log", room / "log"]
        self.lose("rst", room, consumer=consumer)
        [note] = (room / "source-state").glob("unknown-*")
        text = note.read_bytes()
        self.check_success(self.ferry(stream=room / "in", consumer=consumer, room=room), "already-received")
        self.assertFalse(note.exists(), "the outcome is known")
        for _ in range(2):
            note.write_bytes(text)  # as if it had been killed before it had removed that
            self.check_success(self.ferry(stream=room / "in", consumer=consumer, room=room), "already-received")
        self.assertEqual((room / "log").read_text().split(), [sha256_of(room / "in")], "delivered twice")
        # A note of another transfer of the same stream, to another dataset say, is no question about this one.
        note.write_bytes(bytes(reversed(text)))
        self.check_both(self.ferry(stream=room / "in", consumer=consumer, room=room), "session-gone")
        self.assertFalse(note.exists(), "the next run sends again")
        # One that cannot know is not told for ever that it was received before.
        note.mkdir()
        self.check_success(self.ferry(stream=room / "in", consumer=consumer, room=room), "applied")
        self.assertEqual(len((room / "log").read_text().split()), 2)
        note.rmdir()

    def test_swallowed(self):
        self.lose_then_rerun("block")

    def test_reset(self):
        self.lose_then_rerun("rst")

    def test_closed(self):
        self.lose_then_rerun("fin")

    def test_lost_twice(self):
        """The answer to the rerun is lost as well: still one delivery, and the next run settles it."""
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        consumer = [sys.executable, HERE / "consumer.py", "--marker", room / "marker", "--log", room / "log"]
        self.assertEqual(self.lose("block", room, consumer=consumer).target.outcome, "applied")
        self.assertEqual(self.lose("rst", room, consumer=consumer).target.outcome, "already-received")
        self.check_success(self.ferry(stream=room / "in", consumer=consumer, room=room), "already-received")
        self.assertEqual((room / "log").read_text().split(), [sha256_of(room / "in")], "delivered twice")

    def test_file_is_not_written_twice(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        self.assertEqual(self.lose("block", room, out=room / "out").target.outcome, "delivered")
        before = (room / "out").stat()
        self.check_success(self.ferry(stream=room / "in", out=room / "out", room=room), "already-received")
        self.assertEqual((room / "out").read_bytes(), small_zfs())
        self.assertEqual((room / "out").stat().st_ino, before.st_ino)

    def test_a_file_that_is_gone_is_sent_again(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        self.lose("rst", room, out=room / "out")
        (room / "out").unlink()
        self.check_success(self.ferry(stream=room / "in", out=room / "out", room=room), "delivered")
        self.assertEqual((room / "out").read_bytes(), small_zfs())

    def test_standard_output_is_sent_again(self):
        """The same commands again: the shell has emptied the file before zferry could say that it was there."""
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        with open(room / "out", "wb") as stdout:
            self.lose("rst", room, stdout=stdout)
        self.assertEqual((room / "out").read_bytes(), small_zfs())
        with open(room / "out", "wb") as stdout:
            self.check_success(self.ferry(stream=room / "in", stdout=stdout, room=room), "delivered")
        self.assertEqual((room / "out").read_bytes(), small_zfs())

    def test_another_destination_gets_its_own_copy(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        self.lose("block", room, out=room / "out")
        self.check_success(self.ferry(stream=room / "in", out=room / "second", room=room), "delivered")
        self.assertEqual((room / "second").read_bytes(), small_zfs())

    def test_another_stream_of_the_same_name(self):
        """While the outcome is open, the same session name with other bytes is refused, and nothing is delivered."""
        room, named = self.room(), ["--session", "nightly"]
        (room / "in").write_bytes(b"one" * 100000)
        self.lose("rst", room, out=room / "out", source_extra=named)
        (room / "in").write_bytes(b"two" * 100000)
        pair = self.ferry(stream=room / "in", out=room / "out", room=room, source_extra=named)
        self.check_both(pair, "different-stream")
        self.assertEqual((room / "out").read_bytes(), b"one" * 100000)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
