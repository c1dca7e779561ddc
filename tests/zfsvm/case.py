"""What the tests on real OpenZFS share: datasets of each kind, seeds that are cut as a lost ssh cuts them, resume tokens, comparisons.

They run in the machine of tools/zfsvm, whose processor is emulated: every patience here is long, and nothing is measured.
"""
import hashlib
import random
import subprocess
import time
from pathlib import Path

from pools import PoolCase, zfs

PATIENCE_S = 300
PEER_TIMEOUT = "30s"
VOLUME_BYTES = 24 << 20


def receivers():
    """Process ids of every `zfs receive` that runs."""
    found = []
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if words[:1] and words[0].rsplit(b"/", 1)[-1] == b"zfs" and b"receive" in words[1:2]:
            found.append(int(entry.name))
    return found


class VmCase(PoolCase):
    """A test case on real OpenZFS."""

    def common(self, room, end):
        arguments = super().common(room, end)
        arguments[arguments.index("--peer-timeout") + 1] = PEER_TIMEOUT
        return arguments

    def finish(self, pair, listener="target"):
        for end in (pair.source, pair.target):
            if end.wait(PATIENCE_S) is None:
                raise AssertionError(f"hangs after {PATIENCE_S} s: {pair.told()}")

    def await_true(self, condition, what):
        limit = time.monotonic() + PATIENCE_S
        while not condition():
            self.assertLess(time.monotonic(), limit, f"waited for {what} in vain")
            time.sleep(0.1)

    # Datasets.

    def make_encrypted(self, name, *options):
        key = self.folder / f"{name}.zfskey"
        key.write_bytes(random.Random(name).randbytes(32))
        return self.make(name, "-o", "encryption=aes-256-gcm", "-o", "keyformat=raw", "-o", f"keylocation=file://{key}", *options)

    def fill_more(self, folder, name, size=16 << 20):
        """Enough that half of it is a good deal: incompressible, in blocks of their own."""
        (folder / name).write_bytes(random.Random(name).randbytes(size))

    def compare(self, dataset, folder, copy):
        """Opens an encrypted copy with the original's key, makes sure that looking changes nothing, compares."""
        if zfs("get", "-H", "-o", "value", "keystatus", copy).strip() == "unavailable":
            zfs("load-key", "-L", zfs("get", "-H", "-o", "value", "keylocation", dataset).strip(), copy)
        zfs("set", "readonly=on", copy)
        super().compare(dataset, folder, copy)

    def check_guid(self, dataset, copy, *names):
        for name in names:
            self.assertEqual(self.guid(f"{dataset}@{name}"), self.guid(f"{copy}@{name}"), f"{copy}@{name}")

    def device(self, dataset):
        path = Path("/dev/zvol") / dataset
        self.await_true(path.exists, path)
        return path

    def make_volume(self, dataset):
        """A zvol, half full, with a snapshot @one."""
        zfs("create", "-V", str(VOLUME_BYTES), dataset)
        with open(self.device(dataset), "r+b") as device:
            device.write(random.Random(dataset).randbytes(VOLUME_BYTES // 2))
        zfs("snapshot", f"{dataset}@one")

    def check_device(self, dataset, copy):
        """Two zvols, byte for byte."""
        sums = []
        for path in (self.device(dataset), self.device(copy)):
            with open(path, "rb") as device:
                content = device.read()
            self.assertEqual(len(content), VOLUME_BYTES, path)
            sums.append(hashlib.sha256(content).hexdigest())
        self.assertEqual(*sums)
        PoolCase.compared += 1
        print(f"{dataset} -> {copy}: {VOLUME_BYTES} bytes compared, all equal", flush=True)

    # What was interrupted, and how it goes on.

    def token(self, copy):
        found = subprocess.run(["zfs", "get", "-H", "-o", "value", "receive_resume_token", copy], capture_output=True, text=True,
                               check=False).stdout.strip()
        return None if found in ("", "-") else found

    def await_token(self, copy):
        """The token, once the receive that was cut has gone: until then the dataset is busy."""
        self.await_true(lambda: not receivers(), "the end of zfs receive")
        token = self.token(copy)
        self.assertIsNotNone(token, f"{copy} has no resume token")
        return token

    def stream_size(self, send):
        said = subprocess.run(["zfs", "send", "-nP", *send], check=True, capture_output=True, text=True)
        return int((said.stdout + said.stderr).split()[-1])   # an estimate, the last word of the last line

    def cut_seed(self, send, receive, over_ssh=False, part=0.5):
        """`zfs send | zfs receive -s` or `zfs send | ssh ... zfs receive -s`, cut in the middle; how many bytes went over."""
        consumer = ["zfs", "receive", "-s", "-u", *receive]
        if over_ssh:
            consumer = ["ssh", "-o", "BatchMode=yes", "root@localhost", *consumer]
        wanted = int(self.stream_size(send) * part)
        sender = subprocess.Popen(["zfs", "send", *send], stdout=subprocess.PIPE)
        receiver = subprocess.Popen(consumer, stdin=subprocess.PIPE, stderr=subprocess.PIPE)
        sent = 0
        while sent < wanted:
            piece = sender.stdout.read(min(65536, wanted - sent))
            self.assertTrue(piece, f"the stream is shorter than {wanted} bytes")
            receiver.stdin.write(piece)
            sent += len(piece)
        receiver.stdin.flush()
        if over_ssh:
            receiver.kill()   # ssh without any farewell
        receiver.stdin.close()
        sender.kill()
        for process in (sender, receiver):
            process.wait(PATIENCE_S)
        self.assertNotEqual(receiver.returncode, 0, "the cut receive")
        sender.stdout.close()
        receiver.stderr.close()
        return sent

    def start_slow(self, send, receive, past, extra=()):
        """A transfer that has brought at least `past` bytes to the consumer, and still runs. `extra` is the source's."""
        pair = self.ferry(producer=["zfs", "send", *send], consumer=["zfs", "receive", *receive], finish=False,
                          source_extra=["--limit", "2M", *extra])
        arrived = pair.target.await_object(lambda o: o.get("type") == "progress" and o["stream_bytes"] >= past, PATIENCE_S)
        self.assertIsNotNone(arrived, f"{past} bytes never arrived{pair.told()}")
        self.assertIsNone(pair.source.process.poll(), f"it ended too soon{pair.told()}")
        return pair

    def finish_by_token(self, send, copy, least=0.1, most=0.8):
        """The recipe of the README: `zfs send -t TOKEN` into `zfs receive -s`, through zferry. It carries at least and at most these
        parts of what a new seed would."""
        whole = self.stream_size(send)
        pair = self.carry(["-t", self.await_token(copy)], ["-s", "-u", copy])
        carried = pair.source.end["stream_bytes"]
        self.assertLess(carried, whole * most, pair.told())
        self.assertGreater(carried, whole * least, pair.told())
        self.assertIsNone(self.token(copy), "a token is left")
        print(f"{copy}: continued with {carried} of about {whole} bytes, {pair.source.end['checksums_verified']} checksums", flush=True)
        return pair

    def kill(self, end):
        end.process.kill()
        self.assertEqual(end.wait(PATIENCE_S), -9)
