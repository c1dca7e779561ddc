"""What ZFS refuses is an error at both ends, in ZFS's own words, and what was there stays as it was."""
import subprocess
import unittest

from case import VmCase, receivers
from pools import zfs


class Refusals(VmCase):
    def check_refused(self, send, receive, fault, words):
        pair = self.ferry(producer=["zfs", "send", *send], consumer=["zfs", "receive", *receive])
        self.check_both(pair, fault)
        teller = pair.target if fault == "consumer-failed" else pair.source
        self.assertIn(words, "\n".join(teller.lines), pair.told())
        return pair

    def cut(self, name):
        dataset, folder = self.make(name)
        self.fill_more(folder, "more", 8 << 20)
        zfs("snapshot", f"{dataset}@one")
        copy = f"{self.second}/{name}"
        self.cut_seed([f"{dataset}@one"], [copy])
        return dataset, folder, copy, self.await_token(copy)

    def test_partial_state(self):
        """A new seed onto a part of one: refused, with -F too, until `receive -A` throws the part away."""
        dataset, folder, copy, token = self.cut("partial")
        self.check_refused([f"{dataset}@one"], ["-s", "-u", copy], "consumer-failed", f"destination '{copy}' exists")
        self.check_refused([f"{dataset}@one"], ["-s", "-u", "-F", copy], "consumer-failed", "partially-complete state")
        self.assertEqual(self.token(copy), token, "the refused receive changed the saved state")
        self.check_absent(f"{copy}@one")
        zfs("receive", "-A", copy)
        self.carry([f"{dataset}@one"], ["-s", "-u", copy])
        self.check_guid(dataset, copy, "one")
        self.compare(dataset, folder, copy)

    def test_busy(self):
        """The old receive still waits, as under an ssh whose peer fell silent: busy, until it is ended."""
        dataset, folder = self.make("busy")
        self.fill_more(folder, "more", 8 << 20)
        zfs("snapshot", f"{dataset}@one")
        send, copy = [f"{dataset}@one"], f"{self.second}/busy"
        with open(self.folder / "whole", "wb") as whole:
            subprocess.run(["zfs", "send", *send], stdout=whole, check=True)
        old = subprocess.Popen(["zfs", "receive", "-s", "-u", copy], stdin=subprocess.PIPE, stderr=subprocess.DEVNULL)
        old.stdin.write((self.folder / "whole").read_bytes()[:8 << 20])
        old.stdin.flush()
        self.await_true(lambda: self.token(copy), "the token of a receive that still runs")
        self.check_refused(["-t", self.token(copy)], ["-s", "-u", copy], "consumer-failed", "busy")
        self.assertEqual(receivers(), [old.pid], "the old receive is still there")
        old.terminate()
        old.wait(60)
        old.stdin.close()
        self.finish_by_token(send, copy)
        self.check_guid(dataset, copy, "one")
        self.compare(dataset, folder, copy)

    def test_spent_token(self):
        """A token that was used to the end is of no more use."""
        dataset, _, copy, token = self.cut("spent")
        self.finish_by_token([f"{dataset}@one"], copy)
        before = zfs("list", "-H", "-t", "all", "-r", "-o", "name,guid", copy)
        self.check_refused(["-t", token], ["-s", "-u", copy], "consumer-failed", "cannot receive")
        self.assertEqual(zfs("list", "-H", "-t", "all", "-r", "-o", "name,guid", copy), before)

    def test_damaged_token(self):
        *_, copy, token = self.cut("damaged")
        middle = len(token) // 2
        wrong = token[:middle] + ("0" if token[middle] != "0" else "1") + token[middle + 1:]
        self.check_refused(["-t", wrong], ["-s", "-u", copy], "producer-failed", "resume token")
        self.assertEqual(self.token(copy), token, "the saved state")

    def test_modified_target(self):
        """An incremental onto a copy that has changed."""
        dataset, folder = self.make("modified")
        copy = f"{self.second}/modified"
        zfs("snapshot", f"{dataset}@one")
        self.carry([f"{dataset}@one"], ["-s", "-u", copy])
        zfs("mount", copy)
        (self.mounts / copy / "added").write_bytes(b"by somebody else")
        self.change(folder)
        zfs("snapshot", f"{dataset}@two")
        self.check_refused(["-i", "@one", f"{dataset}@two"], ["-s", "-u", copy], "consumer-failed", "modified")
        self.check_absent(f"{copy}@two")
        self.assertEqual((self.mounts / copy / "added").read_bytes(), b"by somebody else")


if __name__ == "__main__":
    unittest.main()
