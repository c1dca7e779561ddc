"""Transfers through a Gate, whose source can be started again: for the tests of resume and of reconnect."""
import sys
import time

from harness import HERE, FerryCase
from mangler import Gate
from streams import middling_zfs, sha256_of, small_zfs

MIB = 1 << 20
AGAIN_BYTES_MAX = 8 * MIB   # of what the target had already
FRAMES_SHARE = 0.01         # of the bytes that cross: headers, tags, hellos, heartbeats
LISTENERS = ("target", "source")


class ResumeCase(FerryCase):
    """Transfers through a Gate, whose source can be started again."""

    def file(self, name, make):
        path = self.folder / name
        if not path.exists():
            path.write_bytes(make())
        return path

    def setUp(self):
        self.stream = self.file("middling", middling_zfs)
        self.small = self.file("small", small_zfs)

    def producer(self, path, *arguments):
        return [sys.executable, HERE / "producer.py", "--file", path, *map(str, arguments)]

    def consumer(self, room, *arguments):
        return [sys.executable, HERE / "consumer.py", "--marker", room / "marker", "--starts", room / "starts", *map(str, arguments)]

    def any_consumer(self, room):
        """Of what is not a ZFS stream."""
        return ["/bin/sh", "-c", 'echo $$ >> "$0/starts"; exec cat > "$0/copy"', room]

    def begin(self, listener="target", room=None, **options):
        """Both ends, with a gate between them."""
        room = room or self.room()
        options.setdefault("consumer", self.consumer(room))
        return self.ferry(room=room, mangler=Gate(), listener=listener, finish=False, **options)

    def again(self, pair, listener="target", **options):
        """Another run of the source, to the same target."""
        port = pair.mangler.upstream_port if listener == "source" else pair.mangler.port
        address = ["--listen", f"127.0.0.1:{port}"] if listener == "source" else [f"127.0.0.1:{port}"]
        return self.start_source(pair.room, address, self.auth("key", listener)[0], **options)

    def await_arrival(self, pair, count):
        """Until the target has written so many bytes."""
        found = pair.target.await_object(lambda o: o.get("type") == "progress" and o["stream_bytes"] >= count, 30)
        self.assertTrue(found, pair.told())

    def await_crossing(self, pair, count):
        """Until so many bytes have gone through the gate: in the middle of whatever is there."""
        limit = time.monotonic() + 30
        while pair.mangler.carried["source"] < count:
            self.assertLess(time.monotonic(), limit, pair.told())
            time.sleep(0.002)

    def check_completed(self, pair, source, path, consumers=1, outcomes=("applied",)):
        """This source and the target succeed, the consumer has the stream, and it was one process."""
        told = f"\n  later source: {source.told()}{pair.told()}"
        self.assertEqual(source.wait(), 0, told)
        self.assertEqual(pair.target.wait(), 0, told)
        self.check_end(source, told)
        self.check_end(pair.target, told)
        self.assertIn(source.outcome, outcomes, told)
        self.assertEqual(pair.target.outcome, "applied", told)
        self.assertEqual((pair.room / "marker").read_text().split(), [str(path.stat().st_size), sha256_of(path)], told)
        self.assertEqual(len((pair.room / "starts").read_text().split()), consumers, f"not one consumer{told}")

    def check_crossed(self, pair, source, size, at_most=AGAIN_BYTES_MAX):
        """How much of what the target had crossed again, by what the gate saw of all runs together."""
        carried = pair.mangler.carried["source"]
        self.assertGreaterEqual(carried, size, pair.told())
        self.assertLessEqual(carried, size * (1 + FRAMES_SHARE) + at_most, f"sent again: {carried - size}{pair.told()}")
        self.assertGreaterEqual(source.end["wire_bytes"], size - source.resume["skipped_bytes"])
        return carried - size
