"""What people write on the command line, turned into what wanlab-carrier understands: bits, nanoseconds, bytes, shares.

A link has two directions. Options without "reverse" hold for both; those with it for b to a alone.
"""
import re

RATES = {"bit": 1, "kbit": 10**3, "mbit": 10**6, "gbit": 10**9}
TIMES = {"ns": 1, "us": 10**3, "ms": 10**6, "s": 10**9}
SIZES = {"": 1, "b": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "k": 2**10, "kib": 2**10, "m": 2**20, "mib": 2**20, "g": 2**30, "gib": 2**30}
LINK_OPTIONS = ("rate", "delay", "rtt", "jitter", "reorder", "loss", "burst_loss", "queue")
QUEUE_LEAST_BYTES = 150_000   # a queue that is said by its time or the BDP is at least 100 full packets long


class Nonsense(ValueError):
    """Something that was written makes no sense; the text says what would."""


def _scaled(text, units, example):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)\s*([a-z]*)", str(text).strip().lower())
    if not match or match.group(2) not in units:
        raise Nonsense(f"'{text}': say for example {example}")
    return round(float(match.group(1)) * units[match.group(2)])


def rate(text):
    """Bits a second; 0 for "unlimited"."""
    if str(text).lower() in ("unlimited", "none", "0"):
        return 0
    bits = _scaled(text, RATES, "100mbit, 1gbit or unlimited")
    if bits < 1000:
        raise Nonsense(f"'{text}': less than 1kbit")
    return bits


def time_ns(text):
    return 0 if str(text) == "0" else _scaled(text, TIMES, "40ms, 500us or 2s")


def share(text):
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)(%?)", str(text).strip())
    value = float(match.group(1)) / (100 if match.group(2) else 1) if match else 2
    if value > 1 or (match and not match.group(2) and value != 0 and "." not in match.group(1)):
        raise Nonsense(f"'{text}': say for example 1% or 0.01")
    return value


def burst(text):
    """share,packets: "0.5%,20" loses one packet in 200, in bursts of 20 on average."""
    parts = str(text).split(",")
    if str(text) == "0":
        return 0.0, 1.0
    try:
        lost, packets = share(parts[0]), float(parts[1])
    except (IndexError, ValueError):
        raise Nonsense(f"'{text}': say for example 0.5%,20: half a percent, in bursts of 20 packets on average") from None
    if not 1 <= packets <= 1e9:
        raise Nonsense(f"'{text}': a burst has at least one packet")
    return lost, packets


def queue_bytes(text, bits, rtt_ns):
    """Bytes that may wait: a size, a time at the rate, or a multiple of the bandwidth-delay product. 0: no limit."""
    text = str(text).strip().lower()
    if text in ("unlimited", "none"):
        return 0
    match = re.fullmatch(r"([0-9]+(?:\.[0-9]+)?)?\s*bdp", text)
    if match:
        return max(QUEUE_LEAST_BYTES, round(float(match.group(1) or 1) * bits * rtt_ns / 8e9))
    if re.fullmatch(r"[0-9.]+\s*(ns|us|ms|s)", text):
        return max(1, round(bits * time_ns(text) / 8e9))
    return max(1, _scaled(text, SIZES, "256k, 100ms, bdp or 2bdp"))


def _one_way(options):
    """What can be said of one direction by itself; the queue comes later, since a BDP takes both."""
    if options.get("rtt") is not None and options.get("delay") is not None:
        raise Nonsense("--rtt and --delay both say how long the way is: leave one out")
    lost, packets = burst(options.get("burst_loss") or "0")
    delay = time_ns(options["rtt"]) // 2 if options.get("rtt") is not None else time_ns(options.get("delay") or "0")
    return {"rate": rate(options.get("rate") or "unlimited"), "delay": delay, "jitter": time_ns(options.get("jitter") or "0"),
            "reorder": int(bool(options.get("reorder"))), "loss": share(options.get("loss") or "0"),
            "burst_loss": lost, "burst_packets": packets}


def link_settings(options):
    """{"a-to-b": {...}, "b-to-a": {...}} in the carrier's numbers from {"rate": "100mbit", "reverse_rate": ..., ...}."""
    forward = {key: options.get(key) for key in LINK_OPTIONS}
    backward = dict(forward)
    for key in LINK_OPTIONS:
        said = options.get(f"reverse_{key}")
        if said is None:
            continue
        backward[key] = said
        if key == "delay":   # holds for this direction, whatever --rtt says
            backward["rtt"] = None
    settings = {"a-to-b": _one_way(forward), "b-to-a": _one_way(backward)}
    rtt_ns = sum(one["delay"] for one in settings.values())
    for one, said in ((settings["a-to-b"], forward), (settings["b-to-a"], backward)):
        one["queue"] = queue_bytes(said.get("queue") or "bdp", one["rate"], rtt_ns)
        if one["jitter"] > one["delay"]:
            raise Nonsense(f"a jitter of {shown_time(one['jitter'])} around a delay of {shown_time(one['delay'])}: "
                           "it cannot be larger than the delay one way")
    return settings


def shown_time(ns):
    return f"{ns / 1e6:g} ms"


def shown_rate(bits):
    for unit, scale in (("Gbit/s", 1e9), ("Mbit/s", 1e6), ("kbit/s", 1e3)):
        if bits >= scale:
            return f"{bits / scale:g} {unit}"
    return "unlimited rate"


def shown_link(one):
    """One direction in a few words."""
    words = [shown_rate(one["rate"]), shown_time(one["delay"])]
    words += [f"jitter {shown_time(one['jitter'])}"] if one["jitter"] else []
    words += [f"loss {one['loss'] * 100:g}%"] if one["loss"] else []
    words += [f"loss in bursts of {one['burst_packets']:g} {one['burst_loss'] * 100:g}%"] if one["burst_loss"] else []
    words += [f"queue {one['queue'] / 1e3:g} kB"] if one["rate"] and one["queue"] else []
    return ", ".join(words)
