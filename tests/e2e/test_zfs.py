"""Real ZFS at both ends: snapshots cross from one throw-away pool to another, and the copies are compared file by file.

Needs root and a ZFS (the kernel's, or zfs-fuse); without, it is skipped and says why.
"""
import random
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

    def make_family(self, name):
        """Three snapshots of a file system and of its child; the child has more in it. (dataset, folder)"""
        dataset, folder = self.make(name)
        zfs("create", f"{dataset}/child")
        for number in (1, 2, 3):
            (folder / "child" / f"file{number}").write_bytes(random.Random(number).randbytes(3 << 20))
            (folder / f"more{number}").write_bytes(random.Random(-number).randbytes(2 << 20))
            zfs("snapshot", "-r", f"{dataset}@s{number}")
        return dataset, folder

    def await_snapshot(self, snapshot, pair):
        limit = time.monotonic() + 60
        while subprocess.run(["zfs", "list", snapshot], capture_output=True, check=False).returncode:
            self.assertLess(time.monotonic(), limit, pair.told())
            time.sleep(0.02)

    def check_family(self, dataset, folder, copy):
        for number in (1, 2, 3):
            for child in ("", "/child"):
                self.assertEqual(self.guid(f"{dataset}{child}@s{number}"), self.guid(f"{copy}{child}@s{number}"))
        for child in ("", "/child"):
            zfs("set", "readonly=on", copy + child)
            zfs("mount", copy + child)
        self.compare(dataset, folder, copy)

    def test_compound_goes_on_after_kills(self):
        """What was committed of -R counts: the rest comes from the store, in one more `zfs receive`, whoever died."""
        for victim, after in (("consumer", "@s2"), ("target", "@s1"), ("target", "/child@s1"), ("consumer", "/child@s2")):
            with self.subTest(victim=victim, after=after):
                name = f"family-{victim}-{after.strip('/').replace('@', '-').replace('/', '-')}"
                dataset, folder = self.make_family(name)
                copy, room = f"{self.second}/{name}", self.room()
                consumer = ["zfs", "receive", "-u", "-d", self.second]
                store = ["--store", f"{room / 'store'}:256M"]
                pair = self.ferry(producer=["zfs", "send", "-R", f"{dataset}@s3"], consumer=consumer, room=room, mangler=Gate(),
                                  source_extra=["--limit", "6M", "--compress", "off"], target_extra=store, finish=False)
                self.await_snapshot(copy + after, pair)
                if victim == "target":
                    pair.target.signal(signal.SIGKILL)
                    pair.target.wait()
                    pair.target = self.start_target(room, ["--listen", f"127.0.0.1:{pair.mangler.upstream_port}"], self.auth("key")[1],
                                                    consumer=consumer, extra=store)
                else:
                    subprocess.run(["pkill", "-KILL", "-P", str(pair.target.process.pid), "-x", "zfs"], check=True)
                self.finish(pair)
                self.check_success(pair, "applied")
                self.assertIn("what ZFS lacks of", "\n".join(pair.target.lines))
                self.check_family(dataset, folder, copy)

    def test_increments_go_on_after_kills(self):
        """The same of -I: two of three increments are there."""
        dataset, folder = self.make_family("steps")
        copy, room = f"{self.second}/steps", self.room()
        zfs("snapshot", "-r", f"{dataset}@s4")
        for child in ("", "/child"):
            self.carry([f"{dataset}{child}@s1"], ["-u", copy + child], room=self.room())
        for child in ("", "/child"):
            consumer, store = ["zfs", "receive", "-u", "-F", copy + child], ["--store", f"{room / 'store'}:256M"]
            pair = self.ferry(producer=["zfs", "send", "-I", "@s1", f"{dataset}{child}@s4"], consumer=consumer, room=room, mangler=Gate(),
                              source_extra=["--limit", "3M", "--compress", "off"], target_extra=store, finish=False)
            self.await_snapshot(f"{copy}{child}@s2", pair)
            subprocess.run(["pkill", "-KILL", "-P", str(pair.target.process.pid), "-x", "zfs"], check=True)
            self.finish(pair)
            self.check_success(pair, "applied")
            self.assertIn("what ZFS lacks of", "\n".join(pair.target.lines))
            self.assertEqual(self.guid(f"{dataset}{child}@s4"), self.guid(f"{copy}{child}@s4"))
        self.check_family(dataset, folder, copy)

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
