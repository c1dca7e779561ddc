"""Target, source, consumer and pairs of them are killed in mid-transfer and started again with the same commands: the transfer completes, the
output is the stream, and what crosses again is bounded. A small run of bench/kill_anywhere.py; what it needs is in killed_transfer.py.
"""
import concurrent.futures
import shutil
import tempfile
import unittest
from pathlib import Path

from harness import main
from drawn_kills import CONSUMERS, MIB, VICTIMS, draw, made_stream
from killed_transfer import Broken, Tally, has_store, play

KILLS, PARALLEL = 40, 4
SEED = "e2e"


class Store(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        if not has_store():
            raise unittest.SkipTest("this zferry has no --store")
        cls.folder = Path(tempfile.mkdtemp(prefix="zferry-store-"))
        cls.streams = [made_stream(cls.folder, size * MIB, size) for size in (4, 9, 22)]

    @classmethod
    def tearDownClass(cls):
        shutil.rmtree(cls.folder, True)

    def test_killed_anywhere(self):
        tally, broken = Tally(), []

        def worker(number):
            if tally.blows < KILLS:
                try:
                    play(draw(f"{SEED}:{number}", self.streams, [], VICTIMS, CONSUMERS), self.folder, tally)
                except Broken as why:
                    broken.append(str(why))

        with concurrent.futures.ThreadPoolExecutor(PARALLEL) as pool:
            list(pool.map(worker, range(KILLS * 4)))
        print(tally.told(), flush=True)
        self.assertFalse(broken, "\n".join(broken[:3]))
        self.assertGreaterEqual(tally.blows, KILLS)
        self.assertGreaterEqual(len(tally.kills), 5, "too few kinds of kills")
        self.assertEqual(set(tally.by_consumer), set(CONSUMERS))


if __name__ == "__main__":
    main()
