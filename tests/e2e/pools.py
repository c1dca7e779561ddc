"""Two throw-away pools for tests on real ZFS: datasets with files in them, transfers from one pool to the other, comparisons.

Needs root and a ZFS (the kernel's, or zfs-fuse); without, the test class is skipped and says why. tools/lib/zfs.sh makes and destroys
the pools.
"""
import hashlib
import os
import random
import subprocess
import unittest
from pathlib import Path

from harness import ROOT, FerryCase


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


class PoolCase(FerryCase):
    """A test case with two pools, file systems on the first, and what carries them to the second and compares."""

    compared = 0  # files, folders and links, over all test cases

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

    def make(self, name, *options):
        """A file system on the first pool with files in it; (dataset, folder). The options are `zfs create`'s."""
        dataset, folder = f"{self.first}/{name}", self.mounts / self.first / name
        zfs("create", *options, dataset)
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
        PoolCase.compared += len(original)

    def guid(self, snapshot):
        return zfs("get", "-H", "-o", "value", "guid", snapshot).strip()

    def check_absent(self, dataset):
        self.assertNotEqual(subprocess.run(["zfs", "list", dataset], capture_output=True, check=False).returncode, 0, dataset)
