"""Every stream crosses byte for byte: whoever dials, however the ends know each other, over one lane and many, on the back end that
ZFERRY_IO names."""
import os
import sys
import unittest

from harness import HERE, SHARED, FerryCase, main
from streams import Collection, sha256_of, small_zfs

# How the ends know each other, who listens, who says how many lanes, and how many.
WAYS = (("key", "target", "source", 1), ("secret", "source", "source", 1), ("secret", "target", "source", 4), ("key", "source", "target", 4),
        ("key", "target", "target", 16), ("secret", "source", "source", 16))


class Streams(FerryCase):
    def test_all_streams(self):
        collection = Collection()
        self.addCleanup(collection.close)
        transfers = streams = carried = 0
        for name, path, digest in collection:
            streams += 1
            carried += path.stat().st_size
            self.run_quietly([(name, path, digest, *way) for way in WAYS])
            transfers += len(WAYS)
        print(f"{streams} streams, {transfers} transfers, {carried / (1 << 20):.1f} MiB a way", flush=True)
        if not (SHARED / "streams").is_dir():
            print(f"without the shared collection: there is no {SHARED / 'streams'}")
        self.assertGreaterEqual(streams, 13)

    def run_quietly(self, cases):
        for name, path, digest, auth, listener, teller, lanes in cases:
            with self.subTest(stream=name, auth=auth, listener=listener, lanes=lanes):
                room = self.room()
                out = room / "out"
                pair = self.ferry(stream=path, out=out, auth=auth, listener=listener, room=room,
                                  **{f"{teller}_extra": ["--lanes", str(lanes)]})
                self.check_success(pair, "delivered")
                self.assertEqual(sha256_of(out), digest, name)
                self.assertEqual(pair.source.end["stream_bytes"], path.stat().st_size)
                self.assertEqual(pair.target.end["stream_bytes"], path.stat().st_size)
                for end in (pair.source, pair.target):
                    counts = {key: end.resume[key] for key in ("reconnects", "lanes_lost", "sent_again_bytes", "skipped_bytes")}
                    self.assertEqual(set(counts.values()), {0}, pair.told())
                out.unlink()

    def test_stdout_is_the_stream_and_nothing_else(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        with open(room / "out", "wb") as stdout:
            pair = self.ferry(stream=room / "in", stdout=stdout, room=room)
        self.check_success(pair, "delivered")
        self.assertEqual((room / "out").read_bytes(), small_zfs())

    def test_commands_at_both_ends(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs())
        pair = self.ferry(producer=[sys.executable, HERE / "producer.py", "--file", room / "in"],
                          consumer=[sys.executable, HERE / "consumer.py", "--marker", room / "marker"], room=room)
        self.check_success(pair, "applied")
        self.assertEqual((room / "marker").read_text().split(), [str(len(small_zfs())), sha256_of(room / "in")])
        self.assertEqual(pair.source.end["producer"], "exit code 0")

    def test_every_compression(self):
        room = self.room()
        (room / "in").write_bytes(small_zfs() + bytes(1 << 20))
        for level in ("auto", "off", "1", "3", "12"):
            with self.subTest(compress=level):
                out = room / f"out-{level}"
                pair = self.ferry(stream=room / "in", out=out, source_extra=["--compress", level])
                self.check_success(pair, "delivered")
                self.assertEqual(out.read_bytes(), (room / "in").read_bytes())

    def test_nothing_is_refused_unless_allowed(self):
        """An empty input is what a broken pipeline sends."""
        pair = self.ferry(stream=os.devnull, out=self.room() / "out")
        self.check_both(pair, "stream-incomplete")
        room = self.room()
        pair = self.ferry(stream=os.devnull, out=room / "out", room=room, source_extra=["--allow-empty"])
        self.check_success(pair, "delivered")
        self.assertEqual((room / "out").read_bytes(), b"")


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
