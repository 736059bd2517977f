"""A bounded load test of an exported sampler in MLServer, over loopback.

    make bench-serving

How many requests of one image a second, and how long each takes, from one to
sixteen clients, with and without batching; whether memory stays flat over
10,000 small requests; what a burst beyond the queue does; what becomes of work
whose client has gone. Writes benchmarks/results/serving.json and serving.md.
"""

import argparse
import concurrent.futures
import contextlib
import json
import os
import pathlib
import tempfile
import time

import machine
import numpy as np
import requests
from mlserver_process import MLServer

ROOT = pathlib.Path(__file__).resolve().parents[1]
RESULT = ROOT / "benchmarks" / "results" / "serving"
CLIENTS = (1, 2, 4, 8, 16)
SECONDS = 12.0
SMALL_REQUESTS = 10_000
BURST = 200
GRAY = np.full([1, 8, 8, 1], 0.5, np.float32)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    default = ROOT / "runs" / "digits" / "serving" / "digits" / "1"
    parser.add_argument("--export", type=pathlib.Path, default=default)
    path = parser.parse_args().export.resolve()
    results = {
        "machine": machine.describe(),
        "versions": {**machine.versions(), "mlserver": "1.7.1"},
        "export": json.loads((path / "signatures.json").read_text()),
    }
    for name, rows in (("batched", 16), ("unbatched", 0)):
        with started(path, max_batch_size=rows, max_batch_time=0.02) as server:
            print(f"{name}: a request is one image", flush=True)
            results[name] = throughput(server)
            if rows:
                results["memory"] = memory(server)
                results["burst"] = burst(server)
                results["gone"] = client_gone(server)
    RESULT.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n")
    RESULT.with_suffix(".md").write_text(table(results))


@contextlib.contextmanager
def started(path, **batching):
    with tempfile.TemporaryDirectory() as folder:
        with MLServer(
            pathlib.Path(folder), path, ["sample", "energy"], **batching
        ) as server:
            for rows in (1, 2, 4, 8, 16):  # first calls optimize graphs
                server.infer("sample", seed=np.arange(rows))
                server.infer("energy", images=np.repeat(GRAY, rows, axis=0))
            yield server


def throughput(server):
    """Requests a second and their latencies, by number of clients."""
    rows = []
    for clients in CLIENTS:
        start = time.perf_counter()
        with concurrent.futures.ThreadPoolExecutor(clients) as pool:
            asking = [
                pool.submit(_ask_for_a_while, server, client, clients)
                for client in range(clients)
            ]
            seen = [pair for client in asking for pair in client.result()]
        elapsed = time.perf_counter() - start
        seconds, sizes = np.array(seen).T
        rows.append(
            {
                "clients": clients,
                "requests_per_second": len(seen) / elapsed,
                "p50_ms": 1e3 * np.percentile(seconds, 50),
                "p99_ms": 1e3 * np.percentile(seconds, 99),
                # Each of a batch's requests tells its size.
                "mean_batch": 1 / np.mean(1 / sizes),
                "largest_batch": int(sizes.max()),
            }
        )
        print(
            f"  {clients:2d} clients {len(seen) / elapsed:7.1f} requests/s",
            flush=True,
        )
    return rows


def _ask_for_a_while(server, seed, clients):
    """A client's requests: their seconds, and the rows that ran together."""
    seen, end = [], time.monotonic() + SECONDS
    while time.monotonic() < end:
        start = time.perf_counter()
        reply = server.infer("sample", seed=np.array([seed]))
        seconds = time.perf_counter() - start
        seen.append((seconds, reply["batch_rows"].item()))
        seed += clients
    return seen


def memory(server):
    """Megabytes of the server after every thousand small requests."""
    megabytes = [server.megabytes()]
    with concurrent.futures.ThreadPoolExecutor(8) as pool:
        for _ in range(SMALL_REQUESTS // 1000):
            list(
                pool.map(
                    lambda _: server.infer("energy", images=GRAY), range(1000)
                )
            )
            megabytes.append(server.megabytes())
    print(f"memory: {megabytes[1]:.0f} to {megabytes[-1]:.0f} MB", flush=True)
    return megabytes


def burst(server):
    """So many requests at once: how they end, and when the last one does."""

    def ask(seed):
        try:
            server.infer("sample", seed=np.array([seed]))
        except (ValueError, requests.RequestException) as error:
            return type(error).__name__
        return "answered"

    start = time.perf_counter()
    with concurrent.futures.ThreadPoolExecutor(BURST) as pool:
        ends = list(pool.map(ask, range(BURST)))
    seconds = time.perf_counter() - start
    counts = {end: ends.count(end) for end in sorted(set(ends))}
    print(f"burst of {BURST}: {counts} in {seconds:.1f} s", flush=True)
    return {"requests": BURST, "ends": counts, "seconds": seconds}


def client_gone(server):
    """Seconds of processor time spent after a client's deadline of 0.2 s."""
    with contextlib.suppress(requests.Timeout):
        server.infer("sample", timeout=0.2, seed=np.arange(16))
    before = cpu_seconds(server.process.pid)
    time.sleep(5.0)
    after = cpu_seconds(server.process.pid) - before
    server.infer("energy", images=GRAY)  # raises if it is not answered
    print(f"after a client has gone: {after:.2f} s of work", flush=True)
    return {"cpu_seconds": after}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2]
    user, system = map(int, fields.split()[11:13])
    return (user + system) / os.sysconf("SC_CLK_TCK")


def table(results):
    lines = [
        "| | clients | requests/s | p50, ms | p99, ms | rows a batch | most |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name in ("batched", "unbatched"):
        for row in results[name]:
            lines.append(
                f"| {name} | {row['clients']} "
                f"| {row['requests_per_second']:.1f} | {row['p50_ms']:.0f} "
                f"| {row['p99_ms']:.0f} | {row['mean_batch']:.1f} "
                f"| {row['largest_batch']} |"
            )
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    main()
