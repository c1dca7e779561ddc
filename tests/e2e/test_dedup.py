"""Deduplication with the real binaries: what a store has seen does not cross again, to the byte the same comes out, through kills of either end
and whatever becomes of the store's files between two runs; and no principal learns from the link what another one has sent.
"""
import contextlib
import itertools
import os
import random
import shutil
import subprocess
import sys
import time
import unittest

from fletcher import _sums
from harness import BIN, FINISH_S, HERE, FerryCase, main
from killed_transfer import free_port

import make_stream  # found through harness

MIB = 1 << 20
RECORD_BYTES = 131072
SIZE = 24 * MIB
SMALL_SHARE = 0.01          # of a stream that was seen before: hellos, headers, ids, proofs
SLACK_BYTES = 65536


def zfs_version(path, size=SIZE, changed=(), snapshot=1, record_bytes=RECORD_BYTES):
    """A ZFS stream of random payloads, each of its own; those of the records `changed` are other ones in each snapshot."""
    with open(path, "wb") as out:
        stream = make_stream.ZfsStream(out, snapshot, f"made/stream@{snapshot}")
        for index in range(size // record_bytes):
            number, within = 2 + index // 512, index % 512
            if within == 0:
                stream.object(number, record_bytes)
            payload = random.Random(f"{index} {snapshot if index in changed else 0}").randbytes(record_bytes)
            stream.write(number, within * record_bytes, payload, _sums(payload))
        stream.end()
    return path


def flip(path, *places):
    """Damages a file, each place a share of its length."""
    data = bytearray(path.read_bytes())
    for place in places:
        data[int(place * (len(data) - 1))] ^= 4
    path.write_bytes(data)


class Dedup(FerryCase):
    compared = 0                 # bytes of outputs, over all tests

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        told = subprocess.run([BIN, "recv", "--help"], capture_output=True, text=True, check=False).stdout
        if "--dedup-scope" not in told:
            raise unittest.SkipTest("this zferry has no --dedup-scope: it does not deduplicate")
        (cls.folder / "allow-both").write_text(cls.public["source"] + "\n" + cls.public["stranger"] + "\n")
        records = SIZE // RECORD_BYTES
        cls.first = zfs_version(cls.folder / "first")
        cls.changed = set(random.Random(3).sample(range(records), records // 10))
        cls.second = zfs_version(cls.folder / "second", changed=cls.changed, snapshot=2)
        cls.outputs = itertools.count()

    @classmethod
    def tearDownClass(cls):
        print(f"compared: {cls.compared} bytes of output, all equal", flush=True)

    # Transfers through one store.

    def equal(self, stream, out, told=""):
        wanted = stream.read_bytes()
        self.assertTrue(wanted)
        self.assertTrue(out.read_bytes() == wanted, f"{out} is not {stream}{told}")
        Dedup.compared += len(wanted)
        out.unlink()

    def carry(self, room, stream, store="store", extra=(), **options):
        """One transfer into the room's store; the source's bytes on the wire. The output is compared, and taken away."""
        out = room / f"out{next(self.outputs)}"
        target_extra = ["--store", room / store, *extra, *options.pop("target_extra", [])]
        pair = self.ferry(stream=stream, out=out, room=room, target_extra=target_extra, **options)
        self.check_success(pair, "delivered")
        self.equal(stream, out, pair.told())
        return pair.source.end["wire_bytes"]

    def assert_small(self, wire, size=SIZE, expected=0):
        """Little but `expected` bytes of new content crossed."""
        self.assertLess(wire, expected * 1.03 + size * SMALL_SHARE + SLACK_BYTES)
        self.assertGreaterEqual(wire, expected * 0.98)

    def assert_whole(self, wire, size=SIZE):
        self.assertGreater(wire, size * 0.98)

    @property
    def new_bytes(self):
        return len(self.changed) * RECORD_BYTES

    # What was seen does not cross again.

    def test_the_same_stream_twice(self):
        room = self.room()
        self.assert_whole(self.carry(room, self.first))
        for _ in range(2):
            self.assert_small(self.carry(room, self.first))

    def test_a_changed_version_and_back(self):
        room = self.room()
        self.assert_whole(self.carry(room, self.first))
        self.assert_small(self.carry(room, self.second), expected=self.new_bytes)
        self.assert_small(self.carry(room, self.second))
        self.assert_small(self.carry(room, self.first))

    def test_small_records_changed_one_by_one(self):
        """A volume's 16 KiB: one changed record makes new neither its neighbours nor what they share an extent with."""
        room, record = self.room(), 16384
        changed = set(range(5, SIZE // record, 40))
        first = zfs_version(room / "first", record_bytes=record)
        second = zfs_version(room / "second", changed=changed, snapshot=2, record_bytes=record)
        self.assert_whole(self.carry(room, first))
        wire = self.carry(room, second)
        print(f"16 KiB records, {100 * len(changed) * record / SIZE:.1f} % changed: {100 * wire / SIZE:.2f} % crossed", flush=True)
        self.assertLess(wire, 2 * len(changed) * record + SIZE * SMALL_SHARE + SLACK_BYTES)

    def test_what_repeats_in_one_stream(self):
        """How soon a chunk is found depends on how much is offered ahead, so the bar is a loose one."""
        room = self.room()
        stream = room / "repeats"
        stream.write_bytes(random.Random(8).randbytes(4 * MIB) * 16)
        wire = self.carry(room, stream, source_extra=["--session", "repeats"])
        print(f"4 MiB 16 times over: {wire / MIB:.1f} MiB crossed", flush=True)
        self.assertLess(wire, 48 * MIB)

    def test_plain_bytes_with_an_insertion(self):
        room = self.room()
        old = random.Random(4).randbytes(SIZE)
        (room / "old").write_bytes(old)
        (room / "new").write_bytes(old[:SIZE // 2] + b"inserted, of an odd length" + old[SIZE // 2:])
        named = {"source_extra": ["--session", "disk"]}
        self.assert_whole(self.carry(room, room / "old", **named))
        wire = self.carry(room, room / "new", **named)
        print(f"plain, an insertion: {100 * wire / SIZE:.2f} % crossed", flush=True)
        self.assertLess(wire, SIZE * 0.03)
        self.assert_small(self.carry(room, room / "old", **named))

    def test_an_empty_stream_of_records(self):
        """No payload at all, twice."""
        room = self.room()
        stream = zfs_version(room / "tiny", size=0)
        for _ in range(2):
            self.carry(room, stream)

    # Who sees what.

    def test_two_principals(self):
        """The second finds nothing that the first has brought, then its own."""
        room = self.room()
        allow = {"allow": self.folder / "allow-both"}
        self.assert_whole(self.carry(room, self.first, **allow))
        self.assert_small(self.carry(room, self.first, **allow))
        with self.as_principal("stranger"):
            shutil.rmtree(room / "source-state")          # another host's
            self.assert_whole(self.carry(room, self.first, **allow))
            self.assert_small(self.carry(room, self.first, **allow))
        shutil.rmtree(room / "source-state")
        self.assert_small(self.carry(room, self.first, **allow))

    @contextlib.contextmanager
    def as_principal(self, name):
        """The source has this one's key."""
        given = self.auth

        def auth(kind, listener="target"):
            source, target = given(kind, listener)
            source[source.index("--key") + 1] = self.folder / f"{name}.key"
            return source, target

        self.auth = auth
        try:
            yield
        finally:
            del self.auth

    def test_scope_session_finds_nothing_of_other_sessions(self):
        room = self.room()
        for _ in range(2):
            self.assert_whole(self.carry(room, self.first, extra=["--dedup-scope", "session"]))

    # Kills.

    def halted(self, stream, go):
        """A producer that stops in the middle until the file `go` is there."""
        return [sys.executable, "-SE", str(HERE / "producer.py"), "--file", str(stream), "--percent", "50", "--until", str(go)]

    def begin_second(self, lives):
        """(room, the commands of both ends, out): the second version under way into a store that has the first, halted in its middle."""
        room = self.room()
        self.assert_whole(self.carry(room, self.first))
        commands, out = self.begin_in(room, lives, ["--", *self.halted(self.second, room / "go")])
        self.await_stream(lives["source"], SIZE * 2 // 5)
        return room, commands, out

    def begin_in(self, room, lives, more):
        """Both ends, started with a store; the source with `more`. (their commands, out)"""
        port, out = free_port(), room / "out"
        source_auth, target_auth = self.auth("key")
        target = ["recv", "--listen", f"127.0.0.1:{port}", *target_auth, *self.common(room, "target"), "--linger", "3s", "--out", out,
                  "--store", room / "store"]
        source = ["send", f"127.0.0.1:{port}", *source_auth, *self.common(room, "source"), *more]
        lives["target"] = self.start(target)
        self.assertIsNotNone(lives["target"].port, lives["target"].told())
        lives["source"] = self.start(source)
        return {"target": target, "source": source}, out

    def await_stream(self, end, count):
        self.await_progress(end, "acked_bytes", count)

    def await_progress(self, end, what, count):
        limit = time.monotonic() + FINISH_S
        while end.progress.get(what, 0) < count:
            self.assertIsNone(end.process.poll(), end.told())
            self.assertLess(time.monotonic(), limit, f"never came so far: {end.told()}")
            time.sleep(0.05)

    def kill(self, end):
        end.process.kill()
        end.process.wait()

    def play_kills(self, victims):
        lives = {}
        room, commands, out = self.begin_second(lives)
        for name in victims:
            self.kill(lives[name])
        (room / "go").touch()
        for name in sorted(victims, reverse=True):         # the target, which listens, first
            lives[name] = self.start(commands[name])
            if name == "target":
                self.assertIsNotNone(lives[name].port, lives[name].told())
        told = ""
        for end in lives.values():
            self.assertEqual(end.wait(), 0, end.told())
            told += f"\n{end.told()}"
        self.equal(self.second, out, told)
        # What was killed has not spoilt what the store knows.
        self.assert_small(self.carry(room, self.second))
        self.assert_small(self.carry(room, self.first))
        return lives

    def test_target_killed(self):
        lives = self.play_kills(["target"])
        wire = lives["source"].end["wire_bytes"]
        print(f"target killed half way: {100 * wire / SIZE:.1f} % crossed, {100 * self.new_bytes / SIZE:.1f} % were new", flush=True)
        self.assertLess(wire, 2.5 * self.new_bytes + MIB)

    def test_target_killed_where_all_is_known(self):
        """What was under way as recipes does not cross whole: the target that comes back finds it again."""
        room, lives = self.room(), {}
        self.assert_whole(self.carry(room, self.second))
        (room / "limit").write_text("4k")
        commands, out = self.begin_in(room, lives, ["--limit", f"@{room / 'limit'}", "--", "cat", self.second])
        self.await_progress(lives["source"], "found_bytes", SIZE // 3)
        self.kill(lives["target"])
        lives["target"] = self.start(commands["target"])
        (room / "limit").write_text("1G")
        for end in lives.values():
            self.assertEqual(end.wait(), 0, end.told())
        self.equal(self.second, out, lives["source"].told())
        wire = lives["source"].end["wire_bytes"]
        print(f"target killed half way, all known: {100 * wire / SIZE:.2f} % crossed", flush=True)
        self.assert_small(wire)

    def test_source_killed(self):
        lives = self.play_kills(["source"])
        self.assertLess(lives["source"].end["wire_bytes"], 1.5 * self.new_bytes + MIB)

    def test_both_killed(self):
        self.play_kills(["target", "source"])

    # The store's files, between two runs.

    def kept_store(self):
        """A room whose store has seen both versions; the second's own records are in segments of their own."""
        room = self.room()
        self.assert_whole(self.carry(room, self.first))
        self.assert_small(self.carry(room, self.second), expected=self.new_bytes)
        self.assertGreaterEqual(len(self.files(room, "segment-")), 2, "the store keeps nothing")
        return room

    def files(self, room, prefix):
        """The longest first."""
        return sorted((path for path in (room / "store").iterdir() if path.name.startswith(prefix)), key=lambda path: -path.stat().st_size)

    def play_damage(self, harm, costs_bytes):
        """The first version again, after `harm`; how many bytes crossed. With `costs_bytes` the damage must have been met."""
        room = self.kept_store()
        harm(room)
        wire = self.carry(room, self.first)
        print(f"{harm.__name__}: {100 * wire / SIZE:.1f} % crossed", flush=True)
        self.assertGreaterEqual(wire, costs_bytes)
        self.assertLess(wire, SIZE * 1.02 + SLACK_BYTES)
        self.assert_small(self.carry(room, self.first))        # and it is mended
        self.carry(room, self.second)
        return wire

    def test_damaged_segments(self):
        """Nothing of a damaged block comes out; what is whole is still found."""
        def flipped(room):
            for path in self.files(room, "segment-"):
                flip(path, 0.1, 0.3, 0.5, 0.7, 0.9)
        self.assertLess(self.play_damage(flipped, 4 * MIB), SIZE * 0.6)

        def headers_flipped(room):
            for path in self.files(room, "segment-"):
                flip(path, 0)
        self.play_damage(headers_flipped, SIZE * 0.95)

    def test_missing_segments(self):
        def all_deleted(room):
            for path in self.files(room, "segment-"):
                path.unlink()
        self.play_damage(all_deleted, SIZE * 0.95)
        room = self.kept_store()
        self.files(room, "segment-")[-1].unlink()              # of the second version
        self.assert_small(self.carry(room, self.first))
        self.assertGreater(self.carry(room, self.second), MIB)
        self.assert_small(self.carry(room, self.second))

    def test_cut_segments(self):
        def cut(room):
            for path in self.files(room, "segment-"):
                os.truncate(path, path.stat().st_size // 2)
        self.assertLess(self.play_damage(cut, SIZE * 0.4), SIZE * 1.01)

    def test_damaged_lists_of_chunks(self):
        for kind in ("flipped", "cut", "deleted", "of_another"):
            def harmed(room, kind=kind):
                lists = self.files(room, "chunks-")
                self.assertTrue(lists, "no chunks- files to damage")
                for path in lists:
                    if kind == "flipped":
                        flip(path, *(place / 20 for place in range(20)))
                    elif kind == "deleted":
                        path.unlink()
                    elif kind == "cut":
                        os.truncate(path, path.stat().st_size // 2)
                    else:
                        path.write_bytes(self.files(room, "segment-")[0].read_bytes()[:path.stat().st_size])
            harmed.__name__ = f"lists {kind}"
            with self.subTest(kind=kind):
                self.play_damage(harmed, 0)

    def test_a_damaged_window(self):
        for kind in ("flipped", "deleted", "empty"):
            def harmed(room, kind=kind):
                path = room / "store" / "window"
                if kind == "flipped" and path.exists():
                    flip(path, 0, 0.5, 1)
                elif kind == "deleted":
                    path.unlink(missing_ok=True)
                else:
                    path.write_bytes(b"")
            harmed.__name__ = f"window {kind}"
            with self.subTest(kind=kind):
                self.assertLess(self.play_damage(harmed, 0), SIZE * SMALL_SHARE + SLACK_BYTES, "it tells of ages only")

    # `zferry store import`.

    def bring(self, room, *whose):
        """Imports the first version for what they will send."""
        with open(self.first, "rb") as stream:
            done = subprocess.run([BIN, "store", "import", room / "store", "--state", room / "target-state", *whose],
                                  stdin=stream, capture_output=True, text=True, timeout=FINISH_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)

    def test_import_then_send(self):
        room = self.room()
        self.bring(room, "--peer", self.public["source"])
        self.assert_small(self.carry(room, self.second), expected=self.new_bytes)
        self.assert_small(self.carry(room, self.first))
        done = subprocess.run([BIN, "store", "stats", room / "store", "--state", room / "target-state"], capture_output=True, text=True,
                              timeout=FINISH_S, check=False)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertTrue(done.stdout)

    def test_import_for_who_has_a_secret(self):
        room = self.room()
        self.bring(room, "--secret", self.folder / "secret")
        self.assert_small(self.carry(room, self.first, auth="secret"))
        self.assert_whole(self.carry(self.room(), self.first, auth="secret"))

    def test_import_for_another_is_not_found(self):
        room = self.room()
        self.bring(room, "--peer", self.public["stranger"])
        self.assert_whole(self.carry(room, self.first))


if __name__ == "__main__":
    main()
