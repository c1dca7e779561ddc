"""Real ZFS at both ends: snapshots cross from one throw-away pool to another, and the copies are compared file by file.

Needs root and a ZFS (the kernel's, or zfs-fuse); without, it is skipped and says why.
"""
import subprocess
import sys
import unittest

from harness import HERE, main
from pools import PoolCase, zfs


class RealZfs(PoolCase):
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
