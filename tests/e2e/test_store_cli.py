"""`zferry store`: what it tells of stores that killed transfers left behind, of damaged ones, of those in use, and what it gives up."""
import dataclasses
import json
import os
import re
import shutil
import subprocess
import sys
import time
import unittest
import unittest.mock
from pathlib import Path

from fake_pool import FakePool
from harness import BIN, FAULTS, HERE, VALIDATOR, FerryCase, main
from streams import middling_zfs, sha256_of, small_zfs, zfs_bytes

MIB = 1 << 20
DATASET = "p/x"


@dataclasses.dataclass
class Left:
    """A store, and the state folder that its key is in."""

    store: Path
    state: Path

    def files(self, prefix):
        return sorted(path for path in self.store.iterdir() if path.name.startswith(prefix))

    def content(self):
        return {path.name: sha256_of(path) for path in self.store.iterdir()}


def flip(path, at):
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


class StoreCli(FerryCase):
    killed = None        # the room of the transfer that was killed

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stream = cls.folder / "stream"
        cls.stream.write_bytes(middling_zfs())
        cls.other = cls.folder / "other"
        cls.other.write_bytes(small_zfs())

    # What is looked at.

    def begin(self, room, limit="4M", consumer=None, stream=None):
        """A transfer into a store that is under way; the consumer leaves no token, so the store keeps all of it."""
        consumer = consumer or [sys.executable, "-SE", HERE / "keeper.py", room / "copy"]
        return self.ferry(stream=stream or self.stream, consumer=consumer, room=room, finish=False,
                          source_extra=["--limit", limit, "--compress", "off"],
                          target_extra=["--store", f"{room / 'store'}:512M", "--dedup-scope", "none"])   # what repeats in it would be over at once

    def durable_at(self, left, wanted_bytes, limit_s=30):
        """Waits until a store has so much of the first session's stream."""
        limit = time.monotonic() + limit_s
        while time.monotonic() < limit:
            done = self.store("status", left, "--json")
            sessions = [o for o in self.objects(done) if o["type"] == "store-session"] if done.returncode == 0 else []
            if sessions and sessions[0].get("durable_stream_bytes", 0) >= wanted_bytes:
                return sessions[0]
            time.sleep(0.05)
        self.fail(f"never came so far: {done.stdout}{done.stderr}")

    def killed_transfer(self):
        """(a room of its own with what kill -9 of both ends left in mid-transfer, the room of that transfer)"""
        if not StoreCli.killed:
            room = self.room()
            pair = self.begin(room)
            self.durable_at(Left(room / "store", room / "target-state"), 8 * MIB)
            for end in (pair.target, pair.source):
                end.process.kill()
                end.process.wait()
            StoreCli.killed = room
        room = self.room()
        left = Left(room / "its store", room / "target-state")
        shutil.copytree(StoreCli.killed / "store", left.store)
        shutil.copytree(StoreCli.killed / "target-state", left.state)
        return left, StoreCli.killed

    def store(self, verb, left, *arguments, state=None):
        return subprocess.run([BIN, "store", verb, left.store, "--state", state or left.state, *map(str, arguments)], capture_output=True,
                              text=True, timeout=60, check=False)

    # What is checked.

    def objects(self, done):
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        if VALIDATOR:
            wrong = [str(error) for found in objects for error in VALIDATOR.iter_errors(found)]
            self.assertEqual(wrong, [], done.stdout)
        return objects

    def refused(self, done, fault, *words):
        """Exit code, and the last line on standard error, of a run with --json or without."""
        self.assertEqual(done.returncode, FAULTS[fault], f"{done.stdout}{done.stderr}")
        last = done.stderr.splitlines()[-1]
        if last.startswith("{"):
            end = json.loads(last)
            self.assertEqual((end["type"], end["ok"], end["outcome"], end["exit_code"]), ("end", False, fault, FAULTS[fault]))
            if VALIDATOR:
                self.assertEqual([str(error) for error in VALIDATOR.iter_errors(end)], [])
            told = end["error"] + "\n" + end["next"]
            self.assertTrue(end["next"])
        else:
            self.assertRegex(done.stderr, r"zferry: error: .+\nzferry: next: .+\n")
            told = done.stderr
        for word in words:
            self.assertIn(str(word), told)
        return told

    def every_verb(self, left, fault, *words, state=None):
        for verb, arguments in (("status", []), ("verify", []), ("prune", ["--all"])):
            for json_flag in ([], ["--json"]):
                with self.subTest(verb=verb, json=bool(json_flag)):
                    done = self.store(verb, left, *arguments, *json_flag, state=state)
                    self.refused(done, fault, *words)
                    self.assertEqual(done.stdout, "")

    # Status.

    def test_status_of_what_a_kill_left(self):
        left, room = self.killed_transfer()
        before = left.content()
        done = self.store("status", left)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        session, store = done.stdout.splitlines()
        self.assertRegex(session, r"^[0-9a-f]{12}  \S+@\S+ -> \S*python\S* .*keeper\.py .*: begun \d{4}-\d\d-\d\d \d\d:\d\d, holds \d+ blocks of [\d.]+ MB "
                                  r"\([\d.]+ MB on disk\), nothing applied yet, durable up to [\d.]+ MB$")
        self.assertIn(str(room / "copy"), session)
        self.assertRegex(store, rf"^{re.escape(str(left.store))}: 1 session, [\d.]+ MB used, [\d.]+ [GT]B free on its disk$")
        objects = self.objects(self.store("status", left, "--json"))
        self.assertEqual([o["type"] for o in objects], ["store-session", "store-status"])
        self.assertTrue(objects[0]["session"].startswith(session[:12]))
        self.assertGreaterEqual(objects[0]["durable_stream_bytes"], 8 * MIB)
        self.assertLess(objects[0]["durable_stream_bytes"], 24 * MIB)
        self.assertEqual(objects[0]["applied_blocks"], 0)
        self.assertAlmostEqual(objects[0]["begun_unix_s"], time.time(), delta=3600)
        on_disk = sum(path.stat().st_size for path in left.store.iterdir() if path.name != "lock")
        self.assertEqual(objects[1]["used_bytes"], on_disk)
        self.assertLessEqual(objects[0]["disk_bytes"], on_disk)
        self.assertEqual(left.content(), before, "who only looks changes nothing")

    def test_status_and_the_others_while_it_is_in_use(self):
        room = self.room()
        pair = self.begin(room, limit="2M")
        left = Left(room / "store", room / "target-state")
        seen = {self.durable_at(left, wanted * MIB)["durable_blocks"] for wanted in (2, 5, 8)}
        self.assertEqual(len(seen), 3, "it grows")
        for _ in range(8):
            done = self.store("status", left)
            self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        busy = f"in use by process {pair.target.process.pid}"
        self.refused(self.store("verify", left), "busy", busy)
        self.refused(self.store("prune", left, "--all", "--json"), "busy", busy)
        second = self.start_target(room, ["--listen", "127.0.0.1:0"], self.auth("key")[1], out=room / "out2", extra=["--store", left.store])
        self.assertEqual(second.wait(), FAULTS["busy"], second.told())
        self.assertIn(busy, second.end["error"])
        self.finish(pair)
        self.check_success(pair, "applied")
        objects = self.objects(self.store("status", left, "--json"))
        self.assertEqual([o["type"] for o in objects], ["store-status"], "it is complete: nothing is kept")
        self.assertEqual(self.objects(self.store("verify", left, "--json"))[0]["blocks"], 0)
        self.assertEqual(self.objects(self.store("prune", left, "--json"))[0]["sessions"], 0)

    def test_status_tells_what_is_applied(self):
        room = self.room()
        pool = FakePool(room, group_ms=30)
        left = Left(room / "store", room / "target-state")
        stream = room / "long"       # ZFS is asked every 5 s, and what it says counts a little later
        stream.write_bytes(zfs_bytes(48 * MIB, 8))
        with unittest.mock.patch.dict(os.environ, pool.environment):
            pair = self.begin(room, limit="2M", stream=stream, consumer=[pool.bin / "zfs", "receive", "-s", "-u", DATASET])
        limit, session = time.monotonic() + 40, {}
        while time.monotonic() < limit and not session.get("applied_blocks"):
            session = self.durable_at(left, MIB)
            time.sleep(0.1)
        self.assertGreater(session["applied_blocks"], 0, pair.told())
        self.assertGreater(session["durable_blocks"], session["applied_blocks"])
        for end in (pair.target, pair.source):
            end.process.kill()
            end.process.wait()
        self.assertRegex(self.store("status", left).stdout, r", applied up to [\d.]+ MB of the stream, durable up to [\d.]+ MB\n")
        done = self.store("prune", left, "--yes")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertIn(f"zfs get -H -o value receive_resume_token {DATASET}", done.stdout)
        self.assertIn(f"zfs receive -A {DATASET}", done.stdout)

    # Verify.

    def test_verify_counts_and_changes_nothing(self):
        left, room = self.killed_transfer()
        before = left.content()
        status = self.objects(self.store("status", left, "--json"))[0]
        done = self.store("verify", left, "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        verdict, = self.objects(done)
        self.assertEqual((verdict["sessions"], verdict["damaged_sessions"]), (1, 0))
        self.assertEqual((verdict["blocks"], verdict["packed_bytes"]), (status["blocks"], status["packed_bytes"]))
        self.assertGreaterEqual(verdict["packed_bytes"], 8 * MIB)
        text = self.store("verify", left)
        self.assertEqual(text.returncode, 0)
        self.assertRegex(text.stdout, rf": 1 session, {status['blocks']} blocks of [\d.]+ MB read and compared with their seals: all whole\n$")
        after = left.content()
        self.assertEqual({name: after[name] for name in before if name != "lock"}, {name: before[name] for name in before if name != "lock"})
        # And what was looked at is gone on with: the same commands as before the crash.
        again = self.room()
        shutil.copytree(left.state, again / "target-state")
        consumer = [sys.executable, "-SE", HERE / "keeper.py", room / "copy"]
        pair = self.ferry(stream=self.stream, consumer=consumer, room=again, target_extra=["--store", left.store])
        self.check_success(pair, "applied")
        self.assertEqual((room / "copy").read_bytes(), self.stream.read_bytes())
        self.assertGreaterEqual(pair.source.resume["skipped_bytes"], 8 * MIB)

    def test_verify_names_the_damage(self):
        left, _ = self.killed_transfer()
        segment = left.files("segment-")[0]
        places = (64 + 5, segment.stat().st_size // 2, 3)
        for at in places:
            with self.subTest(at=at):
                flip(segment, at)
                for arguments in ([], ["--json"]):
                    done = self.store("verify", left, *arguments)
                    self.refused(done, "store-failed", segment.name, "prune", "--session")
                damage, verdict = self.objects(done)
                self.assertIn(segment.name, damage["damage"])
                self.assertEqual(verdict["damaged_sessions"], 1)
                if at >= 64:
                    place = int(re.search(r" at (\d+): block \d+ ", damage["damage"]).group(1))
                    self.assertTrue(place <= at < place + MIB + 16, damage["damage"])
                flip(segment, at)
        self.assertEqual(self.store("verify", left).returncode, 0, "mended")

    def test_damaged_journals_and_missing_segments(self):
        for name, prefix, harm in (("journal", "journal-", lambda path: flip(path, 70)), ("missing", "segment-", Path.unlink),
                                   ("cut", "segment-", lambda path: os.truncate(path, 2000))):
            with self.subTest(harm=name):
                left, _ = self.killed_transfer()
                path = left.files(prefix)[0]
                harm(path)
                for verb in ("status", "verify"):
                    done = self.store(verb, left)
                    told = self.refused(done, "store-failed", path.name)
                    self.assertIn("DAMAGED", done.stdout)
                command = re.search(r"zferry (store prune .+ --session [0-9a-f]{12}), and", told).group(1)
                pruned = subprocess.run(["sh", "-c", f"{BIN} {command}"], capture_output=True, text=True, timeout=30, check=False)
                self.assertEqual(pruned.returncode, 0, pruned.stderr)
                self.assertEqual(self.objects(self.store("status", left, "--json"))[0]["sessions"], 0)

    # Prune.

    def test_prune_never_chooses(self):
        left, _ = self.killed_transfer()
        before = left.content()
        session = self.objects(self.store("status", left, "--json"))[0]["session"]
        for arguments in ([], ["--session", "0" * 12], ["--session", session[:3]], ["--session", session + "0"], ["--session", session, "--all"]):
            for more in ([], ["--json"]):
                with self.subTest(arguments=arguments, json=bool(more)):
                    self.refused(self.store("prune", left, *arguments, *more), "usage")
        done = self.store("prune", left)
        self.assertIn(session[:12], done.stdout, "what there is to choose from is shown")
        self.assertIn(f"--session {session[:12]}", done.stderr)
        self.assertEqual(left.content(), before)

    def test_prune_one_of_two(self):
        left, _ = self.killed_transfer()
        room = self.room()
        shutil.copytree(left.state, room / "target-state")
        shutil.copytree(left.store, room / "store")
        pair = self.begin(room, consumer=[sys.executable, "-SE", HERE / "keeper.py", room / "copy2"])
        left = Left(room / "store", room / "target-state")
        limit = time.monotonic() + 20
        while time.monotonic() < limit and len(self.objects(self.store("status", left, "--json"))) < 3:
            time.sleep(0.1)
        for end in (pair.target, pair.source):
            end.process.kill()
            end.process.wait()
        sessions = {o["destination"]: o for o in self.objects(self.store("status", left, "--json"))[:-1]}
        self.assertEqual(len(sessions), 2)
        self.refused(self.store("prune", left), "usage", "2 sessions", "--all")
        self.refused(self.store("prune", left, "--yes"), "usage", "2 sessions")
        (_, first), (kept_name, second) = sessions.items()
        done = self.store("prune", left, "--session", first["session"][:12], "--json")
        self.assertEqual(done.returncode, 0, done.stderr)
        pruning, = self.objects(done)
        self.assertEqual((pruning["sessions"], pruning["freed_bytes"]), (1, first["disk_bytes"]))
        self.assertIn("begins anew", pruning["next"])
        kept = self.objects(self.store("status", left, "--json"))
        self.assertEqual([o.get("destination") for o in kept], [kept_name, None])
        self.assertEqual(kept[1]["used_bytes"], pruning["used_bytes"])
        self.assertEqual(self.store("verify", left).returncode, 0)
        done = self.store("prune", left, "--all")
        self.assertRegex(done.stdout, rf"{second['session'][:12]}  .*: given up\n.*: 1 session removed, .* freed, .* used\nnext: ")
        self.assertEqual(left.files("segment-") + left.files("journal-"), [])

    def test_a_kept_stream_keeps_others_out_until_it_is_pruned(self):
        left, room = self.killed_transfer()
        consumer = [sys.executable, "-SE", HERE / "keeper.py", room / "copy"]

        def ferry(finish):
            place = self.room()
            shutil.copytree(left.state, place / "target-state")
            return self.ferry(stream=self.other, consumer=consumer, room=place, finish=finish, target_extra=["--store", left.store, "--dedup-scope", "none"],
                              source_extra=["--give-up-after", "0"])

        pair = ferry(False)
        self.assertEqual(pair.source.wait(), FAULTS["busy"], pair.told())
        self.assertIn("zferry store prune", pair.source.end["error"], pair.told())
        pair.target.stop()
        self.assertEqual(self.store("prune", left, "--yes").returncode, 0)
        pair = ferry(True)
        self.check_success(pair, "applied")
        self.assertEqual((room / "copy").read_bytes(), small_zfs())

    # What is refused.

    def test_no_store(self):
        nowhere, empty, foreign = self.folder / "nowhere", self.room(), self.room()
        (foreign / "notes.txt").write_text("mine")
        for folder in (nowhere, empty, foreign, self.stream):
            before = sorted(folder.iterdir()) if folder.is_dir() else None
            self.every_verb(Left(folder, self.folder / "no-state"), "store-failed", folder)
            self.assertEqual(sorted(folder.iterdir()) if folder.is_dir() else None, before)
        self.assertFalse(nowhere.exists() or (self.folder / "no-state").exists())
        left, _ = self.killed_transfer()
        done = subprocess.run([BIN, "store", "status", f"{left.store}:512M", "--state", left.state], capture_output=True, text=True, check=False)
        self.refused(done, "store-failed", "without its capacity")

    def test_wrong_and_missing_keys(self):
        left, _ = self.killed_transfer()
        before = left.content()
        self.every_verb(left, "state-failed", "--state", state=self.folder / "no-state")
        self.assertFalse((self.folder / "no-state").exists())
        other = self.room()
        pair = self.ferry(stream=self.other, out=other / "out", room=other, target_extra=["--store", other / "store"])
        self.check_success(pair, "delivered")
        self.every_verb(left, "store-failed", "another key", "--state", state=other / "target-state")
        flip(left.state / "store-key", 30)
        self.every_verb(left, "state-failed", "store-key")
        self.assertEqual(left.content(), before)

    def test_unknown_versions(self):
        left, _ = self.killed_transfer()
        flip(left.store / "format", 8)
        self.every_verb(left, "store-failed", left.store / "format", "version 0", "version 1")

    def test_folders_of_others(self):
        left, _ = self.killed_transfer()
        left.store.chmod(0o777)
        self.every_verb(left, "store-failed", "others may write to it", "chmod 700")

    def test_usage(self):
        for arguments in (["store"], ["store", "nonsense"], ["store", "status"], ["store", "status", "a", "b"], ["store", "verify", "--all", "a"],
                          ["store", "prune", "a", "--session"], ["store", "status", "a", "--", "b"]):
            with self.subTest(arguments=arguments):
                done = subprocess.run([BIN, *arguments], capture_output=True, text=True, timeout=30, check=False)
                self.refused(done, "usage")
        for arguments in (["store", "--help"], ["store", "prune", "--help"], ["help", "store"]):
            done = subprocess.run([BIN, *arguments], capture_output=True, text=True, timeout=30, check=False)
            self.assertEqual((done.returncode, done.stderr), (0, ""))
            self.assertIn("prune", done.stdout)

    def test_full_standard_output(self):
        left, _ = self.killed_transfer()
        for verb in ("status", "verify"):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([BIN, "store", verb, left.store, "--state", left.state], stdout=full, stderr=subprocess.PIPE, text=True,
                                      timeout=30, check=False)
            self.assertEqual(done.returncode, FAULTS["output-failed"], done.stderr)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
