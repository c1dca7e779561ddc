"""The stand-in for `zfs receive` itself: what it takes, keeps, refuses and tells, and that a receive which was interrupted anywhere and
resumed has become what one in one go becomes."""
import random
import shutil
import signal
import subprocess
import tempfile
import time
import unittest
from pathlib import Path

import fake_zfs
from fake_pool import FakePool, read_token, records, resuming_stream
from fletcher import Fletcher4
from harness import SHARED, main
from streams import kept_files, zfs_bytes

import make_stream  # found through harness

SHARED_FULL = ("full-plain", "full-Lce", "full-e", "zvol-16k")


class Case(unittest.TestCase):
    def setUp(self):
        self.folder = Path(tempfile.mkdtemp(prefix="zferry-fake-"))
        self.addCleanup(shutil.rmtree, self.folder, True)
        self.made = zfs_bytes(3 << 20, 21, 16384)
        self.guid = str(fake_zfs.u64(self.made, 40))

    def pool(self, **settings):
        return FakePool(Path(tempfile.mkdtemp(dir=self.folder)), **settings)

    def file(self, data):
        path = self.folder / f"stream{len(list(self.folder.iterdir()))}"
        path.write_bytes(data)
        return path

    def in_one_go(self, data):
        pool = self.pool()
        self.assertEqual(pool.receive(self.file(data), "-s", "-u", "p/x").returncode, 0)
        self.assertIsNone(pool.token("p/x"))
        name = pool.zfs("list", "-H", "-t", "snapshot", "-o", "name", "p/x").stdout.strip()
        return name, pool.dump(name)

    def test_sums(self):
        rng = random.Random(1)
        for size in [4 * n for n in range(70)] + [280, 4096, 131068, 131072, 131076, 300000]:
            for data in (rng.randbytes(size), b"\xff" * size):
                mine = Fletcher4()
                mine.feed(data[:size // 8 * 4])
                mine.feed(data[size // 8 * 4:])
                self.assertEqual(mine.sums, make_stream.fletcher4(data)[:4], size)

    def test_a_whole_stream(self):
        name, dump = self.in_one_go(self.made)
        self.assertEqual(name, "p/x@one")
        written = sum(kind == fake_zfs.WRITE for kind, _, _ in records(self.made))
        self.assertGreater(written, 150)
        self.assertEqual(dump.count(b"\ndata "), written)
        pool = self.pool()
        self.assertEqual(pool.receive(self.file(self.made), "p/x").returncode, 0)
        self.assertEqual(pool.dump("p/x@one"), dump)
        self.assertEqual(pool.zfs("get", "-H", "-p", "-o", "value", "guid", "p/x@one").stdout, f"{self.guid}\n")
        self.assertEqual(pool.zfs("list", "-H", "-t", "snapshot", "-o", "name,guid").stdout, f"p/x@one\t{self.guid}\n")
        other = self.in_one_go(zfs_bytes(3 << 20, 22, 16384))[1]
        self.assertNotEqual(other, dump)

    def test_content_tells(self):
        """Each byte of a payload, each object and each free counts."""
        dumps = {self.in_one_go(self.made)[1]}
        for changed in (fake_zfs.WRITE, fake_zfs.OBJECT):
            seen, parts = 0, []
            for kind, header, payload in records(self.made):
                header = bytearray(header)
                header[fake_zfs.CHECKSUM_AT:] = bytes(32)
                if kind == fake_zfs.END:
                    header[8:40] = bytes(32)
                if kind == changed:
                    seen += 1
                    if seen == 1:
                        payload = bytes([payload[0] ^ 1]) + payload[1:]
                parts.append(bytes(header) + payload)
            dumps.add(self.in_one_go(b"".join(parts))[1])
        self.assertEqual(len(dumps), 3)

    def feed(self, process, data):
        try:
            process.stdin.write(data)
            process.stdin.flush()
        except BrokenPipeError:
            self.fail(process.stderr.read().decode())

    def interrupted(self, data, part, how, pool, dataset):
        """A receive of the first `part` bytes, ended by `how`; its exit code."""
        process = pool.start("-s", "-u", dataset)
        self.feed(process, data[:part])
        time.sleep(0.25)                           # a few groups
        if how != "eof":
            process.send_signal(how)
        else:
            process.stdin.close()
        code = process.wait(20)
        process.stderr.close()
        if how != "eof":
            process.stdin.close()
        return code

    def resume(self, data, how, rng, turns=3):
        pool, compared = self.pool(group_ms=40), 0
        name, whole = self.in_one_go(data)
        now, last = data, (1, 0)
        for _ in range(turns):
            part = rng.randrange(fake_zfs.HEADER_BYTES * 3, len(now))
            code = self.interrupted(now, part, how, pool, "p/x")
            self.assertEqual(code, 1 if how == "eof" else -how if how == signal.SIGKILL else 128 + how)
            place = pool.place("p/x")
            if place is None:                      # cut before the first record was taken
                continue
            at = place["object"], place["offset"]
            self.assertEqual(place["toguid"], fake_zfs.u64(data, 40))
            self.assertGreaterEqual(at, last)
            last = at
            refused = pool.receive(self.file(data), "-s", "-F", "p/x")
            self.assertEqual(refused.returncode, 1)
            self.assertIn("partially-complete state", refused.stderr)
            for wrong in ((at[0], at[1] + 512), (at[0] + 1, 0)):
                self.assertEqual(pool.receive(self.file(resuming_stream(data, *wrong)), "-s", "p/x").returncode, 1)
            self.assertEqual(pool.place("p/x"), place)
            now = resuming_stream(data, *at)
        self.assertEqual(pool.receive(self.file(now), "-s", "-u", "p/x").returncode, 0)
        self.assertIsNone(pool.token("p/x"))
        self.assertEqual(pool.dump(name), whole)
        compared += len(whole)
        return compared

    def test_interrupted_and_resumed(self):
        rng, compared = random.Random(5), 0
        for how in ("eof", signal.SIGTERM, signal.SIGKILL):
            for _ in range(2):
                compared += self.resume(self.made, how, rng)
        print(f"{self.id()}: {compared} bytes of dumps compared", flush=True)

    def test_real_streams(self):
        found = {path.name.split(".")[0]: path for _, path in kept_files()}
        if not set(SHARED_FULL) <= set(found):
            self.skipTest(f"no {SHARED / 'streams'}")
        rng, compared = random.Random(6), 0
        for name in SHARED_FULL:
            data = subprocess.run(["zstd", "-dqc", found[name]], stdout=subprocess.PIPE, check=True).stdout
            compared += self.resume(data, rng.choice(["eof", signal.SIGKILL]), rng, turns=2)
        print(f"{self.id()}: {compared} bytes of dumps compared", flush=True)

    def test_increments(self):
        pool = self.pool()
        empty = next(path for name, path in kept_files() if "inc-empty" in name)
        data = subprocess.run(["zstd", "-dqc", empty], stdout=subprocess.PIPE, check=True).stdout
        self.assertIn("does not exist", pool.receive(self.file(data), "-s", "p/x").stderr)
        pool.zfs("plant", "p/x@base", "77")
        self.assertIn("does not\nmatch", pool.receive(self.file(data), "-s", "p/x").stderr)
        pool.zfs("plant", "p/x@base2", str(fake_zfs.u64(data, 48)))
        self.assertEqual(pool.receive(self.file(data), "-s", "p/x").returncode, 0)
        self.assertEqual(len(pool.zfs("list", "-H", "-t", "snapshot", "-o", "name", "p/x").stdout.split()), 3)

    def test_groups(self):
        """Killed between two groups: what came since the last one is lost; idle, a group still ends in time."""
        pool = self.pool(group_ms=100)
        process = pool.start("-s", "p/x")
        process.stdin.write(self.made[:1 << 20])
        process.stdin.flush()
        place = pool.await_place("p/x", lambda place: place["offset"] > 0)
        time.sleep(0.3)
        place = pool.place("p/x")
        self.assertGreater(place["bytes"], (1 << 20) - 40000)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            pipe.close()
        self.assertEqual(pool.place("p/x"), place)
        pool = self.pool(group_ms=100000)
        self.assertEqual(self.interrupted(self.made, 1 << 20, signal.SIGKILL, pool, "p/y"), -9)
        place = pool.place("p/y")
        self.assertEqual((place["object"], place["offset"], place["bytes"]), (1, 0, 0))
        pool = self.pool(group_ms=100000, group_bytes=500000)
        self.assertEqual(self.interrupted(self.made, 1 << 20, signal.SIGKILL, pool, "p/y"), -9)
        self.assertTrue(400000 < pool.place("p/y")["bytes"] < 600000, pool.place("p/y"))

    def test_a_token_is_shown_before_it_is_kept(self):
        pool = self.pool(group_ms=100000, group_bytes=500000)
        process = pool.start("-s", "p/x")
        process.stdin.write(self.made[:1 << 20])
        process.stdin.flush()
        shown = pool.await_place("p/x", lambda place: place["bytes"] > 900000)
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stderr):
            pipe.close()
        kept = pool.place("p/x")
        self.assertTrue(400000 < kept["bytes"] < 600000 < shown["bytes"], (kept, shown))
        data = resuming_stream(self.made, shown["object"], shown["offset"])
        self.assertEqual(pool.receive(self.file(data), "-s", "p/x").returncode, 1)
        data = resuming_stream(self.made, kept["object"], kept["offset"])
        self.assertEqual(pool.receive(self.file(data), "-s", "p/x").returncode, 0)
        self.assertEqual(pool.dump("p/x@one"), self.in_one_go(self.made)[1])

    def test_token(self):
        pool = self.pool()
        self.interrupted(self.made, 1 << 20, "eof", pool, "p/x")
        token = pool.token("p/x")
        version, word, length, packed = token.split("-")
        packed = bytes.fromhex(packed)
        self.assertEqual((version, int(word, 16)), ("1", make_stream.fletcher4(packed[:len(packed) // 4 * 4])[0]))
        self.assertEqual(read_token(token)["toguid"], int(self.guid))
        self.assertGreater(int(length, 16), 100)

    def test_without_s_nothing_is_left(self):
        for how in (signal.SIGKILL, signal.SIGTERM, None):
            pool = self.pool(group_ms=10)
            process = pool.start("-u", "p/x")
            process.stdin.write(self.made[:2 << 20])
            process.stdin.flush()
            time.sleep(0.2)
            if how:
                process.send_signal(how)
            process.stdin.close()
            self.assertEqual(process.wait(20), {signal.SIGKILL: -9, signal.SIGTERM: 143, None: 1}[how])
            process.stderr.close()
            self.assertIn("does not exist", pool.zfs("get", "-H", "-o", "value", "receive_resume_token", "p/x", check=False).stderr)
            self.assertEqual(pool.receive(self.file(self.made), "p/x").returncode, 0)

    def test_damage(self):
        rng, refused = random.Random(3), 0
        for _ in range(12):
            data, at = bytearray(self.made), rng.randrange(400, len(self.made))
            data[at] ^= 1 << rng.randrange(8)
            pool = self.pool()
            result = pool.receive(self.file(bytes(data)), "-s", "p/x")
            self.assertEqual(result.returncode, 1, at)
            self.assertIsNone(pool.dump("p/x@one"))
            refused += 1
            if pool.token("p/x"):
                place = pool.place("p/x")
                self.assertLessEqual(place["bytes"], at)
        self.assertEqual(refused, 12)

    def test_busy_exists_and_abort(self):
        pool = self.pool()
        process = pool.start("-s", "p/x")
        process.stdin.write(self.made[:1 << 20])
        process.stdin.flush()
        pool.await_place("p/x", lambda place: True)
        self.assertEqual(pool.receiver("p/x"), process.pid)
        self.assertIn("busy", pool.receive(self.file(self.made), "-s", "p/x").stderr)
        self.assertEqual(pool.kill("p/x", signal.SIGTERM), process.pid)
        self.assertEqual(process.wait(20), 143)
        process.stdin.close()
        process.stderr.close()
        self.assertIn("exists", pool.receive(self.file(self.made), "-s", "p/x").stderr)
        pool.zfs("receive", "-A", "p/x")
        self.assertEqual(pool.zfs("receive", "-A", "p/x", check=False).returncode, 1)
        self.assertEqual(pool.receive(self.file(self.made), "-s", "p/x").returncode, 0)
        again = pool.receive(self.file(self.made), "-s", "p/x")
        self.assertEqual((again.returncode, "exists" in again.stderr), (1, True))
        self.assertEqual(pool.receive(self.file(self.made), "-s", "-F", "p/x").returncode, 0)


if __name__ == "__main__":
    main()
