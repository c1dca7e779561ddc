"""Streams that are interrupted, again and again, and go on from a resuming stream that was made without the sender: from the stored
original and the token alone. Each is compared with what `zfs send -t` makes of the same token; guids and contents at the end.
"""
import filecmp
import json
import os
import random
import subprocess
import unittest
from pathlib import Path

from case import VOLUME_BYTES, VmCase
from pools import PoolCase, zfs

MAKE_RESUMING = os.environ.get("ZFERRY_MAKE_RESUMING", "/share/make-resuming")
PARTS = (0.2, 0.35, 0.6)   # of what is left, at each interruption
ALLOW_REDACTED = Path("/sys/module/zfs/parameters/zfs_allow_redacted_dataset_mount")
FALLOCATE_PUNCH = ["fallocate", "--punch-hole", "--keep-size"]


def dumped(stream):
    """The beginning of what a stream holds, for people."""
    with open(stream, "rb") as file:
        return subprocess.run(["zstream", "dump", "-v"], stdin=file, capture_output=True, text=True, check=False).stdout[:3000]


class Resuming(VmCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(MAKE_RESUMING, os.X_OK):
            raise unittest.SkipTest(f"there is no {MAKE_RESUMING}")
        super().setUpClass()

    def store(self, name, send):
        """The stream as a store would have it."""
        path = self.folder / f"{name}.zstream"
        with open(path, "wb") as file:
            subprocess.run(["zfs", "send", *send], stdout=file, check=True)
        return path

    def receive(self, stream, copy, limit=None, options=()):
        """The first `limit` bytes of a stream into `zfs receive -s`: its exit code and what it said."""
        consumer = subprocess.Popen(["zfs", "receive", "-s", "-u", *options, copy], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        left = stream.stat().st_size if limit is None else limit
        with open(stream, "rb") as file:
            try:
                while left > 0 and (piece := file.read(min(left, 1 << 17))):
                    consumer.stdin.write(piece)
                    left -= len(piece)
            except BrokenPipeError:
                pass   # what it says tells why
        said = consumer.communicate()[1].decode(errors="replace")
        return consumer.returncode, said

    def resuming(self, token, stored, start="last"):
        """The resuming stream of what a target has kept, and what was made of it."""
        path = self.folder / f"resuming-{start}.zstream"
        with open(path, "wb") as file:
            made = subprocess.run([MAKE_RESUMING, "--from", str(start), token, stored], stdout=file, stderr=subprocess.PIPE, check=False)
        self.assertEqual(made.returncode, 0, made.stderr)
        return path, json.loads(made.stderr)

    def check_same_as_zfs(self, token, ours):
        theirs = self.folder / "theirs.zstream"
        with open(theirs, "wb") as file:
            subprocess.run(["zfs", "send", "-t", token], stdout=file, check=True)
        if not filecmp.cmp(theirs, ours, shallow=False):
            self.fail(f"{ours} is not what zfs send -t makes:\n{dumped(theirs)}\n{dumped(ours)}")

    def interrupt(self, stream, copy, limit, options=()):
        code, said = self.receive(stream, copy, limit, options)
        self.assertNotEqual(code, 0, f"the receive that was cut at {limit} bytes")
        token = self.token(copy)
        self.assertIsNotNone(token, f"{copy} has no token: {said}")
        return token

    def carry_in_pieces(self, send, copy, parts=PARTS, options=()):
        stored = self.store("stored", send)
        stream, followed = stored, []
        for part in parts:
            token = self.interrupt(stream, copy, int(stream.stat().st_size * part), options)
            stream, facts = self.resuming(token, stored)
            self.check_same_as_zfs(token, stream)
            whole, _ = self.resuming(token, stored, 0)
            self.assertTrue(filecmp.cmp(whole, stream, shallow=False), "what was thrown away made a difference")
            followed.append(facts["followed"])
        self.assertEqual(followed, sorted(followed))
        code, said = self.receive(stream, copy, options=options)
        self.assertEqual(code, 0, said)
        self.assertIsNone(self.token(copy), "a token is left")
        print(f"{copy}: {stored.stat().st_size} bytes, interrupted {len(parts)} times, {followed} bytes thrown away, "
              f"{len(parts)} resuming streams equal to those of zfs send -t", flush=True)

    def carry_whole(self, send, copy, options=()):
        code, said = self.receive(self.store("base", send), copy, options=options)
        self.assertEqual(code, 0, said)

    # Kinds of streams.

    def make_rich(self, name, *options, encrypted=False):
        """With spill blocks, tiny files, holes, and something large."""
        make = self.make_encrypted if encrypted else self.make
        dataset, folder = make(name, "-o", "xattr=sa", *options)
        rng = random.Random(name + "rich")
        for number in range(40):
            (folder / f"tiny{number}").write_bytes(b"embedded " * (number % 12 + 1))
            for attribute in range(number % 4):
                os.setxattr(folder / f"tiny{number}", f"user.a{attribute}", rng.randbytes(200 * attribute + 100))
        self.fill_more(folder, "more", 8 << 20)
        return dataset, folder

    def change_rich(self, folder):
        """Objects that go, holes in what stays, contents that change under extended attributes that do not."""
        self.change(folder)
        for number in range(0, 40, 3):
            (folder / f"tiny{number}").unlink()
        for number in range(1, 40, 3):
            (folder / f"tiny{number}").write_bytes(b"changed " * number)
        for start in (0, 2, 5):
            subprocess.run([*FALLOCATE_PUNCH, "--offset", str(start << 20), "--length", str(700000), folder / "more"], check=True)
        with open(folder / "more", "r+b") as more:
            for place in range(1, 8):
                more.seek((place << 20) + 800000)
                more.write(random.Random(place).randbytes(150000))
        self.fill_more(folder, "later", 4 << 20)

    def check_full(self, name, flags, *options, encrypted=False):
        dataset, folder = self.make_rich(name, *options, encrypted=encrypted)
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/{name}"
        self.carry_in_pieces([*flags, f"{dataset}@one"], copy)
        self.check_guid(dataset, copy, "one")
        self.compare(dataset, folder, copy)

    def check_increment(self, name, flags, *options, encrypted=False):
        dataset, folder = self.make_rich(name, *options, encrypted=encrypted)
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/{name}"
        self.carry_whole([*flags, f"{dataset}@one"], copy)
        self.change_rich(folder)
        zfs("snapshot", f"{dataset}@two")
        self.carry_in_pieces([*flags, "-i", "@one", f"{dataset}@two"], copy)
        self.check_guid(dataset, copy, "one", "two")
        self.compare(dataset, folder, copy)

    def test_plain(self):
        self.check_full("plain", [])

    def test_compressed(self):
        self.check_full("compressed", ["-c"], "-o", "compression=lz4")

    def test_large(self):
        self.check_full("large", ["-L"], "-o", "recordsize=1M")

    def test_embedded(self):
        self.check_full("embedded", ["-e"], "-o", "compression=lz4")

    def test_large_compressed_embedded(self):
        self.check_full("lce", ["-Lce"], "-o", "recordsize=1M", "-o", "compression=zstd")

    def test_raw_encrypted(self):
        self.check_full("raw", ["-w"], encrypted=True)

    def test_raw_of_an_unencrypted_one(self):
        self.check_full("rawplain", ["-w"])

    def test_large_dnodes(self):
        self.check_full("dnodes", ["-Lce"], "-o", "dnodesize=2k")

    def test_increment(self):
        self.check_increment("inc", [])

    def test_increment_large_compressed_embedded(self):
        self.check_increment("inclce", ["-Lce"], "-o", "recordsize=1M", "-o", "compression=zstd")

    def test_increment_raw_encrypted(self):
        self.check_increment("incraw", ["-w"], encrypted=True)

    def test_redacted(self):
        """Contents that were taken out are not there; all else is."""
        dataset, folder = self.make_rich("secretive")
        zfs("snapshot", f"{dataset}@one")
        clone, copy = f"{self.first}/redactor", f"{self.second}/secretive"
        zfs("clone", f"{dataset}@one", clone)
        redacted = {"d1/f1", "d3/f3", "large", "more"}
        for name in redacted:
            path = self.mounts / clone / name
            path.write_bytes(b"x" * path.stat().st_size)
        zfs("snapshot", f"{clone}@one")
        zfs("redact", f"{dataset}@one", "book", f"{clone}@one")
        self.carry_in_pieces(["--redact", "book", f"{dataset}@one"], copy)
        self.check_guid(dataset, copy, "one")
        ALLOW_REDACTED.write_text("1")
        zfs("mount", "-f", copy)
        compared = 0
        for path in folder.rglob("*"):
            name = str(path.relative_to(folder))
            if path.is_file() and not path.is_symlink() and name not in redacted:
                self.assertEqual(path.read_bytes(), (self.mounts / copy / name).read_bytes(), name)
                compared += 1
        self.assertGreater(compared, 100)
        try:
            self.assertNotEqual((folder / "more").read_bytes(), (self.mounts / copy / "more").read_bytes())
        except OSError:
            pass   # as it should be
        PoolCase.compared += compared
        print(f"{dataset} -> {copy}: {compared} files compared, all equal", flush=True)

    def test_clone(self):
        dataset, folder = self.make_rich("origin")
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/origin"
        self.carry_whole([f"{dataset}@one"], copy)
        clone = f"{self.first}/clone"
        zfs("clone", f"{dataset}@one", clone)
        clone_folder = self.mounts / clone
        self.change_rich(clone_folder)
        zfs("snapshot", f"{clone}@two")
        self.carry_in_pieces(["-i", f"{dataset}@one", f"{clone}@two"], f"{self.second}/clone")
        self.check_guid(clone, f"{self.second}/clone", "two")
        self.compare(clone, clone_folder, f"{self.second}/clone")

    def check_volume(self, name, flags, *options):
        dataset, copy = f"{self.first}/{name}", f"{self.second}/{name}"
        zfs("create", "-V", str(VOLUME_BYTES), *options, dataset)
        rng = random.Random(name)
        with open(self.device(dataset), "r+b") as device:
            for place in range(0, VOLUME_BYTES - (2 << 20), 3 << 20):
                device.seek(place)
                device.write(rng.randbytes(1 << 20) + b"text " * 100000)
        zfs("snapshot", f"{dataset}@one")
        self.carry_in_pieces([*flags, f"{dataset}@one"], copy)
        self.check_guid(dataset, copy, "one")
        with open(self.device(dataset), "r+b") as device:
            for place in range(0, VOLUME_BYTES - (2 << 20), 2 << 20):
                device.seek(place)
                device.write(rng.randbytes(300000))
        subprocess.run(["blkdiscard", "--offset", str(6 << 20), "--length", str(3 << 20), self.device(dataset)], check=True)
        zfs("snapshot", f"{dataset}@two")
        self.carry_in_pieces([*flags, "-i", "@one", f"{dataset}@two"], copy, PARTS[:2])
        self.check_guid(dataset, copy, "one", "two")
        if "-w" in flags and zfs("get", "-H", "-o", "value", "keystatus", copy).strip() == "unavailable":
            zfs("load-key", "-L", zfs("get", "-H", "-o", "value", "keylocation", dataset).strip(), copy)
        self.check_device(dataset, copy)

    def test_volume(self):
        self.check_volume("vm", [])

    def test_volume_compressed(self):
        self.check_volume("vmc", ["-Lce"], "-o", "volblocksize=64k", "-o", "compression=lz4")

    def test_volume_raw_encrypted(self):
        key = self.folder / "vmw.zfskey"
        key.write_bytes(random.Random("vmw").randbytes(32))
        self.check_volume("vmw", ["-w"], "-o", "encryption=aes-256-gcm", "-o", "keyformat=raw", "-o", f"keylocation=file://{key}")

    def check_early(self, send, copy):
        """After the first records, when ZFS has written nothing and says so with the place {1, 0}: all comes again."""
        stored = self.store("stored", send)
        with open(stored, "rb") as file:
            begin_bytes = 312 + int.from_bytes(file.read(8)[4:], "little")
        for limit in (100, begin_bytes):
            self.assertNotEqual(self.receive(stored, copy, limit)[0], 0)
            self.assertIsNone(self.token(copy), f"after {limit} bytes")   # nothing is begun before the first record after BEGIN
        stream = stored
        for records in (1, 2, 5):
            token = self.interrupt(stream, copy, begin_bytes + 96 + records * 312)
            stream, facts = self.resuming(token, stored)
            self.assertEqual((facts["object"], facts["offset"]), (1, 0))
            self.check_same_as_zfs(token, stream)
        code, said = self.receive(stream, copy)
        self.assertEqual(code, 0, said)

    def test_nothing_written_yet(self):
        dataset, folder = self.make_rich("early")
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/early"
        self.check_early([f"{dataset}@one"], copy)
        self.check_guid(dataset, copy, "one")
        self.change_rich(folder)
        zfs("snapshot", f"{dataset}@two")
        self.check_early(["-i", "@one", f"{dataset}@two"], copy)
        self.check_guid(dataset, copy, "one", "two")
        self.compare(dataset, folder, copy)

    def test_nothing_written_yet_raw_encrypted(self):
        dataset, folder = self.make_rich("earlyraw", encrypted=True)
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/earlyraw"
        self.check_early(["-w", f"{dataset}@one"], copy)
        self.check_guid(dataset, copy, "one")
        self.change_rich(folder)
        zfs("snapshot", f"{dataset}@two")
        self.check_early(["-w", "-i", "@one", f"{dataset}@two"], copy)
        self.check_guid(dataset, copy, "one", "two")
        self.compare(dataset, folder, copy)


if __name__ == "__main__":
    unittest.main()
