#!/usr/bin/env python3
"""The table of a load run: medians with their spread, and Balcony's ratios to the better peer and to the relay.

    report.py FILE.jsonl
"""

import json
import statistics
import sys

# load: (what it is, field of xload's result, unit, goal against the better peer, against the relay, absolute)
ROWS = {
    "chat4": ("chat, 200 sessions, 4 in flight", "server_cpu_us_per_delivery", "µs", 1 / 10, 2.5, None),
    "chat1": ("chat, 200 sessions, 1 in flight", "server_cpu_us_per_delivery", "µs", 1 / 7, 2.5, None),
    "chat5000": ("chat, 5,000 sessions, 1 in flight", "server_cpu_us_per_delivery", "µs", 1 / 5, 2.5, None),
    "websocket4": ("chat over WebSocket, 200 sessions, 4 in flight", "server_cpu_us_per_delivery", "µs", None, None, None),
    "websocket1": ("chat over WebSocket, 200 sessions, 1 in flight", "server_cpu_us_per_delivery", "µs", None, None, None),
    "bosh4": ("chat over BOSH, 200 sessions, 4 in flight", "server_cpu_us_per_delivery", "µs", None, None, None),
    "bosh1": ("chat over BOSH, 200 sessions, 1 in flight", "server_cpu_us_per_delivery", "µs", None, None, None),
    "login": ("login, SCRAM-SHA-1", "server_cpu_ms_per_login", "ms", 1 / 3, None, None),
    "presence": ("presence, 500 users × 50 contacts", "server_cpu_us_per_delivery", "µs", 1 / 8, None, None),
    "rooms": ("10 rooms × 100 occupants", "server_cpu_us_per_delivery", "µs", 1 / 10, None, None),
    "room": ("1 room × 2,000 occupants", "server_cpu_us_per_delivery", "µs", 1 / 10, None, None),
    "idle": ("idle session, TLS", "kib_per_session", "KiB", None, None, 20),
    "idle-plain": ("idle session, plain", "kib_per_session", "KiB", None, None, 6),
}
PEERS = ("prosody", "ejabberd")


def number(value):
    return f"{value:,.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values):
    if not values:
        return ""
    middle = number(statistics.median(values))
    return middle if len(values) == 1 else f"{middle} ({number(min(values))}–{number(max(values))})"


def ratio(values, others, goal, as_part):
    """The ratios of the same rounds: a noisy moment meets both."""
    ratios = [values[r] / others[r] for r in values if values[r] and others.get(r)]
    if not ratios:
        return ""
    middle = statistics.median(ratios)
    text = f"1/{1 / middle:.1f}" if as_part else f"{middle:.2f}"
    if goal is None:
        return text
    wanted = f"1/{1 / goal:.0f}" if as_part else f"{goal}"
    return f"{text} (goal {wanted}: {'reached' if middle <= goal else 'missed'})"


def table(lines):
    head = next(line for line in lines if "machine" in line)
    results = [line for line in lines if "load" in line]

    def by_round(load, server, field):
        return {r["round"]: r[field] for r in results if r["load"] == load and r["server"] == server and field in r}

    def better(load, field):
        medians = {p: statistics.median(v.values()) for p in PEERS if (v := by_round(load, p, field))}
        return by_round(load, min(medians, key=medians.get), field) if medians else {}

    out = [f"{head['date']}, commit {head['commit']}, {head['machine']}; "
           + ", ".join(f"{name} {version}" for name, version in head["versions"].items()) + ".", "",
           "| load | Prosody | ejabberd | relay | Balcony, 1 worker | against the better peer | against the relay "
           "| Balcony, 2 workers | against the better peer |", "|---|---|---|---|---|---|---|---|---|"]
    for load, (what, field, unit, peer_goal, relay_goal, absolute) in ROWS.items():
        if not any(r["load"] == load for r in results):
            continue
        value = {s: by_round(load, s, field) for s in (*PEERS, "relay", "balcony", "balcony2")}
        ours = spread(value["balcony"].values())
        if absolute and value["balcony"]:
            reached = statistics.median(value["balcony"].values()) <= absolute
            ours += f" (goal {absolute}: {'reached' if reached else 'missed'})"
        out.append("| " + " | ".join([
            f"{what}, {unit}", *(spread(value[s].values()) for s in (*PEERS, "relay")), ours,
            ratio(value["balcony"], better(load, field), peer_goal, True),
            ratio(value["balcony"], value["relay"], relay_goal, False),
            spread(value["balcony2"].values()), ratio(value["balcony2"], better(load, field), None, True)]) + " |")
    out += ["", "| load | server | deliveries/s | p50 ms | p99 ms | server CPU % | generator CPU % | other CPU % |",
            "|---|---|---|---|---|---|---|---|"]
    for load in ROWS:
        for server in (*PEERS, "relay", "balcony", "balcony2"):
            rows = [r for r in results if r["load"] == load and r["server"] == server and "delivered_per_s" in r]
            if rows:
                out.append(f"| {load} | {server} | " + " | ".join(
                    number(statistics.median(r[field] / scale for r in rows)) for field, scale in
                    (("delivered_per_s", 1), ("p50_us", 1e3), ("p99_us", 1e3), ("server_cpu_pct", 1), ("gen_cpu_pct", 1),
                     ("other_cpu_pct", 1))) + " |")
    out += ["", "| load | server | logins/s | server RSS before → after, MiB | other CPU % |", "|---|---|---|---|---|"]
    for load in ROWS:
        for server in (*PEERS, "relay", "balcony", "balcony2"):
            rows = [r for r in results if r["load"] == load and r["server"] == server and "logins_per_s" in r]
            if rows:
                mean = {field: statistics.median(r[field] for r in rows) for field in
                        ("logins_per_s", "rss_before_kib", "rss_after_hold_kib", "other_cpu_pct")}
                out.append(f"| {load} | {server} | {mean['logins_per_s']:.0f} | {mean['rss_before_kib'] / 1024:.0f} → "
                           f"{mean['rss_after_hold_kib'] / 1024:.0f} | {mean['other_cpu_pct']:.0f} |")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    print(table([json.loads(line) for line in open(sys.argv[1])]), end="")
