"""Real ZFS at both ends: snapshots cross from one throw-away pool to another, and the copies are compared file by file.

Needs root and a ZFS (the kernel's, or zfs-fuse); without, it is skipped and says why.
"""
import signal
import subprocess
import sys
import time
import unittest

from harness import HERE, main
from mangler import Gate
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

    def test_killed_source_in_mid_receive(self):
        """The same command again goes on in the same `zfs receive`."""
        dataset, folder = self.make("killed")
        zfs("snapshot", f"{dataset}@one")
        stream = self.folder / "killed"
        with open(stream, "wb") as out:
            subprocess.run(["zfs", "send", f"{dataset}@one"], stdout=out, check=True)
        size = stream.stat().st_size
        for listener in ("target", "source"):
            for lanes in ("1", "4"):
                with self.subTest(listener=listener, lanes=lanes):
                    room = self.room()
                    copy = f"{self.second}/killed-{listener}-{lanes}"
                    consumer = ["/bin/sh", "-c", 'echo $$ >> "$0"; exec zfs receive -u "$1"', room / "starts", copy]
                    extra = ["--lanes", lanes, "--limit", "8M", "--compress", "off"]
                    pair = self.ferry(producer=["zfs", "send", f"{dataset}@one"], consumer=consumer, room=room, listener=listener,
                                      mangler=Gate(), source_extra=extra, finish=False)
                    for percent in (30, 70):
                        limit = time.monotonic() + 30
                        while pair.mangler.carried["source"] < size * percent // 100:
                            self.assertLess(time.monotonic(), limit, pair.told())
                            time.sleep(0.005)
                        pair.source.signal(signal.SIGKILL)
                        pair.source.wait()
                        self.check_absent(f"{copy}@one")
                        port = pair.mangler.upstream_port if listener == "source" else pair.mangler.port
                        address = ["--listen", f"127.0.0.1:{port}"] if listener == "source" else [f"127.0.0.1:{port}"]
                        pair.source = self.start_source(room, address, self.auth("key", listener)[0],
                                                        producer=["zfs", "send", f"{dataset}@one"], extra=extra)
                    self.finish(pair, listener)
                    self.check_success(pair, "applied")
                    self.assertEqual(len((room / "starts").read_text().split()), 1, pair.told())
                    # What crossed, less what was on its way in each lane at each kill.
                    lost = 2 * (int(lanes) + 1) << 20
                    self.assertGreater(pair.source.resume["skipped_bytes"], max(0, size * 7 // 10 - lost), pair.told())
                    self.assertEqual(self.guid(f"{dataset}@one"), self.guid(f"{copy}@one"))
                    zfs("set", "readonly=on", copy)
                    self.compare(dataset, folder, copy)

    def test_cut_in_mid_receive(self):
        """Neither `zfs send` nor `zfs receive` notices that all lanes were reset, three times."""
        dataset, folder = self.make("cut")
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/cut"
        pair = self.ferry(producer=["zfs", "send", f"{dataset}@one"], consumer=["zfs", "receive", "-u", copy], mangler=Gate(),
                          source_extra=["--lanes", "4", "--limit", "8M", "--compress", "off"], finish=False)
        for count in (4, 9, 15):
            limit = time.monotonic() + 30
            while pair.mangler.carried["source"] < count << 20:
                self.assertLess(time.monotonic(), limit, pair.told())
                time.sleep(0.005)
            pair.mangler.cut("rst")
        self.finish(pair)
        self.check_success(pair, "applied")
        self.assertGreaterEqual(pair.source.resume["reconnects"], 2, pair.told())
        self.assertEqual(pair.source.resume["skipped_bytes"], 0, pair.told())
        zfs("set", "readonly=on", copy)
        self.compare(dataset, folder, copy)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
