"""tools/wanlab against real sockets: what was asked for comes out (delay, rate, loss, queue), cuts do what they say, nothing is left.

The link's figures are what is tested here, so times are compared; the bounds are wide, for machines that are busy.
"""
import json
import os
import signal
import statistics
import subprocess
import sys
import time
import unittest
from pathlib import Path

import harness

sys.path.insert(0, str(harness.ROOT / "tools" / "wanlab"))
import lab as wanlab  # noqa: E402
import quantities  # noqa: E402

PROBE = [sys.executable, str(Path(__file__).resolve().parent / "wan_probe.py")]
FRONT = str(wanlab.HERE / "wanlab")
PORT = 9000


class WanCase(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        try:
            wanlab.require()
            with wanlab.Lab.up():
                pass
        except wanlab.Unavailable as why:
            raise unittest.SkipTest(str(why)) from None

    def lab(self, **options):
        made = wanlab.Lab.up(**options)
        self.addCleanup(made.down)
        return made

    def probe(self, lab, side, *words, ready=False):
        process = lab.popen(side, [*PROBE, *words], stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        self.addCleanup(process.wait)
        self.addCleanup(process.kill)
        if ready:
            self.assertEqual(process.stdout.readline(), "ready\n")
        return process

    def told(self, process, timeout_s=30):
        """The JSON line of a probe that ends by itself."""
        said, _ = process.communicate(timeout=timeout_s)
        self.assertEqual(process.returncode, 0)
        return json.loads(said)

    def ping(self, lab, count, gap_s=0.005, size=64):
        """[(number, seconds a to b, seconds b to a, when it turned)] of the datagrams that came back."""
        echo = self.probe(lab, "b", "echo", ready=True)
        back = self.told(self.probe(lab, "a", "ping", lab.address("b"), count, gap_s, size))["back"]
        echo.kill()
        return back

    def pour(self, lab, size, port=PORT):
        """A sink at b and who pours into it at a."""
        sink = self.probe(lab, "b", "sink", port, ready=True)
        return sink, self.probe(lab, "a", "pour", lab.address("b"), port, size, 1)

    def until(self, condition, timeout_s=10):
        limit = time.monotonic() + timeout_s
        while not condition():
            self.assertLess(time.monotonic(), limit, "did not come about in time")
            time.sleep(0.02)

    def sent_by_a(self, lab):
        return sum(flow["a_sent_bytes"] for flow in lab.flows())


class Link(WanCase):
    def test_delay_of_each_direction(self):
        lab = self.lab(rtt="40ms", reverse_delay="5ms")
        back = self.ping(lab, 60)
        self.assertEqual(len(back), 60)
        there, again = statistics.median(b[1] for b in back), statistics.median(b[2] for b in back)
        self.assertTrue(0.020 <= there < 0.024, there)
        self.assertTrue(0.005 <= again < 0.009, again)
        self.assertGreaterEqual(min(b[1] for b in back), 0.020)
        self.assertGreaterEqual(min(b[2] for b in back), 0.005)
        print(f"asked 20 + 5 ms, got {there * 1e3:.3f} + {again * 1e3:.3f} ms")
        lab.change("a-to-b", delay="2ms")
        there = statistics.median(b[1] for b in self.ping(lab, 40))
        self.assertTrue(0.002 <= there < 0.006, there)

    def test_jitter_keeps_order(self):
        back = self.ping(self.lab(delay="10ms", jitter="8ms"), 400)
        self.assertEqual([b[0] for b in back], list(range(400)))
        delays = [b[1] for b in back]
        self.assertGreaterEqual(min(delays), 0.002)
        self.assertGreater(max(delays) - min(delays), 0.008)

    def test_reordering_where_asked(self):
        back = self.ping(self.lab(delay="20ms", jitter="15ms", reorder=True), 200)
        self.assertEqual(sorted(b[0] for b in back), list(range(200)))
        self.assertNotEqual([b[0] for b in back], list(range(200)))

    def test_loss_comes_out_and_a_seed_repeats_it(self):
        count, share = 3000, 0.05
        runs = []
        for seed in (11, 11, 12):
            lab = self.lab(loss="5%", reverse_loss="0", seed=seed)
            runs.append([b[0] for b in self.ping(lab, count, 0.0003)])
            stats = lab.stats()["a-to-b"]
            self.assertEqual(stats["dropped"]["loss"]["packets"], count - len(runs[-1]))
            self.assertEqual(stats["overruns"], 0)
            lab.down()
        lost = count - len(runs[0])
        print(f"asked {count * share:.0f} of {count} lost, got {lost}")
        self.assertLess(abs(lost - count * share), 5 * (count * share) ** 0.5)
        self.assertEqual(runs[0], runs[1], "the same seed loses the same packets")
        self.assertNotEqual(runs[0], runs[2])

    def test_bursts_one_direction(self):
        lab = self.lab(burst_loss="10%,20", reverse_burst_loss="0")
        arrived = {b[0] for b in self.ping(lab, 4000, 0.0003)}
        lost = [number not in arrived for number in range(4000)]
        bursts = sum(now and not before for before, now in zip([False, *lost], lost))
        self.assertTrue(100 < sum(lost) < 900, sum(lost))
        self.assertGreater(sum(lost) / bursts, 8)
        self.assertEqual(lab.stats()["b-to-a"]["dropped"]["burst_loss"]["packets"], 0)

    def test_rate_of_tcp(self):
        for mbit, size in ((50, 12_000_000), (8, 2_000_000)):
            lab = self.lab(rate=f"{mbit}mbit", rtt="20ms")
            sink, pour = self.pour(lab, size)
            got, sent = self.told(sink), self.told(pour)
            self.assertEqual((got["bytes"], got["sha256"]), (size, sent["sha256"]))
            arrivals = got["arrivals"]
            early, late = arrivals[len(arrivals) // 4], arrivals[-1]
            rate = (late[1] - early[1]) * 8 / (late[0] - early[0]) / 1e6
            print(f"asked {mbit} Mbit/s of IP, got {rate:.2f} of TCP payload")
            self.assertTrue(0.75 * mbit < rate < 0.985 * mbit, rate)   # headers take 3.5 percent, and TCP finds the rate by losing
            lab.down()

    def test_rate_of_datagrams(self):
        lab = self.lab(rate="8mbit", reverse_rate="unlimited")
        arrived = self.ping(lab, 1500, 0.0008, 1472)   # 15 Mbit/s of packets of 1500 bytes
        rate = (len(arrived) - 1) * 1500 * 8 / (arrived[-1][3] - arrived[0][3]) / 1e6
        print(f"asked 8 Mbit/s, got {rate:.3f}")
        self.assertTrue(7.6 < rate < 8.1, rate)
        self.assertGreater(lab.stats()["a-to-b"]["dropped"]["queue"]["packets"], 100)

    def test_the_reverse_has_its_own_rate(self):
        lab = self.lab(rate="unlimited", reverse_rate="10mbit", queue="1mb")
        sink, pour = self.pour(lab, 40_000_000)
        began = time.monotonic()
        self.assertEqual(self.told(sink)["bytes"], 40_000_000)
        self.told(pour)
        self.assertLess(time.monotonic() - began, 20)   # 32 s at 10 Mbit/s
        self.assertEqual(lab.stats()["a-to-b"]["settings"]["rate"], 0)

    def test_queue_drops_its_tail(self):
        lab = self.lab(rate="1mbit", queue="20000", reverse_rate="unlimited")
        back = self.ping(lab, 100, 0, 972)   # a thousand bytes of IP each, all at once
        self.assertTrue(19 <= len(back) <= 35, len(back))
        self.assertEqual([b[0] for b in back[:19]], list(range(19)))
        self.assertTrue(0.100 < back[18][1] < 0.400, back[18])   # 8 ms for each before it
        stats = lab.stats()["a-to-b"]
        self.assertEqual(stats["dropped"]["queue"]["packets"], 100 - len(back))
        self.assertTrue(19_000 <= stats["queue_bytes_peak"] <= 20_000, stats)

    def test_lossy_tcp_keeps_its_bytes(self):
        lab = self.lab(rate="100mbit", rtt="4ms", jitter="1ms", loss="1%", burst_loss="0.5%,5", seed=3)
        size = 4_000_000
        sink, pour = self.pour(lab, size)
        got, sent = self.told(sink, 60), self.told(pour)
        self.assertEqual((got["bytes"], got["sha256"]), (size, sent["sha256"]))
        self.assertEqual(got["bytes"], sent["bytes"])
        self.assertGreater(lab.stats()["a-to-b"]["dropped"]["loss"]["packets"], 5)

    def test_congestion_control_as_asked(self):
        known = Path("/proc/sys/net/ipv4/tcp_available_congestion_control").read_text().split()
        compared = 0
        for name in ("cubic", "bbr", "reno"):
            if name in known:
                lab = self.lab(congestion=name, rate="20mbit")
                sink, pour = self.pour(lab, 20_000_000)
                self.until(lambda: self.sent_by_a(lab) > 100_000)
                shown = lab.run("a", ["ss", "-tin"], capture_output=True, text=True).stdout
                self.assertIn(f" {name} ", shown)
                compared += 1
                lab.down()
        self.assertGreater(compared, 0)


class CutsCase(WanCase):
    SIZE = 8_000_000
    OPTIONS = {"rate": "40mbit", "rtt": "20ms"}

    def flowing(self, lab, ports=(PORT,)):
        pairs = [self.pour(lab, self.SIZE, port) for port in ports]
        self.until(lambda: sum(flow["a_sent_bytes"] > 100_000 for flow in lab.flows()) == len(ports))
        return pairs

    def test_silent_cut_stalls_and_goes_on(self):
        lab = self.lab(**self.OPTIONS)
        (sink, pour), = self.flowing(lab)
        cut_at = lab.cut()["now_ns"] / 1e9
        time.sleep(1.2)
        self.assertEqual((sink.poll(), pour.poll()), (None, None))
        self.assertEqual(lab.heal()["healed"], 1)
        got, sent = self.told(sink), self.told(pour)
        self.assertEqual((got["bytes"], got["sha256"]), (self.SIZE, sent["sha256"]))
        healed = lab.stats()["last_heal"]
        first = healed["first_passed"]["a-to-b"]
        self.assertGreaterEqual(first["sent_ns"], healed["healed_ns"])
        self.assertGreaterEqual(first["arrived_ns"] - first["sent_ns"], 10_000_000)
        quiet = [at for at, _ in got["arrivals"] if cut_at + 0.2 < at < healed["healed_ns"] / 1e9]
        self.assertEqual(quiet, [], "bytes arrived through a cut")
        after = min(at for at, _ in got["arrivals"] if at > healed["healed_ns"] / 1e9)
        self.assertLess(abs(after - first["arrived_ns"] / 1e9), 1)

    def test_cut_heals_by_itself(self):
        lab = self.lab(**self.OPTIONS)
        (sink, pour), = self.flowing(lab)
        lab.cut(length="300ms")
        self.assertEqual(len(lab.stats()["cuts"]), 1)
        self.until(lambda: lab.stats()["cuts"] == [])
        self.assertEqual(self.told(sink)["bytes"], self.SIZE)
        healed = lab.stats()["last_heal"]
        self.assertLess(abs(healed["healed_ns"] - healed["since_ns"] - 300e6), 100e6)

    def test_rst_ends_both_ends_at_once(self):
        lab = self.lab(**self.OPTIONS)
        (sink, pour), = self.flowing(lab)
        held = self.probe(lab, "b", "sink", PORT + 1, ready=True)
        idle = self.probe(lab, "a", "hold", lab.address("b"), PORT + 1, 20, ready=True)
        self.until(lambda: len([flow for flow in lab.flows() if flow["live"]]) == 2)
        time.sleep(0.1)   # the last part of the handshake is on its way to b, which has no connection before that
        answer = lab.cut(rst=True)
        self.assertEqual(answer["reset"], 2)
        for process in (sink, pour, held, idle):
            said = self.told(process)
            self.assertEqual(said["ended"], "ConnectionResetError")
            self.assertLess(said["ended_at"] - answer["now_ns"] / 1e9, 1)
        lab.heal()
        sink, pour = self.pour(lab, 100_000, PORT + 2)
        self.assertEqual(self.told(sink)["bytes"], 100_000)

    def test_reset_under_loss(self):
        """With bytes missing in between, the right sequence number is not the last one that arrived."""
        for seed in range(5):
            lab = self.lab(rate="40mbit", rtt="30ms", loss="3%", seed=seed)
            (sink, pour), = self.flowing(lab)
            answer = lab.reset()
            self.assertEqual(answer["reset"], 1)
            for process in (sink, pour):
                said = self.told(process)
                self.assertEqual(said["ended"], "ConnectionResetError")
                self.assertLess(said["ended_at"] - answer["now_ns"] / 1e9, 2)
            lab.down()

    def test_one_connection_of_three(self):
        lab = self.lab(**self.OPTIONS)
        pairs = self.flowing(lab, (PORT, PORT + 1, PORT + 2))
        flow = next(flow for flow in lab.flows() if flow["b"].endswith(f":{PORT + 1}"))
        lab.cut(flows=[flow["flow"]])
        self.assertEqual([self.told(pairs[at][0])["bytes"] for at in (0, 2)], [self.SIZE, self.SIZE])
        self.assertIsNone(pairs[1][0].poll(), "the connection that was cut ended")
        lab.heal()
        self.assertEqual(self.told(pairs[1][0])["bytes"], self.SIZE)
        self.assertIsNotNone(lab.stats()["last_heal"]["first_passed"]["a-to-b"])

    def test_reset_of_one_port(self):
        lab = self.lab(**self.OPTIONS)
        pairs = self.flowing(lab, (PORT, PORT + 1))
        self.assertEqual(lab.reset(port=PORT + 1)["reset"], 1)
        self.assertEqual(self.told(pairs[1][0])["ended"], "ConnectionResetError")
        self.assertEqual(self.told(pairs[0][0])["bytes"], self.SIZE)

    def test_one_direction(self):
        lab = self.lab(rtt="2ms")
        echo = self.probe(lab, "b", "echo", ready=True)
        for direction in ("a-to-b", "b-to-a"):
            lab.cut(direction=direction)
            self.assertEqual(self.told(self.probe(lab, "a", "ping", lab.address("b"), 5, 0, 64))["back"], [])
            lab.heal()
        dropped = [lab.stats()[direction]["dropped"]["cut"]["packets"] for direction in ("a-to-b", "b-to-a")]
        self.assertEqual(dropped, [5, 5])   # the second five reached b, and their answers did not come back
        echo.kill()


class Housekeeping(WanCase):
    def left(self, name):
        return [entry for entry in os.listdir(wanlab.SPACES) if name in entry] + [lab.name for lab in wanlab.every() if name in lab.name]

    def front(self, *words, **more):
        return subprocess.run([FRONT, *words], capture_output=True, text=True, timeout=60, **more)

    def test_run_gives_the_code_and_leaves_nothing(self):
        script = 'echo $WANLAB_NAME; ip netns exec $WANLAB_B true && test -S $WANLAB_CTL && exit 9'
        done = self.front("run", "--rate", "1gbit", "--", "sh", "-c", script)
        self.assertEqual(done.returncode, 9, done.stderr)
        name = done.stdout.strip()
        self.assertTrue(name)
        self.assertEqual(self.left(name), [])

    def test_what_still_runs_inside_is_ended(self):
        done = self.front("run", "--quiet", "--", "sh", "-c",
                          "ip netns exec $WANLAB_A sleep 1000 >/dev/null 2>&1 & sleep 0.3; echo $! $WANLAB_NAME")
        pid, name = done.stdout.split()
        self.until(lambda: cmdline(pid) == b"")   # gone, or a zombie that waits for init
        self.assertEqual(self.left(name), [])

    def start_run(self):
        process = subprocess.Popen([FRONT, "run", "--quiet", "--", "sh", "-c", "echo $WANLAB_NAME; exec sleep 1000"],
                                   stdout=subprocess.PIPE, text=True)
        self.addCleanup(process.stdout.close)
        return process, process.stdout.readline().strip()

    def test_killed_front_end(self):
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGKILL):
            process, name = self.start_run()
            self.assertEqual(len(self.left(name)), 3)
            process.send_signal(number)
            process.wait(20)
            self.until(lambda: self.left(name) == [])

    def test_sweep_after_everything_was_killed(self):
        process, name = self.start_run()
        carrier = int(next(entry for entry in os.listdir("/proc") if entry.isdigit() and f"/{name}/ctl".encode() in cmdline(entry)
                           and b"wanlab-carrier" in cmdline(entry)))
        os.kill(carrier, signal.SIGSTOP)   # so that it does not clean up after the front end
        process.kill()
        process.wait()
        os.kill(carrier, signal.SIGKILL)
        self.until(lambda: not wanlab.Lab(name).alive())
        self.assertEqual(len(self.left(name)), 3)
        self.assertIn("leftover", self.front("list").stdout)
        self.assertIn(name, self.front("sweep").stdout)
        self.assertEqual(self.left(name), [])

    def test_a_lab_that_stays(self):
        name = f"test-{os.getpid()}"
        self.addCleanup(lambda: wanlab.Lab(name).down())
        self.assertEqual(self.front("up", name, "--rtt", "2ms").returncode, 0)
        self.assertIn("already", self.front("up", name).stderr)
        self.assertEqual(self.front("exec", name, "b", "--", "sh", "-c", "exit 5").returncode, 5)
        self.assertEqual(self.front("ctl", name, "rate", "3mbit", "--direction", "b-to-a").returncode, 0)
        stats = json.loads(self.front("ctl", name, "stats").stdout)
        self.assertEqual((stats["a-to-b"]["settings"]["rate"], stats["b-to-a"]["settings"]["rate"]), (0, 3_000_000))
        self.assertEqual(self.front("sweep").stdout.count(name), 0)
        self.assertEqual(self.front("down", name).returncode, 0)
        self.assertEqual(self.left(name), [])

    def test_wrong_usage(self):
        for words in (["run", "--rate", "fast"], ["run", "--loss", "7"], ["run", "--rtt", "1ms", "--jitter", "2ms"],
                      ["run", "--rtt", "1ms", "--delay", "2ms"], ["frobnicate"], ["run", "--queue", "long"]):
            done = self.front(*words, "--", "true")
            self.assertEqual(done.returncode, 2, (words, done.stderr))
        self.assertEqual(self.front("down", "no-such-lab").returncode, 1)
        self.assertEqual(self.front("run", "--congestion", "telepathy", "--", "true").returncode, 1)

    def test_not_root_is_told(self):
        if not os.access(FRONT, os.R_OK) or subprocess.run(["cat", FRONT], user=65534, capture_output=True).returncode != 0:
            self.skipTest("others cannot read this checkout")
        done = self.front("check", user=65534)
        self.assertEqual(done.returncode, 77, done.stderr)
        self.assertIn("root", done.stderr)


class Quantities(unittest.TestCase):
    """Needs neither root nor devices, but belongs to the same program."""

    def test_units(self):
        self.assertEqual([quantities.rate(t) for t in ("1gbit", "2.5mbit", "unlimited")], [10**9, 2_500_000, 0])
        self.assertEqual([quantities.time_ns(t) for t in ("0", "40ms", "1.5s", "7us")], [0, 40_000_000, 1_500_000_000, 7000])
        self.assertEqual([quantities.share(t) for t in ("0", "1%", "0.25", "100%")], [0, 0.01, 0.25, 1])
        self.assertEqual(quantities.burst("1%,20"), (0.01, 20))
        self.assertEqual([quantities.queue_bytes(t, 10**8, 40 * 10**6) for t in ("bdp", "2bdp", "100ms", "64k", "unlimited")],
                         [500_000, 1_000_000, 1_250_000, 65536, 0])

    def test_directions(self):
        made = quantities.link_settings({"rate": "100mbit", "rtt": "30ms", "reverse_rate": "10mbit", "reverse_delay": "1ms"})
        self.assertEqual([made[d]["rate"] for d in made], [10**8, 10**7])
        self.assertEqual([made[d]["delay"] for d in made], [15_000_000, 1_000_000])
        self.assertEqual([made[d]["queue"] for d in made], [200_000, 150_000])


def cmdline(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


if __name__ == "__main__":
    harness.main()
