"""A seed that was interrupted, by whatever, and has ZFS's own resume token: zferry finishes it with `zfs send -t TOKEN`."""
import unittest

from case import PATIENCE_S, VmCase
from pools import zfs


class Tokens(VmCase):
    def seed(self, dataset, folder):
        self.fill_more(folder, "more")
        zfs("snapshot", f"{dataset}@one")

    def check_finished(self, dataset, folder, copy, *names):
        self.check_guid(dataset, copy, *names)
        self.compare(dataset, folder, copy)

    def test_cut_pipe(self):
        dataset, folder = self.make("pipe")
        self.seed(dataset, folder)
        send, copy = [f"{dataset}@one"], f"{self.second}/pipe"
        self.cut_seed(send, [copy])
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one")

    def test_cut_anywhere(self):
        """Early and late, in the small files and in a large one."""
        dataset, folder = self.make("anywhere")
        self.seed(dataset, folder)
        send = [f"{dataset}@one"]
        for percent in (8, 25, 40, 75, 95):
            copy = f"{self.second}/anywhere{percent}"
            self.cut_seed(send, [copy], part=percent / 100)
            self.finish_by_token(send, copy, least=0.9 - percent / 100, most=1.15 - percent / 100)
            self.check_finished(dataset, folder, copy, "one")

    def test_cut_ssh_volume(self):
        dataset, copy = f"{self.first}/vm", f"{self.second}/vm"
        self.make_volume(dataset)
        send = ["-w", f"{dataset}@one"]
        self.cut_seed(send, [copy], over_ssh=True)
        self.finish_by_token(send, copy)
        self.check_guid(dataset, copy, "one")
        self.check_device(dataset, copy)

    def test_cut_family(self):
        """A -R seed: the token sits on the file system that was under way, and finishes that one."""
        dataset, folder = self.make("family")
        zfs("create", f"{dataset}/child")
        self.fill_more(folder / "child", "more")
        zfs("snapshot", "-r", f"{dataset}@one")
        copy = f"{self.second}/family"
        self.cut_seed(["-R", f"{dataset}@one"], [copy], part=0.8)
        self.await_token(f"{copy}/child")
        self.assertIsNone(self.token(copy))
        self.finish_by_token([f"{dataset}/child@one"], f"{copy}/child")
        self.check_guid(dataset, copy, "one")
        self.check_guid(f"{dataset}/child", f"{copy}/child", "one")

    def test_cut_ssh(self):
        dataset, folder = self.make("ssh", "-o", "recordsize=1M")
        self.seed(dataset, folder)
        send, copy = ["-Lce", f"{dataset}@one"], f"{self.second}/ssh"
        self.cut_seed(send, [copy], over_ssh=True)
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one")

    def test_cut_ssh_raw_encrypted(self):
        dataset, folder = self.make_encrypted("sshraw")
        self.seed(dataset, folder)
        send, copy = ["-w", f"{dataset}@one"], f"{self.second}/sshraw"
        self.cut_seed(send, [copy], over_ssh=True)
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one")

    def check_incremental(self, dataset, folder, copy, flags):
        zfs("snapshot", f"{dataset}@one")
        self.carry([*flags, f"{dataset}@one"], ["-s", "-u", copy])
        zfs("set", "readonly=on", copy)
        self.change(folder)
        self.fill_more(folder, "later")
        zfs("snapshot", f"{dataset}@two")
        send = [*flags, "-i", "@one", f"{dataset}@two"]
        self.cut_seed(send, [copy], over_ssh=True)
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one", "two")

    def test_cut_incremental(self):
        dataset, folder = self.make("increment")
        self.check_incremental(dataset, folder, f"{self.second}/increment", ["-Lce"])

    def test_cut_incremental_raw_encrypted(self):
        dataset, folder = self.make_encrypted("incrementraw")
        self.check_incremental(dataset, folder, f"{self.second}/incrementraw", ["-w"])

    def kill_target(self, send, copy, past):
        """`kill -9` of zferry recv in mid-stream: the source tells of it, and ZFS keeps what it has."""
        pair = self.start_slow(send, ["-s", "-u", copy], past, ["--give-up-after", "0"])
        self.kill(pair.target)
        self.assertIsNotNone(pair.source.wait(PATIENCE_S), pair.told())
        self.assertEqual((pair.source.outcome, pair.source.code), ("link-lost", 11), pair.told())

    def test_killed_target(self):
        dataset, folder = self.make("killed")
        self.seed(dataset, folder)
        send, copy = ["-w", f"{dataset}@one"], f"{self.second}/killed"
        self.kill_target(send, copy, self.stream_size(send) // 3)
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one")

    def test_killed_again(self):
        """Under ssh, then in the transfer that was to finish it, and finished at the third attempt."""
        dataset, folder = self.make_encrypted("again")
        self.seed(dataset, folder)
        send, copy = ["-w", f"{dataset}@one"], f"{self.second}/again"
        self.cut_seed(send, [copy], over_ssh=True, part=0.3)
        first = self.await_token(copy)
        self.kill_target(["-t", first], copy, 4 << 20)
        self.assertNotEqual(self.await_token(copy), first)
        self.finish_by_token(send, copy)
        self.check_finished(dataset, folder, copy, "one")


if __name__ == "__main__":
    unittest.main()
