"""`zferry store import` and `store stats`, `recv --dedup-scope`: what a store is given ahead is found by the source that it is for, and told of."""
import json
import random
import re
import subprocess
import time
import unittest

from harness import BIN, FAULTS, FINISH_S, VALIDATOR, FerryCase, main
from streams import middling_zfs

MIB = 1 << 20


class StoreWindow(FerryCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.stream = cls.folder / "stream"
        cls.stream.write_bytes(middling_zfs())
        cls.size = cls.stream.stat().st_size

    def store(self, verb, room, *arguments, stdin=None, store="store"):
        arguments = ["store", verb, f"{room / 'store'}{store.removeprefix('store')}", "--state", room / "target-state", *arguments]
        return subprocess.run([BIN, *map(str, arguments)], input=stdin or b"", capture_output=True, timeout=FINISH_S, check=False)

    def bring(self, room, stdin, *arguments, store="store"):
        return self.store("import", room, "--peer", self.public["source"], *arguments, stdin=stdin, store=store)

    def object(self, done, exit_code=0):
        """The last object on standard output."""
        self.assertEqual(done.returncode, exit_code, done.stderr)
        objects = [json.loads(line) for line in done.stdout.splitlines()]
        if VALIDATOR:
            self.assertEqual([str(error) for found in objects for error in VALIDATOR.iter_errors(found)], [])
        return objects[-1]

    def refused(self, done, fault, *words):
        told = done.stderr.decode()
        self.assertEqual(done.returncode, FAULTS[fault], told)
        self.assertRegex(told, r"zferry: error: .+\nzferry: next: .+\n$")
        for word in words:
            self.assertIn(str(word), told)

    def carry(self, room, *extra):
        """(source's end, target's end) of one transfer of the stream."""
        out = room / "out"
        pair = self.ferry(stream=self.stream, out=out, room=room, target_extra=["--store", room / "store", *extra])
        self.check_success(pair, "delivered")
        self.assertTrue(out.read_bytes() == self.stream.read_bytes(), pair.told())
        out.unlink()
        return pair.source.end, pair.target.end

    def test_what_was_imported_is_found_and_told(self):
        room = self.room()
        told = self.object(self.bring(room, middling_zfs(), "--json"))
        self.assertEqual((told["type"], told["stream_bytes"]), ("store-import", self.size))
        self.assertGreater(told["new_bytes"], 0)
        stats = self.object(self.store("stats", room, "--json"))
        self.assertEqual((stats["sessions"], stats["looked_bytes"], stats["found_bytes"]), (0, 0, 0))
        self.assertEqual((stats["window_bytes"], stats["used_bytes"]), (told["window_bytes"], told["used_bytes"]))
        self.assertIn(b"nothing was looked for", self.store("stats", room).stdout)
        for end in self.carry(room):
            self.assertGreater(end["found_bytes"], self.size * 0.98)
            self.assertLess(end["wire_bytes"], self.size * 0.02)
        stats = self.object(self.store("stats", room, "--json"))
        self.assertGreater(stats["found_bytes"], self.size * 0.98)
        self.assertGreaterEqual(stats["looked_bytes"], stats["found_bytes"])
        self.assertGreater(stats["found_percent"], 98)
        self.assertRegex(self.store("stats", room).stdout.decode(), r"looked for: [\d.]+ MB; found, and not sent: [\d.]+ MB \(\d+\.\d %\)")
        self.assertEqual(self.object(self.store("verify", room, "--json"))["damaged_window_blocks"], 0)
        self.assertRegex(self.store("status", room).stdout.decode(), r"0 sessions, [\d.]+ MB used \([\d.]+ MB kept to be found again\)")

    def test_the_last_line_tells_of_it(self):
        """For people: only where there is something to tell."""
        room = self.room()
        auth = self.auth("secret")
        for found in (False, True):
            target = self.start_target(room, ["--listen", "127.0.0.1:0"], auth[1], out=room / f"out{found}", extra=["--store", room / "store", "--dedup-scope", "peer" if found else "none"])
            arguments = ["send", f"127.0.0.1:{target.port}", *auth[0], "--state", room / "source-state"]
            with open(self.stream, "rb") as stdin:
                done = subprocess.run([BIN, *map(str, arguments)], stdin=stdin, capture_output=True, text=True, timeout=FINISH_S, check=False)
            self.assertEqual((done.returncode, target.wait()), (0, 0), done.stderr)
            self.assertEqual(bool(re.search(r", found [\d.]+ MB at the target", done.stderr)), found, done.stderr)

    def test_again_adds_nothing(self):
        room = self.room()
        first = self.object(self.bring(room, middling_zfs(), "--json"))
        again = self.object(self.bring(room, middling_zfs(), "--json"))
        self.assertEqual((again["new_chunks"], again["new_bytes"], again["chunks"]), (0, 0, first["chunks"]))
        self.assertEqual(again["window_bytes"], first["window_bytes"])
        self.assertRegex(self.bring(room, middling_zfs()).stdout.decode(),
                         r": [\d.]+ MB read: \d+ chunks, 0 of them new \(0 B\); [\d.]+ MB used, [\d.]+ MB of it kept to be found again\n$")

    def test_streams_that_break(self):
        for name, fault, stream in (("cut", "stream-incomplete", middling_zfs()[:12 * MIB]),
                                    ("damaged", "stream-damaged", middling_zfs()[:12 * MIB] + bytes(8) + middling_zfs()[12 * MIB + 8:])):
            with self.subTest(stream=name):
                room = self.room()
                done = self.bring(room, stream)
                self.refused(done, fault, "what came before that is kept")
                self.assertRegex(done.stdout.decode(), r": 1[\d.]+ MB read: ")
                source, _ = self.carry(room)
                self.assertGreater(source["found_bytes"], 0)
        self.refused(self.bring(self.room(), b""), "stream-incomplete", "empty")

    def test_a_full_store(self):
        room = self.room()
        stream = random.Random(5).randbytes(80 * MIB)
        done = self.bring(room, stream, store="store:64Mi")
        self.refused(done, "store-full", "capacity", "store import FOLDER:CAPACITY")
        told = self.object(self.store("stats", room, "--json"))
        self.assertLessEqual(told["used_bytes"], 64 * MIB)
        self.assertGreater(told["window_bytes"], 32 * MIB)
        self.assertEqual(told["sessions"], 0)

    def test_one_that_was_killed_is_gone_on_with(self):
        room = self.room()
        arguments = ["store", "import", room / "store", "--state", room / "target-state", "--peer", self.public["source"]]
        stream = random.Random(6).randbytes(96 * MIB)
        running = subprocess.Popen([BIN, *map(str, arguments)], stdin=subprocess.PIPE)
        running.stdin.write(stream[:90 * MIB])
        running.stdin.flush()
        limit = time.monotonic() + FINISH_S
        while sum(path.stat().st_size for path in (room / "store").glob("segment-*")) < 60 * MIB and time.monotonic() < limit:
            time.sleep(0.05)
        self.refused(self.bring(room, stream), "busy", "in use by process")
        self.assertEqual(self.store("stats", room).returncode, 0, "it asks for no lock")
        running.kill()
        running.wait()
        running.stdin.close()
        self.assertIn(b"kept to be found again", self.store("status", room).stdout)
        told = self.object(self.bring(room, stream, "--json"))
        self.assertEqual(told["stream_bytes"], len(stream))
        self.assertLess(told["new_bytes"], 40 * MIB, "what was committed is there")
        self.assertEqual(self.object(self.store("stats", room, "--json"))["sessions"], 0)

    def test_whose_stream_it_is(self):
        room = self.room()
        config = room / "config"
        config.mkdir()
        self.refused(self.store("import", room, "--config", config, stdin=middling_zfs()), "usage", "--peer", config / "allow")
        (config / "allow").write_text(f"{self.public['source']}\n{self.public['stranger']}\n")
        self.refused(self.store("import", room, "--config", config, stdin=middling_zfs()), "usage", "--peer", "2 keys")
        self.assertFalse((room / "store").exists() or (room / "target-state").exists())
        (config / "allow").write_text(self.public["source"] + "\n")
        told = self.object(self.store("import", room, "--config", config, "--json", stdin=middling_zfs()))
        self.assertGreater(told["new_chunks"], 0)
        (config / "peers").write_text(f"tank.example {self.public['source']}\n")
        told = self.object(self.store("import", room, "--config", config, "--peer", "tank.example", "--json", stdin=middling_zfs()))
        self.assertEqual(told["new_chunks"], 0)
        self.refused(self.store("import", room, "--config", config, "--peer", "nobody", stdin=middling_zfs()), "usage", "peers")

    def test_scopes(self):
        room = self.room()
        self.object(self.bring(room, middling_zfs(), "--json"))
        for scope, found in (("none", False), ("session", False), ("dataset", False), ("peer", True)):
            with self.subTest(scope=scope):
                for end in self.carry(room, "--dedup-scope", scope):
                    self.assertEqual(end["found_bytes"] > self.size * 0.98, found)
        source, _ = self.carry(room, "--dedup-scope", "dataset")
        self.assertGreater(source["found_bytes"], self.size * 0.98, "it was sent to the same file before")

    def test_usage(self):
        secret = ["--secret", self.folder / "secret", "--listen", "127.0.0.1:0"]
        for arguments in (["recv", *secret, "--dedup-scope", "peer"], ["recv", *secret, "--store", self.folder / "s", "--dedup-scope", "all"],
                          ["store", "import"], ["store", "stats"], ["store", "stats", "a", "--peer", "b"], ["store", "import", "/s:lots"],
                          ["store", "import", "/s:1M"], ["store", "import", "a", "--all"]):
            with self.subTest(arguments=arguments):
                done = subprocess.run([BIN, *map(str, arguments)], stdin=subprocess.DEVNULL, capture_output=True, timeout=30, check=False)
                self.refused(done, "usage")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
