"""Processes under measurement, for compare.py: wall time, CPU of an end with all its children, peak memory of an end."""
import os
import subprocess
import threading
import time
from pathlib import Path


class Memory:
    """The peak memory of one end: a control group of its own where that can be made, else the largest process of it."""

    V2, V1 = Path("/sys/fs/cgroup"), Path("/sys/fs/cgroup/memory")

    def __init__(self, name):
        self.folder = self.peak_file = None
        for root, peak in ((self.V2, "memory.peak"), (self.V1, "memory.max_usage_in_bytes")):
            folder = root / f"zferry-compare-{os.getpid()}-{name}"
            try:
                folder.mkdir()
            except OSError:
                continue
            if (folder / peak).exists():
                self.folder, self.peak_file = folder, folder / peak
                break
            folder.rmdir()

    @property
    def how(self):
        if not self.folder:
            return "largest process (ru_maxrss, never below this script's own)"
        return f"control group ({self.peak_file.name}: every process of the end, page cache and pipes included)"

    def enter(self):
        """Called in the child before it becomes the program."""
        if self.folder:
            (self.folder / "cgroup.procs").write_text(str(os.getpid()))

    def close(self):
        """The peak in bytes, or 0 where there is no group. Waits for the last process to leave."""
        if not self.folder:
            return 0
        peak = int(self.peak_file.read_text())
        for _ in range(100):
            try:
                self.folder.rmdir()
                break
            except OSError:
                time.sleep(0.02)
        return peak


class Process:
    """A child whose end is seen at once by a thread of its own; CPU times include children that it waited for."""

    def __init__(self, command, memory=None, **streams):
        enter = memory.enter if memory else None
        self.command = command
        self.popen = subprocess.Popen(command, preexec_fn=enter, **streams)
        self.ended_at = self.usage = self.code = None
        self.thread = threading.Thread(target=self._wait, daemon=True)
        self.thread.start()

    def _wait(self):
        _, status, self.usage = os.wait4(self.popen.pid, 0)
        self.ended_at = time.monotonic()
        self.code = self.popen.returncode = os.waitstatus_to_exitcode(status)

    def wait(self, timeout_s):
        self.thread.join(timeout_s)
        if self.thread.is_alive():
            raise TimeoutError(f"still running after {timeout_s:.0f} s: {' '.join(map(str, self.command))}")
        return self.code

    def stop(self, signal_number=15):
        if self.thread.is_alive():
            self.popen.send_signal(signal_number)
            self.thread.join(5)
        if self.thread.is_alive():
            self.popen.kill()
            self.thread.join(5)

    @property
    def cpu_s(self):
        return self.usage.ru_utime + self.usage.ru_stime

    @property
    def maxrss_bytes(self):
        return self.usage.ru_maxrss * 1024


def listening(port):
    """Whether some socket listens on the port; looks without connecting, since a peer may take one connection only."""
    wanted = f":{port:04X}"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        if any(row.split()[1].endswith(wanted) and row.split()[3] == "0A" for row in rows):
            return True
    return False


def wait_listening(port, process, timeout_s=10):
    limit = time.monotonic() + timeout_s
    while not listening(port):
        if process.code is not None or time.monotonic() > limit:
            raise RuntimeError(f"nothing listens on port {port}: {' '.join(map(str, process.command))}")
        time.sleep(0.01)
