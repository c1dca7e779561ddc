"""The command line: keys and who may read them, usage errors, what goes to stdout and what to stderr."""
import json
import os
import subprocess
import unittest

from harness import BIN, FAULTS, FerryCase, main
from streams import small_zfs

KEYS = FAULTS["config"]


class Cli(FerryCase):
    def zferry(self, *arguments, stdin=subprocess.DEVNULL, umask=0o022, **options):
        return subprocess.run([BIN, *map(str, arguments)], stdin=stdin, capture_output=True, text=True, timeout=30, umask=umask,
                              check=False, **options)

    # Keys

    def test_key_gen(self):
        made = self.zferry("key", "gen")
        self.assertEqual(made.returncode, 0, made.stderr)
        self.assertEqual(len(made.stdout.strip().splitlines()), 1)
        public = self.zferry("key", "pub", stdin=None, input=made.stdout)
        self.assertEqual(public.returncode, 0, public.stderr)
        self.assertEqual(len(public.stdout.splitlines()), 1)
        self.assertIn(public.stdout.strip(), made.stderr)
        self.assertNotIn(made.stdout.strip(), made.stderr, "the private key is shown")

    def test_every_key_is_another(self):
        keys = {self.zferry("key", "gen").stdout for _ in range(10)} | {self.zferry("key", "secret").stdout for _ in range(10)}
        self.assertEqual(len(keys), 20)

    def test_key_files_are_private(self):
        for kind in ("gen", "secret"):
            path = self.folder / f"fresh-{kind}"
            made = self.zferry("key", kind, "--out", path, umask=0)
            self.assertEqual(made.returncode, 0, made.stderr)
            self.assertEqual(oct(path.stat().st_mode & 0o777), "0o600")
            self.assertEqual(made.stdout, "")

    def test_redirected_key_is_made_private(self):
        """`zferry key gen > me.key`: the shell made the file readable by all."""
        path = self.folder / "redirected.key"
        with open(path, "wb") as out:
            path.chmod(0o644)
            subprocess.run([BIN, "key", "gen"], stdout=out, stderr=subprocess.DEVNULL, check=True)
        self.assertEqual(oct(path.stat().st_mode & 0o777), "0o600")

    def test_key_gen_does_not_overwrite(self):
        path = self.folder / "kept.key"
        path.write_text("kept")
        self.assertNotEqual(self.zferry("key", "gen", "--out", path).returncode, 0)
        self.assertEqual(path.read_text(), "kept")

    def start_with_key(self, name, change):
        """`recv` with a copy of the target's key that `change` was done to."""
        path = self.folder / name
        path.write_bytes((self.folder / "target.key").read_bytes())
        path.chmod(0o600)
        change(path)
        return self.zferry("recv", "--listen", "127.0.0.1:0", "--key", path, "--allow", self.folder / "allow-source", "--json",
                           "--state", self.folder / "state")

    def test_unfit_key_files(self):
        """Readable by others, damaged, missing, not a file: refused before anything listens."""
        def cut(path):
            path.write_bytes(path.read_bytes()[:10])

        def replace(path):
            path.unlink()
            path.mkdir()

        changes = {"group": lambda p: p.chmod(0o640), "all": lambda p: p.chmod(0o604), "writable": lambda p: p.chmod(0o622),
                   "cut": cut, "empty": lambda p: p.write_bytes(b""), "missing": lambda p: p.unlink(), "folder": replace,
                   "junk": lambda p: p.write_bytes(b"\0" * 100), "two": lambda p: p.write_bytes(p.read_bytes() * 2)}
        for name, change in changes.items():
            with self.subTest(key=name):
                done = self.start_with_key(f"{name}.key", change)
                self.assertEqual(done.returncode, KEYS, done.stderr)
                end = json.loads(done.stderr.splitlines()[-1])
                self.assertEqual((end["type"], end["ok"], end["outcome"], end["exit_code"]), ("end", False, "config", KEYS))
                self.assertIn(f"{name}.key", end["error"])
                self.assertNotIn("listening", done.stderr)

    def test_secret_that_others_can_read(self):
        path = self.folder / "open-secret"
        path.write_bytes((self.folder / "secret").read_bytes())
        path.chmod(0o644)
        done = self.zferry("recv", "--listen", "127.0.0.1:0", "--secret", path, "--state", self.folder / "state")
        self.assertEqual(done.returncode, KEYS, done.stderr)

    def test_unfit_allow_files(self):
        for name, text in (("empty", ""), ("junk", "not a key\n"), ("comment only", "# nobody\n")):
            with self.subTest(allow=name):
                path = self.folder / "unfit-allow"
                path.write_text(text)
                done = self.zferry("recv", "--listen", "127.0.0.1:0", "--key", self.folder / "target.key", "--allow", path,
                                   "--state", self.folder / "state")
                self.assertEqual(done.returncode, KEYS, done.stderr)

    # Usage

    def test_usage_errors(self):
        secret = ["--secret", self.folder / "secret"]
        for arguments in ([], ["nonsense"], ["send"], ["recv"], ["send", "127.0.0.1:1", *secret, "--nonsense"], ["send", "127.0.0.1:1", *secret, "--io", "magic"],
                          ["send", "127.0.0.1:1", *secret, "--compress", "13"], ["send", "127.0.0.1:1", *secret, "--compress", "0"],
                          ["send", "127.0.0.1:1", *secret, "--limit", "fast"], ["send", "127.0.0.1:1", *secret, "--limit", "-1"],
                          ["send", "127.0.0.1", *secret], ["send", "127.0.0.1:99999", *secret], ["key"], ["key", "nonsense"],
                          ["recv", "--listen", "127.0.0.1:0", *secret, "--out", "x", "--", "cat"],
                          ["send", "127.0.0.1:1", "--listen", "127.0.0.1:0", *secret]):
            with self.subTest(arguments=" ".join(map(str, arguments))):
                done = self.zferry(*arguments)
                self.assertEqual(done.returncode, FAULTS["usage"], f"{done.stdout}{done.stderr}")
                self.assertEqual(done.stdout, "")
                self.assertTrue(done.stderr)

    def test_no_key_in_the_configuration_folder(self):
        """Without --key it is looked for there, and what to do is told."""
        done = self.zferry("send", "127.0.0.1:1", env={**os.environ, "ZFERRY_CONFIG": str(self.folder / "no-configuration")})
        self.assertEqual(done.returncode, KEYS, done.stderr)
        self.assertIn("key gen", done.stderr)

    def test_help_and_version(self):
        for arguments in (["--help"], ["send", "--help"], ["recv", "--help"], ["key", "--help"], ["--version"], ["help"], ["help", "send"]):
            done = self.zferry(*arguments)
            self.assertEqual((done.returncode, done.stderr), (0, ""), arguments)
            self.assertTrue(done.stdout)

    def test_json_ends_with_the_end_on_wrong_words(self):
        for arguments in (["send", "--json", "--bogus"], ["send", "--json", "127.0.0.1:1", "--workers", "99"], ["--json"], ["frob", "--json"],
                          ["recv", "--json"], ["send", "--json", "a:1", "b"], ["send", "--json", "a:1", "--"], ["key", "gen", "--json"],
                          ["inspect", "--json", "--bogus"], ["send", "--json", "--limit"]):
            with self.subTest(arguments=" ".join(arguments)):
                done = self.zferry(*arguments)
                self.assertEqual((done.returncode, done.stdout), (FAULTS["usage"], ""), done.stderr)
                end = json.loads(done.stderr.splitlines()[-1])
                self.assertEqual((end["type"], end["ok"], end["outcome"], end["exit_code"]), ("end", False, "usage", 2))
                self.assertTrue(end["error"] and end["next"], end)

    def test_json_behind_the_dashes_is_the_commands(self):
        done = self.zferry("send", "127.0.0.1:1", "--bogus", "--", "zfs", "--json")
        self.assertEqual(done.returncode, FAULTS["usage"])
        self.assertTrue(done.stderr.startswith("zferry: error: "), done.stderr)

    def test_unknown_command(self):
        done = self.zferry("snd", "127.0.0.1:1")
        self.assertEqual(done.returncode, FAULTS["usage"])
        self.assertIn("'snd' is no command: send, recv, key, inspect", done.stderr)

    def test_no_home(self):
        """As root the folders are fixed; for others they are in a home, which a service may not have."""
        if os.getuid() != 0:
            self.skipTest("another user is only taken on by root")
        environment = {"PATH": os.environ["PATH"]}
        for home in ({}, {"HOME": "/nonexistent"}):
            done = subprocess.run(["setpriv", "--reuid", "65534", "--clear-groups", BIN, "send", "127.0.0.1:1", "--json"],
                                  env=environment | home, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False)
            if "setpriv" in done.stderr or "denied" in done.stderr:
                self.skipTest(done.stderr.strip())
            self.assertEqual(done.returncode, FAULTS["usage"], done.stderr)
            self.assertIn("no home folder", done.stderr)
            self.assertIn("--state", done.stderr)

    def test_terminals_are_refused_before_anybody_is_met(self):
        master, slave = os.openpty()
        self.addCleanup(os.close, master)
        self.addCleanup(os.close, slave)
        secret = ["--secret", self.folder / "secret", "--state", self.folder / "state"]
        done = self.zferry("send", "127.0.0.1:1", *secret, stdin=slave)
        self.assertEqual(done.returncode, FAULTS["usage"], done.stderr)
        done = subprocess.run([BIN, "recv", "--listen", "127.0.0.1:0", *map(str, secret)], stdin=subprocess.DEVNULL, stdout=slave,
                              stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        self.assertEqual(done.returncode, FAULTS["usage"], done.stderr)
        self.assertNotIn("listening", done.stderr)

    def test_what_cannot_work_is_told_before_anybody_is_met(self):
        secret = ["--secret", self.folder / "secret", "--state", self.folder / "state"]
        for fault, arguments in (("cannot-run", ["--", "no-such-command-anywhere"]), ("cannot-run", ["--", "/nonexistent/zfs", "receive"]),
                                 ("cannot-run", ["--", "/etc/passwd"]), ("output-failed", ["--out", self.folder / "nowhere" / "out"])):
            done = self.zferry("recv", "--listen", "127.0.0.1:0", "--json", *secret, *arguments)
            self.assertEqual(done.returncode, FAULTS[fault], done.stderr)
            self.assertNotIn("listening", done.stderr)
            self.assertTrue(json.loads(done.stderr.splitlines()[-1])["next"])

    # Output

    def test_json_ends_with_the_end_on_failure(self):
        done = self.zferry("send", "127.0.0.1:1", "--secret", self.folder / "secret", "--json", "--state", self.folder / "state")
        self.assertEqual(done.returncode, FAULTS["unreachable"], done.stderr)
        self.assertIn("start the listening end first", done.stderr)
        objects = [json.loads(line) for line in done.stderr.splitlines()]
        self.assertEqual([o["type"] for o in objects].count("end"), 1)
        end = objects[-1]
        self.assertEqual((end["type"], end["ok"], end["outcome"], end["retryable"]), ("end", False, "unreachable", True))
        for field in ("stream_bytes", "wire_bytes", "elapsed_s", "error", "next", "producer"):
            self.assertIn(field, end)
        self.assertEqual(done.stdout, "")

    def test_json_of_a_success(self):
        (self.folder / "in").write_bytes(small_zfs())
        pair = self.ferry(stream=self.folder / "in")
        self.check_success(pair, "delivered")
        for end in (pair.source, pair.target):
            self.assertTrue(all(isinstance(o, dict) and o.get("type") for o in end.objects), end.told())
            self.assertEqual(end.end["stream_bytes"], len(small_zfs()))
            self.assertGreater(end.end["wire_bytes"], len(small_zfs()) // 2)
            self.assertGreaterEqual(end.end["elapsed_s"], 0)
        first = next(o for o in pair.target.objects if o["type"] != "log")
        self.assertEqual((first["type"], first["address"]), ("listening", f"127.0.0.1:{pair.target.port}"))

    def test_words_for_people(self):
        """Without --json: where it listens, in the fixed words that scripts may look for."""
        process = subprocess.Popen([BIN, "recv", "--listen", "127.0.0.1:0", "--secret", self.folder / "secret", "--state",
                                    self.folder / "state"], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        try:
            self.assertRegex(process.stderr.readline(), r"^zferry: listening on 127\.0\.0\.1:\d+$")
        finally:
            process.terminate()
            out, _ = process.communicate(timeout=10)
        self.assertEqual((process.returncode, out), (FAULTS["interrupted"], ""))

    def test_secrets_stay_secret(self):
        """No key material in what a failing run says, nor in its environment or arguments."""
        secret = (self.folder / "secret").read_text().strip()
        done = self.zferry("send", "127.0.0.1:1", "--secret", self.folder / "secret", "--state", self.folder / "state")
        self.assertNotIn(secret, done.stdout + done.stderr)

    def test_inspect_of_nothing(self):
        self.assertEqual(self.zferry("inspect").returncode, FAULTS["stream-incomplete"])

    def test_full_standard_output(self):
        path = self.folder / "whole"
        path.write_bytes(small_zfs())
        for arguments in (["inspect", path], ["inspect", "--json", path], ["key", "pub", self.folder / "target.key"]):
            with open("/dev/full", "wb") as full:
                done = subprocess.run([BIN, *map(str, arguments)], stdout=full, stderr=subprocess.PIPE, text=True, timeout=30, check=False)
            self.assertEqual(done.returncode, FAULTS["output-failed"], done.stderr)

    def test_inspect(self):
        path = self.folder / "inspected"
        path.write_bytes(small_zfs())
        with open(path, "rb") as stdin:
            done = self.zferry("inspect", stdin=stdin)
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertRegex(done.stdout, r"(?i)write\D+\d+")
        for name, data in (("cut", small_zfs()[:-100]), ("damaged", small_zfs()[:-20] + bytes(20))):
            path.write_bytes(data)
            with open(path, "rb") as stdin:
                self.assertIn(self.zferry("inspect", stdin=stdin).returncode, (31, 32), name)


if __name__ == "__main__":
    unittest.TestCase.maxDiff = 400
    os.umask(0o022)
    main()
