"""The source dies in mid-stream and the target lives: the same command again continues the same `zfs receive`."""
import unittest

from case import PATIENCE_S, VmCase, receivers
from pools import zfs


class Resume(VmCase):
    def check_continued(self, dataset, folder, copy, flags):
        self.fill_more(folder, "more")
        zfs("snapshot", f"{dataset}@one")
        send = [*flags, f"{dataset}@one"]
        pair = self.start_slow(send, ["-s", "-u", copy], self.stream_size(send) // 3)
        running = receivers()
        self.assertEqual(len(running), 1, "one receive runs")
        self.kill(pair.source)
        again = self.start_source(pair.room, [f"127.0.0.1:{pair.target.port}"], self.auth("key")[0], producer=["zfs", "send", *send])
        self.await_true(lambda: again.process.poll() is not None or
                        again.await_object(lambda o: o.get("type") == "progress", 1), "the second source")
        self.assertEqual(receivers(), running, f"the receive of the first attempt goes on\n{again.told()}{pair.told()}")
        for end in (again, pair.target):
            self.assertIsNotNone(end.wait(PATIENCE_S), end.told())
            self.assertEqual((end.outcome, end.code), ("applied", 0), end.told())
        self.check_guid(dataset, copy, "one")
        self.compare(dataset, folder, copy)

    def test_killed_source(self):
        dataset, folder = self.make("resumed")
        self.check_continued(dataset, folder, f"{self.second}/resumed", ["-Lce"])

    def test_killed_source_raw_encrypted(self):
        dataset, folder = self.make_encrypted("resumedraw")
        self.check_continued(dataset, folder, f"{self.second}/resumedraw", ["-w"])


if __name__ == "__main__":
    unittest.main()
