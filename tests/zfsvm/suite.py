"""Runs the tests on real OpenZFS, in the machine of tools/zfsvm: `zfsvm test [NAME...]`. Each test can fail, and tells how much it compared.

The last line counts: "N passed, N failed, N skipped". The exit code is 0 only where something passed and nothing else happened.
"""
import os
import sys
import time
import unittest
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "e2e")]
# The modules in their order; test_zfs is the ordinary end-to-end test of tests/e2e, which runs on zfs-fuse elsewhere.
MODULES = ("zfs", "transfers", "tokens", "refusals", "resume", "resuming", "compound")


class Telling(unittest.TextTestResult):
    """Says how long each test took, and counts what passed."""

    passed = 0

    def startTest(self, test):
        self.started_at = time.monotonic()
        super().startTest(test)

    def stopTest(self, test):
        super().stopTest(test)
        print(f"    {time.monotonic() - self.started_at:.0f} s", flush=True)

    def addSuccess(self, test):
        self.passed += 1
        super().addSuccess(test)


def main():
    wanted = sys.argv[1:] or MODULES
    unknown = [name for name in wanted if name not in MODULES]
    if unknown:
        sys.exit(f"there are no such tests: {' '.join(unknown)}; there are: {' '.join(MODULES)}")
    version = Path("/sys/module/zfs/version")
    if not version.exists():
        sys.exit("this kernel has no OpenZFS: run tools/zfsvm/zfsvm test")
    os.chdir("/")
    print(f"OpenZFS {version.read_text().strip()}, modules: {' '.join(wanted)}", flush=True)
    started_at = time.monotonic()
    loader = unittest.TestLoader()
    tests = unittest.TestSuite(loader.loadTestsFromName(f"test_{name}") for name in wanted)
    result = unittest.TextTestRunner(stream=sys.stdout, verbosity=2, resultclass=Telling).run(tests)
    failed, skipped = len(result.failures) + len(result.errors), len(result.skipped)
    from pools import PoolCase  # after the path was set
    print(f"compared {PoolCase.compared} files, folders, links and devices in {time.monotonic() - started_at:.0f} s")
    print(f"{result.passed} passed, {failed} failed, {skipped} skipped")
    sys.exit(0 if result.passed and not failed and not skipped else 1)


if __name__ == "__main__":
    main()
