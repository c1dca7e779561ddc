"""Full and incremental snapshots of each kind of stream cross to a second pool; guids and contents are equal afterwards."""
import unittest

from case import VOLUME_BYTES, VmCase
from pools import zfs


class Transfers(VmCase):
    def check_full_then_incremental(self, dataset, folder, copy, flags):
        zfs("snapshot", f"{dataset}@one")
        self.carry([*flags, f"{dataset}@one"], ["-s", "-u", copy])
        self.check_guid(dataset, copy, "one")
        self.compare(dataset, folder, copy)
        self.change(folder)
        zfs("snapshot", f"{dataset}@two")
        self.carry([*flags, "-i", "@one", f"{dataset}@two"], ["-s", "-u", copy])
        self.check_guid(dataset, copy, "one", "two")
        self.compare(dataset, folder, copy)

    def test_raw_encrypted(self):
        dataset, folder = self.make_encrypted("raw")
        self.check_full_then_incremental(dataset, folder, f"{self.second}/raw", ["-w"])

    def test_raw_of_an_unencrypted_one(self):
        dataset, folder = self.make("rawplain")
        self.check_full_then_incremental(dataset, folder, f"{self.second}/rawplain", ["-w"])

    def test_large_compressed_embedded(self):
        dataset, folder = self.make("packed", "-o", "recordsize=1M", "-o", "compression=zstd")
        for number in range(50):
            (folder / f"tiny{number}").write_bytes(b"embedded " * (number + 3))
        self.check_full_then_incremental(dataset, folder, f"{self.second}/packed", ["-Lce"])

    def test_volume(self):
        """What the README's tank/vm is: a zvol."""
        dataset, copy = f"{self.first}/vm", f"{self.second}/vm"
        self.make_volume(dataset)
        self.carry(["-w", f"{dataset}@one"], ["-s", "-u", copy])
        self.check_guid(dataset, copy, "one")
        self.check_device(dataset, copy)
        with open(self.device(dataset), "r+b") as device:
            device.seek(VOLUME_BYTES // 4)
            device.write(b"changed" * 100000)
        zfs("snapshot", f"{dataset}@two")
        self.carry(["-w", "-i", "@one", f"{dataset}@two"], ["-s", "-u", copy])
        self.check_guid(dataset, copy, "one", "two")
        self.check_device(dataset, copy)


if __name__ == "__main__":
    unittest.main()
