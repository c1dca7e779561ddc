"""Processes under measurement, for compare.py and compare: wall time, CPU of an end with all its children, peak memory of an end."""
import contextlib
import os
import platform
import signal
import subprocess
import threading
import time
from pathlib import Path


class Memory:
    """What one end takes, all its processes together: a control group of its own where that can be made.

    Without a group only ru_maxrss of the largest process is known (close() says 0), and no CPU time of processes that still run.
    """

    ROOT = Path("/sys/fs/cgroup")
    PEAKS = (("", "memory.peak"), ("memory", "memory.max_usage_in_bytes"))
    TIMES = (("", "cpu.stat"), ("cpuacct", "cpuacct.usage"))
    EMPTY_AFTER_S = 2.0

    def __init__(self, name):
        self.folder, self.peak_file = self._make(self.PEAKS, name)
        self.time_folder, self.time_file = self._make(self.TIMES, name)

    def _make(self, choices, name):
        """A group below the first hierarchy that has the wanted file. In the unified one both kinds share a folder."""
        for hierarchy, file in choices:
            folder = self.ROOT / hierarchy / f"zferry-compare-{os.getpid()}-{name}"
            try:
                folder.mkdir(exist_ok=True)
            except OSError:
                continue
            if (folder / file).exists():
                return folder, folder / file
            folder.rmdir()
        return None, None

    @property
    def folders(self):
        return list(dict.fromkeys(folder for folder in (self.folder, self.time_folder) if folder))

    @property
    def how(self):
        if not self.folder:
            return "largest process (ru_maxrss, never below this script's own)"
        return f"control group ({self.peak_file.name}: every process of the end, page cache and pipes included)"

    def enter(self):
        """Called in the child before it becomes the program."""
        for folder in self.folders:
            (folder / "cgroup.procs").write_text(str(os.getpid()))

    def cpu_s(self):
        """User and system time of everything that ever ran in the group, living processes included; None without a group."""
        if not self.time_file:
            return None
        said = self.time_file.read_text()
        if self.time_file.name == "cpu.stat":
            return int(dict(row.split() for row in said.splitlines())["usage_usec"]) / 1e6
        return int(said) / 1e9

    def kill(self):
        """Ends what is left in the group, at once."""
        limit = time.monotonic() + self.EMPTY_AFTER_S
        while self.folders and time.monotonic() < limit:
            living = {int(pid) for folder in self.folders for pid in (folder / "cgroup.procs").read_text().split()}
            if not living:
                return
            for pid in living:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            time.sleep(0.01)

    def close(self):
        """The peak in bytes, or 0 where there is no group. Waits for the last process to leave."""
        peak = int(self.peak_file.read_text()) if self.peak_file else 0
        for folder in self.folders:
            for _ in range(100):
                try:
                    folder.rmdir()
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


def chain(commands, memory, stdin, stdout, **streams):
    """Starts `commands` as one pipeline, like a shell would; the processes, in order. `stdin` and `stdout` stay the caller's to close."""
    made, feed = [], stdin
    for number, command in enumerate(commands):
        last = number == len(commands) - 1
        read_end, write_end = (None, stdout) if last else os.pipe()
        made.append(Process(command, memory, stdin=feed, stdout=write_end, **streams))
        if number:
            os.close(feed)
        if not last:
            os.close(write_end)
        feed = read_end
    return made


def first_line(command):
    """What a program says of its version."""
    said = subprocess.run(command, capture_output=True, text=True, check=False)
    lines = (said.stdout + said.stderr).strip().splitlines()
    return lines[0] if lines else "?"


def machine():
    """What the figures depend on."""
    cpu = next((row.split(":", 1)[1].strip() for row in Path("/proc/cpuinfo").read_text().splitlines()
                if row.startswith("model name")), platform.machine())
    memory = int(Path("/proc/meminfo").read_text().split()[1]) / (1 << 20)
    return {"cpu": cpu, "cores": len(os.sched_getaffinity(0)), "memory_gib": round(memory, 1),
            "kernel": platform.release(), "system": platform.freedesktop_os_release().get("PRETTY_NAME", "?")}


def listening(port, pid="self"):
    """Whether some socket listens on the port, in the network namespace of the process `pid`; looks without connecting, since a peer
    may take one connection only."""
    wanted = f":{port:04X}"
    for table in (f"/proc/{pid}/net/tcp", f"/proc/{pid}/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        if any(row.split()[1].endswith(wanted) and row.split()[3] == "0A" for row in rows):
            return True
    return False


def wait_listening(port, process, timeout_s=10):
    """Raises RuntimeError where `process` does not come to listen, in its own namespace."""
    limit = time.monotonic() + timeout_s
    while not listening(port, process.popen.pid):
        if process.code is not None or time.monotonic() > limit:
            raise RuntimeError(f"nothing listens on port {port}: {' '.join(map(str, process.command))}")
        time.sleep(0.01)
