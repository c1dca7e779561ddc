"""Real ZFS at both ends: snapshots cross from one throw-away pool to another, and the copies are compared file by file.

Needs root and a ZFS (the kernel's, or zfs-fuse); without, it is skipped and says why. tools/lib/zfs.sh makes and destroys the pools.
"""
import hashlib
import os
import random
import subprocess
import sys
import unittest
from pathlib import Path

from harness import HERE, ROOT, FerryCase, main


def zfs(*arguments):
    return subprocess.run(["zfs", *arguments], check=True, capture_output=True, text=True).stdout


def digests(folder):
    """Path below `folder` -> type, mode and content of everything in it."""
    found = {}
    for path in sorted(Path(folder).rglob("*")):
        shown = str(path.relative_to(folder))
        if path.is_symlink():
            found[shown] = ("link", os.readlink(path))
        elif path.is_dir():
            found[shown] = ("folder", oct(path.stat().st_mode))
        else:
            found[shown] = ("file", oct(path.stat().st_mode), path.stat().st_size, hashlib.sha256(path.read_bytes()).hexdigest())
    return found


class RealZfs(FerryCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        os.environ["PATH"] += ":/usr/sbin:/sbin"
        pools = cls.folder / "pools"
        pools.mkdir()
        cls.server = subprocess.Popen(["bash", ROOT / "tools/lib/zfs.sh", "serve", pools], stdin=subprocess.PIPE,
                                      stdout=subprocess.PIPE, text=True)
        cls.addClassCleanup(cls.stop_server)
        answer = cls.server.stdout.readline().split()
        if answer[:1] != ["ready"]:
            raise unittest.SkipTest("no ZFS here: " + " ".join(answer[1:]))
        cls.kind, cls.first, cls.second = answer[1:]
        cls.mounts = pools
        print(f"on {cls.kind} ZFS, pools {cls.first} and {cls.second}", flush=True)

    @classmethod
    def stop_server(cls):
        """Closing its stdin makes it destroy the pools."""
        cls.server.communicate(timeout=60)

    def make(self, name):
        """A file system on the first pool with files in it; (dataset, folder)."""
        dataset, folder = f"{self.first}/{name}", self.mounts / self.first / name
        zfs("create", dataset)
        rng = random.Random(name)
        for number in range(120):
            path = folder / f"d{number % 7}" / f"f{number}"
            path.parent.mkdir(exist_ok=True)
            path.write_bytes(rng.randbytes(rng.choice((0, 1, 100, 4096, 20000, 131072, 300001))))
            path.chmod(rng.choice((0o600, 0o644, 0o755)))
        (folder / "large").write_bytes(rng.randbytes(3 << 20) + bytes(3 << 20) + b"text " * 300000)
        os.truncate(folder / "large", 12 << 20)
        (folder / "link").symlink_to("d1/f1")
        return dataset, folder

    def change(self, folder):
        rng = random.Random(2)
        (folder / "d2" / "f2").unlink()
        (folder / "d3" / "f3").rename(folder / "d3" / "renamed")
        (folder / "new").write_bytes(rng.randbytes(500000))
        with open(folder / "large", "r+b") as large:
            large.seek(2000000)
            large.write(b"changed" * 1000)
            large.truncate(9 << 20)

    def carry(self, send, receive, **options):
        pair = self.ferry(producer=["zfs", "send", *send], consumer=["zfs", "receive", *receive], **options)
        self.check_success(pair, "applied")
        return pair

    def compare(self, dataset, folder, copy):
        """The live original, which has not changed since its last snapshot, and the copy."""
        if zfs("get", "-H", "-o", "value", "mounted", copy).strip() != "yes":
            zfs("mount", copy)
        original, copied = digests(folder), digests(self.mounts / copy)
        self.assertGreater(len(original), 100)
        self.assertEqual(set(original), set(copied))
        different = [path for path, facts in original.items() if copied[path] != facts]
        self.assertEqual(different, [])
        zfs("unmount", copy)
        print(f"{dataset} -> {copy}: {len(original)} files, folders and links compared, all equal", flush=True)

    def guid(self, snapshot):
        return zfs("get", "-H", "-o", "value", "guid", snapshot).strip()

    def test_full_then_incremental(self):
        dataset, folder = self.make("plain")
        copy = f"{self.second}/plain"
        zfs("snapshot", f"{dataset}@one")
        room = self.room()
        self.carry([f"{dataset}@one"], ["-u", copy], room=room)
        zfs("set", "readonly=on", copy)
        self.compare(dataset, folder, copy)
        self.change(folder)
        zfs("snapshot", f"{dataset}@two")
        self.carry(["-i", f"{dataset}@one", f"{dataset}@two"], ["-u", copy], room=room)
        self.compare(dataset, folder, copy)
        for name in ("one", "two"):
            self.assertEqual(self.guid(f"{dataset}@{name}"), self.guid(f"{copy}@{name}"))

    def test_several_snapshots_and_children(self):
        """Compound streams: -R and -I."""
        dataset, folder = self.make("family")
        zfs("create", f"{dataset}/child")
        (folder / "child" / "file").write_bytes(b"of the child" * 10000)
        zfs("snapshot", "-r", f"{dataset}@one")
        self.change(folder)
        zfs("snapshot", "-r", f"{dataset}@two")
        self.carry(["-R", f"{dataset}@two"], ["-u", "-F", f"{self.second}/family"], listener="source", auth="secret")
        for name in ("one", "two"):
            for child in ("", "/child"):
                self.assertEqual(self.guid(f"{dataset}{child}@{name}"), self.guid(f"{self.second}/family{child}@{name}"))

    def test_piped(self):
        dataset, folder = self.make("piped")
        zfs("snapshot", f"{dataset}@one")
        with open(self.folder / "stream", "wb") as stream:
            subprocess.run(["zfs", "send", f"{dataset}@one"], stdout=stream, check=True)
        copy = f"{self.second}/piped"
        pair = self.ferry(stream=self.folder / "stream", consumer=["zfs", "receive", "-u", copy])
        self.check_success(pair, "applied")
        self.assertEqual(pair.source.end["producer"], "unknown")
        zfs("set", "readonly=on", copy)
        self.compare(dataset, folder, copy)

    def check_absent(self, dataset):
        self.assertNotEqual(subprocess.run(["zfs", "list", dataset], capture_output=True, check=False).returncode, 0, dataset)

    def test_failed_producer_makes_no_snapshot(self):
        """The producer writes the whole stream, END and all, and then fails: the snapshot must not exist."""
        dataset, _ = self.make("failing")
        zfs("snapshot", f"{dataset}@one")
        with open(self.folder / "failing", "wb") as stream:
            subprocess.run(["zfs", "send", f"{dataset}@one"], stdout=stream, check=True)
        copy = f"{self.second}/failing"
        for percent in ("50", "100"):
            pair = self.ferry(consumer=["zfs", "receive", "-u", copy],
                              producer=[sys.executable, HERE / "producer.py", "--file", self.folder / "failing", "--percent", percent,
                                        "--exit", "1"])
            self.check_both(pair, "producer-failed")
            self.check_absent(f"{copy}@one")

    def test_refusing_consumer(self):
        """`zfs receive` into what exists already: both ends fail, with its own words shown."""
        dataset, _ = self.make("refused")
        zfs("snapshot", f"{dataset}@one")
        zfs("create", f"{self.second}/refused")
        pair = self.ferry(producer=["zfs", "send", f"{dataset}@one"], consumer=["zfs", "receive", "-u", f"{self.second}/refused"])
        self.check_both(pair, "consumer-failed")
        self.assertIn("exists", "\n".join(pair.target.lines))
        self.check_absent(f"{self.second}/refused@one")

    def test_missing_snapshot(self):
        pair = self.ferry(producer=["zfs", "send", f"{self.first}@missing"], consumer=["zfs", "receive", "-u", f"{self.second}/missing"])
        self.check_both(pair, "producer-failed")
        self.check_absent(f"{self.second}/missing")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
