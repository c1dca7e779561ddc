"""The plug is pulled on the target's machine in mid-receive, three times in one seed: `tools/zfsvm/zfsvm plug [TEST...]`.

This runs outside the machine, and so does the source: it lives through all of it. In the machine are the target, `zfs receive`, the pool and
the store, on disks that lose what was not flushed. One run at a time: the machine's name is fixed. ZFERRY_PLUG_SEED draws the moments,
ZFERRY_PLUG_PULLS says how many in each seed.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parent / "e2e")]

from harness import BIN, ROOT, End

TOOL = ROOT / "tools" / "zfsvm" / "zfsvm"
NAME, PORT = "plug", 9443
DISKS = ["pool:4G", "store:4G:ext4", "bare:64M"]
PATIENCE_S = 600
STREAM_MIB = 40
LIMIT = "1M"             # so that there is a middle in which to pull
PEER_TIMEOUT_S = 15
AGAIN_BYTES_MAX = 8 << 20   # that cross once more for each pull: what was under way, and what was not durable yet
PULLS = int(os.environ.get("ZFERRY_PLUG_PULLS", "3"))   # at least 2
SEED = int(os.environ.get("ZFERRY_PLUG_SEED", random.randrange(1 << 32)))


class Machine:
    """The machine of this name, and what runs in it."""

    def __init__(self, folder):
        self.folder = folder
        self.share = folder / "share"
        self.share.mkdir()
        os.environ.update({"ZFSVM_NAME": NAME, "ZFSVM_FORWARD": str(PORT), "ZFSVM_SHARE": str(self.share)})
        shutil.copy(BIN, self.share / "zferry")
        (folder / "guest.sh").write_text('export PYTHONDONTWRITEBYTECODE=1\nexec python3 /zferry/tests/zfsvm/plug_guest.py "$@"\n')
        (folder / "target.sh").write_text('exec /share/zferry "$@"\n')
        self.port = None
        self.new = True

    def tool(self, *arguments):
        done = subprocess.run([TOOL, *arguments], capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise AssertionError(f"zfsvm {' '.join(map(str, arguments))}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def ask(self, *arguments):
        return json.loads(self.tool("exec", self.folder / "guest.sh", *arguments).stdout.splitlines()[-1])

    def up(self):
        said = self.tool("up", *DISKS).stderr
        self.port = int(said.split("127.0.0.1:")[1].split()[0])
        self.ask("open", *(["new"] if self.new else []))
        self.new = False

    def pull_plug(self, silence_s=0):
        self.tool("pull-plug", *([str(silence_s)] if silence_s else []))

    def start_target(self, arguments):
        return End(["exec", self.folder / "target.sh", *arguments], program=TOOL)


def messages(end):
    """What it says in words, besides its counting."""
    told = []
    for line, found in zip(end.lines, end.objects):
        if not isinstance(found, dict):
            told.append(line)
        elif found.get("type") == "log" and not found["message"].startswith("io: "):
            told.append(found["message"])
    return told


class Plug(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not os.access(BIN, os.X_OK):
            raise unittest.SkipTest(f"there is no {BIN}")
        cls.folder = Path(tempfile.mkdtemp(prefix="zferry-plug-"))
        cls.addClassCleanup(shutil.rmtree, cls.folder, True)
        cls.machine = Machine(cls.folder)
        cls.machine.tool("down")   # of a run that was killed
        cls.addClassCleanup(cls.machine.tool, "down")
        subprocess.run([BIN, "key", "secret", "--out", cls.machine.share / "secret"], check=True, capture_output=True)
        cls.stores = "--store" in subprocess.run([BIN, "recv", "--help"], check=True, capture_output=True, text=True).stdout
        cls.machine.up()
        cls.rng = random.Random(SEED)
        print(f"seed {SEED}", flush=True)

    def setUp(self):
        """A test before may have lost the machine."""
        try:
            self.machine.ask("look", "tank")
        except AssertionError as lost:
            print(f"  booted again, since it was gone: {lost}", flush=True)
            self.machine.up()

    def say(self, words):
        print(f"  {self.kind}: {words}", flush=True)

    # One transfer, whose target starts again after each boot.

    def begin(self, kind):
        self.kind, self.copy = kind, f"tank/{kind}"
        self.told = self.machine.ask("make", kind, str(STREAM_MIB))
        stream = self.machine.share / f"{kind}.zstream"
        self.size = stream.stat().st_size
        self.assertGreater(self.size, STREAM_MIB << 19, "a stream of some tens of MB")
        self.source = self.target = None
        self.start_target()
        with open(stream, "rb") as stdin:
            self.source = End(["send", f"127.0.0.1:{self.machine.port}", "--secret", self.machine.share / "secret", "--state",
                               self.folder / f"{kind}-state", "--json", "--peer-timeout", f"{PEER_TIMEOUT_S}s", "--limit", LIMIT,
                               "--lanes", "2"], stdin=stdin)
        self.addCleanup(self.source.close)

    def start_target(self):
        arguments = ["recv", "--listen", f":{PORT}", "--secret", "/share/secret", "--state", f"/store/{self.kind}-state", "--json",
                     "--peer-timeout", f"{PEER_TIMEOUT_S}s"]
        arguments += ["--store", f"/store/{self.kind}:512M"] if self.stores else []
        self.target = self.machine.start_target([*arguments, "--", "zfs", "receive", "-s", "-u", self.copy])
        self.addCleanup(self.target.close)
        self.assertIsNotNone(self.target.await_object(lambda o: o.get("type") == "listening", PATIENCE_S), self.tell_ends())

    def tell_ends(self):
        return "".join(f"\n{name}: {end.told()}" for name, end in (("source", self.source), ("target", self.target)) if end)

    def await_progress(self, wanted, what):
        arrived = self.source.await_object(lambda o: o.get("type") == "progress" and wanted(o), PATIENCE_S)
        self.assertIsNotNone(arrived, f"waited for {what} in vain{self.tell_ends()}")
        self.assertIsNone(self.target.process.poll(), f"the target ended by itself{self.tell_ends()}")
        self.assertIsNone(self.source.process.poll(), f"the source ended too soon{self.tell_ends()}")

    def finish(self):
        for end in (self.source, self.target):
            self.assertIsNotNone(end.wait(PATIENCE_S), f"hangs{self.tell_ends()}")
            self.assertEqual((end.code, end.outcome), (0, "applied"), self.tell_ends())
        for words in messages(self.target):
            self.say(f"the target says: {words}")
        told = self.machine.ask("tell", self.copy)
        self.assertEqual(told["guid"], self.told["guid"])
        self.assertEqual(set(told["content"]), set(self.told["content"]))
        self.assertEqual([path for path, facts in self.told["content"].items() if told["content"][path] != facts], [])
        self.assertGreaterEqual(len(told["content"]), 1 if self.kind == "volume" else 150)
        self.say(f"{len(told['content'])} files, folders, links or devices compared, all equal; guid {told['guid']}; stream "
                 f"{self.size} bytes, crossed {self.source.end['wire_bytes']}, {self.source.resume}")

    def await_acked(self, wanted):
        self.await_progress(lambda o: o["acked_bytes"] >= wanted, f"{wanted} bytes to be acknowledged")

    def pull(self, silence_s=0):
        self.machine.pull_plug(silence_s)
        before, words = self.source.progress, messages(self.target)
        self.target.close()
        self.machine.up()
        saved = self.machine.ask("look", self.copy)
        self.say(f"pulled at {before['acked_bytes']} of {self.size} bytes acknowledged{f', {silence_s} s silent' if silence_s else ''}; "
                 f"applied by ZFS: {saved['token_bytes']}; crossed until then: {before['wire_bytes']}; the target had said {words}")
        self.start_target()
        return saved

    def check_pulled(self, kind):
        if not self.stores:
            self.skipTest("this zferry has no --store")
        self.begin(kind)
        silent = self.rng.randrange(PULLS)
        for number, part in enumerate(sorted([0.2, 0.8, *(self.rng.uniform(0.2, 0.8) for _ in range(PULLS - 2))])):
            self.await_acked(int(part * self.size))
            time.sleep(self.rng.uniform(0, 3))
            saved = self.pull(2 * PEER_TIMEOUT_S if number == silent else 0)
            self.assertFalse(saved["received"], "not in the middle")
        self.finish()
        self.assertLess(self.source.resume["sent_again_bytes"], PULLS * AGAIN_BYTES_MAX)

    def test_1_disks(self):
        """The machine itself: what was flushed is there after the plug was pulled, what was not is lost."""
        self.assertEqual(self.machine.ask("scribble"), {"written": 16})
        self.machine.pull_plug()
        self.machine.up()
        self.assertEqual(self.machine.ask("reread"), {"flushed": 8, "unflushed": 0, "files": ["flushed"]})

    def test_2_unharmed(self):
        """A transfer in which nothing happens."""
        self.begin("plain")
        self.finish()

    def test_plain(self):
        self.check_pulled("plain")

    def test_raw(self):
        self.check_pulled("raw")

    def test_packed(self):
        self.check_pulled("packed")

    def test_volume(self):
        self.check_pulled("volume")

    def test_ends(self):
        """Before ZFS has anything that could be continued, and when it has all, or nearly, of which nobody was told."""
        if not self.stores:
            self.skipTest("this zferry has no --store")
        self.begin("packed")
        self.await_acked(1)
        self.pull()
        self.await_progress(lambda o: o["stage"] == "finishing", "the end")
        time.sleep(self.rng.uniform(0, 1))
        self.pull()
        self.finish()


if __name__ == "__main__":
    unittest.main(verbosity=2)
