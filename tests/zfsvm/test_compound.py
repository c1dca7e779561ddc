"""Streams of many snapshots into a target with a store, whose consumer and process die: one more `zfs receive` gets what ZFS lacks, and all is as
it would have been: guids, contents, properties, encryption roots.
"""
import os
import signal
import subprocess
import unittest

from case import PATIENCE_S, VmCase, receivers
from pools import zfs

CHILDREN = ("", "/a", "/a/n", "/b")
SNAPSHOTS = ("s1", "s2", "s3")


class Compound(VmCase):
    def make_tree(self, name, encrypted=False):
        dataset, folder = (self.make_encrypted if encrypted else self.make)(name)
        for child in CHILDREN[1:]:
            zfs("create", "-o", f"org:x={child}", dataset + child)
        for snapshot in SNAPSHOTS:
            for child in CHILDREN:
                self.fill_more(folder / child.strip("/"), f"{snapshot}", 1 << 20)
            zfs("snapshot", "-r", f"{dataset}@{snapshot}")
        return dataset, folder

    def ferry_with_kills(self, send, receive, kills, limit="600k"):
        """`kills`: (part, victim): who dies once so much of the stream has been acknowledged."""
        room, consumer = self.room(), ["zfs", "receive", "-s", "-u", *receive]
        store = ["--store", f"{room / 'store'}:512M"]
        pair = self.ferry(producer=["zfs", "send", *send], consumer=consumer, room=room, source_extra=["--limit", limit, "--compress", "off"],
                          target_extra=store, finish=False)
        port = pair.target.port
        whole = self.stream_size(send)
        for part, victim in kills:
            self.assertIsNotNone(pair.source.await_object(
                lambda o, n=whole * part: o.get("type") == "progress" and o["acked_bytes"] >= n, PATIENCE_S), pair.told())
            self.assertIsNone(pair.source.process.poll(), f"it ended too soon{pair.told()}")
            if victim == "target":
                self.kill(pair.target)
                pair.target = self.start_target(room, ["--listen", f"127.0.0.1:{port}"], self.auth("key")[1], consumer=consumer, extra=store)
            else:
                for process in receivers():
                    os.kill(process, signal.SIGKILL)
        self.finish(pair)
        self.check_success(pair, "applied")
        self.assertIn("what ZFS lacks of", "\n".join(pair.target.lines))

    def check_tree(self, dataset, copy, snapshots=SNAPSHOTS):
        for child in CHILDREN:
            self.check_guid(dataset + child, copy + child, *snapshots)
            self.assertIsNone(self.token(copy + child), "a token is left")

    def check_properties(self, copy):
        for child in CHILDREN[1:]:
            self.assertEqual(zfs("get", "-H", "-o", "value,source", "org:x", copy + child).split(), [child, "received"])

    def compare_tree(self, dataset, folder, copy):
        for child in CHILDREN:
            zfs("set", "readonly=on", copy + child)
            zfs("mount", copy + child)
        self.compare(dataset, folder, copy)

    def test_tree(self):
        dataset, folder = self.make_tree("tree")
        copy = f"{self.second}/tree"
        self.ferry_with_kills(["-R", f"{dataset}@s3"], ["-d", self.second],
                              [(0.3, "target"), (0.55, "consumer"), (0.8, "target")])
        self.check_tree(dataset, copy)
        self.check_properties(copy)
        self.compare_tree(dataset, folder, copy)

    def test_raw_tree(self):
        """The file system at the top is complete when all dies: its children's keys are its own all the same."""
        dataset, folder = self.make_tree("rawtree", encrypted=True)
        copy = f"{self.second}/new"
        self.ferry_with_kills(["-w", "-R", f"{dataset}@s3"], [copy], [(0.6, "target"), (0.85, "consumer")])
        self.check_tree(dataset, copy)
        self.check_properties(copy)
        for child in CHILDREN:
            self.assertEqual(zfs("get", "-H", "-o", "value", "encryptionroot", copy + child).strip(), copy)
        zfs("load-key", "-L", zfs("get", "-H", "-o", "value", "keylocation", dataset).strip(), copy)
        self.compare_tree(dataset, folder, copy)

    def test_increments(self):
        dataset, folder = self.make_tree("steps")
        copy = f"{self.second}/steps"
        self.carry(["-R", f"{dataset}@s1"], ["-u", copy])
        self.ferry_with_kills(["-I", "@s1", f"{dataset}@s3"], [copy], [(0.6, "target")], limit="150k")
        self.check_guid(dataset, copy, *SNAPSHOTS)
        self.carry(["-R", "-I", "@s1", f"{dataset}@s3"], ["-u", "-F", copy])
        self.check_tree(dataset, copy)
        self.compare_tree(dataset, folder, copy)

    def test_anybody_may_sync_a_pool(self):
        """What a target asks for when its store is full."""
        done = subprocess.run(["zpool", "sync", self.second], preexec_fn=lambda: os.setuid(65534), capture_output=True, text=True, check=False)
        self.assertEqual((done.returncode, done.stderr), (0, ""))


if __name__ == "__main__":
    unittest.main()
