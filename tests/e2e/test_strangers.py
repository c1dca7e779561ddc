"""Peers that are not who they should be, and connections that are no peers at all: refused, and in nobody's way."""
import contextlib
import random
import socket
import subprocess
import unittest

from harness import BIN, FerryCase, main
from streams import small_zfs

REFUSED = 20


class Strangers(FerryCase):
    def setUp(self):
        self.stream = self.folder / "stream"
        if not self.stream.exists():
            self.stream.write_bytes(small_zfs())

    def check_still_serves(self, room, target):
        """A legitimate session on a target that has seen others."""
        self.assertIsNone(target.process.poll(), f"the target is gone: {target.told()}")
        source = self.start_source(room, [f"127.0.0.1:{target.port}"], self.auth("key")[0], self.stream)
        self.assertEqual(source.wait(30), 0, f"{source.told()}\n{target.told()}")
        self.assertEqual(target.wait(30), 0, target.told())
        self.assertEqual((room / "out").read_bytes(), small_zfs())

    def target(self, kind="key"):
        room = self.room()
        return room, self.start_target(room, ["--listen", "127.0.0.1:0"], self.auth(kind)[1], out=room / "out")

    def check_refused(self, source_auth, kind="key"):
        """The source is refused with 20; the target goes on for those it knows, or ends with 20 itself, with no output."""
        room, target = self.target(kind)
        source = self.start_source(self.room(), [f"127.0.0.1:{target.port}"], source_auth, self.stream)
        self.assertEqual(source.wait(30), REFUSED, f"{source.told()}\n{target.told()}")
        self.check_end(source, source.told())
        self.assertFalse((room / "out").exists())
        return room, target

    def test_source_is_not_allowed(self):
        room, target = self.check_refused(["--key", self.folder / "stranger.key", "--peer", self.public["target"]])
        self.check_still_serves(room, target)

    def test_target_is_another(self):
        room, target = self.check_refused(["--key", self.folder / "source.key", "--peer", self.public["stranger"]])
        self.check_still_serves(room, target)

    def test_wrong_secret(self):
        other = self.room() / "secret"
        subprocess.run([BIN, "key", "secret", "--out", other], check=True, capture_output=True)
        _, target = self.check_refused(["--secret", other], "secret")
        target.stop()
        self.check_end(target, target.told())

    def test_secret_against_keys(self):
        room, target = self.check_refused(["--secret", self.folder / "secret"])
        self.check_still_serves(room, target)

    def test_both_are_sources(self):
        room = self.room()
        source_auth, target_auth = self.auth("secret")
        first = self.start_source(room, ["--listen", "127.0.0.1:0"], source_auth, self.stream)
        second = self.start_source(self.room(), [f"127.0.0.1:{first.port}"], target_auth, self.stream)
        self.assertIn(second.wait(30), (20, 21), second.told())
        if first.wait(3) is None:
            first.stop()
        self.check_end(first, first.told())
        self.assertFalse(first.ok)

    def test_listening_source_refuses_strangers(self):
        """The same with the roles of listener and dialler swapped."""
        room = self.room()
        source_auth, target_auth = self.auth("key", "source")
        source = self.start_source(room, ["--listen", "127.0.0.1:0"], source_auth, self.stream)
        stranger = ["--key", self.folder / "stranger.key", "--peer", self.public["source"]]
        thief = self.start_target(self.room(), [f"127.0.0.1:{source.port}"], stranger, out=room / "stolen")
        self.assertEqual(thief.wait(30), REFUSED, f"{thief.told()}\n{source.told()}")
        self.assertFalse((room / "stolen").exists())
        target = self.start_target(room, [f"127.0.0.1:{source.port}"], target_auth, out=room / "out")
        self.assertEqual(target.wait(30), 0, f"{target.told()}\n{source.told()}")
        self.assertEqual(source.wait(30), 0, source.told())

    def connect(self, target):
        connection = socket.create_connection(("127.0.0.1", target.port), 5)
        self.addCleanup(connection.close)
        return connection

    def test_idle_connections(self):
        """More than may be unproven at a time; none says a word."""
        room, target = self.target()
        for _ in range(40):
            self.connect(target)
        self.check_still_serves(room, target)

    def test_garbage(self):
        rng = random.Random(5)
        room, target = self.target()
        pieces = [b"", b"\0", b"GET / HTTP/1.0\r\n\r\n", b"SSH-2.0-OpenSSH_9.2\r\n", bytes(512), bytes(4096), b"\xff" * 512]
        pieces += [rng.randbytes(size) for size in (1, 511, 512, 513, 1024, 100000)]
        for piece in pieces:
            connection = self.connect(target)
            with contextlib.suppress(OSError):   # the target may have had enough already
                connection.sendall(piece)
                connection.close()
        self.check_still_serves(room, target)

    def test_garbage_that_stays(self):
        """Connections that spoke nonsense and hold on, from the address that the real source comes from as well."""
        rng = random.Random(6)
        room, target = self.target()
        for size in (1, 100, 511, 512, 600) * 4:
            with contextlib.suppress(OSError):
                self.connect(target).sendall(rng.randbytes(size))
        self.check_still_serves(room, target)

    def test_replayed_first_message(self):
        """What a wire-tapper has recorded of a real session gives him nothing, and takes nothing from the next one."""
        recorded = self.record_dialler()
        room, target = self.target()
        for size in (512, len(recorded)):
            connection = self.connect(target)
            with contextlib.suppress(OSError):
                connection.sendall(recorded[:size])
        self.check_still_serves(room, target)

    def record_dialler(self):
        """Every byte that the dialler of a session sends."""
        room, target = self.target()
        with socket.create_server(("127.0.0.1", 0)) as tap:
            source = self.start_source(room, [f"127.0.0.1:{tap.getsockname()[1]}"], self.auth("key")[0], self.stream)
            near, _ = tap.accept()
            far = socket.create_connection(("127.0.0.1", target.port))
            recorded = bytearray()
            far.setblocking(False)
            near.setblocking(False)
            while source.process.poll() is None or target.process.poll() is None:
                for end, other, keep in ((near, far, True), (far, near, False)):
                    with contextlib.suppress(BlockingIOError, OSError):
                        while piece := end.recv(65536):
                            if keep:
                                recorded += piece
                            other.setblocking(True)
                            other.sendall(piece)
                            other.setblocking(False)
            self.assertEqual((source.wait(), target.wait()), (0, 0), f"{source.told()}\n{target.told()}")
            near.close()
            far.close()
        self.assertGreater(len(recorded), len(small_zfs()) // 2)
        return bytes(recorded)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    main()
