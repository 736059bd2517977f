"""Runs a training command in several workers of this machine, until all end.

  python deploy/supervise.py --workers=2 -- clel-train --workdir=runs/digits

Each worker is a process with a TF_CONFIG of its own. When one ends with an
error the others are ended too, and all are started again: clel-train continues
from its last checkpoint. The status is 0 once all workers have ended well, and
a worker's own when they have been started again too often, or when its flags
are wrong (2).
"""

import argparse
import json
import os
import signal
import socket
import subprocess
import sys
import time

_LOOK = 0.2  # seconds between two looks at the workers
_WRONG_FLAGS = 2  # the status that starting again does not help


def main():
    options = _parse()
    # As an exception, so that the workers are ended too.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    for attempt in range(options.restarts + 1):
        if attempt:
            print(f"Starting all again ({attempt}).", flush=True)
        status = run(options.command, options.workers, options.grace)
        if status in (0, _WRONG_FLAGS):
            break
    sys.exit(status)


def run(command, count, grace):
    """Starts all workers once.

    Args:
        command: list of str.
        count: int. Number of workers.
        grace: float. Seconds that a worker has to end when it is told to.

    Returns:
        int. 0 if all workers ended well, else the status of one that did not,
        as shells give it: of one that was killed, rather than of those that
        ended because it was.
    """
    addresses = [f"127.0.0.1:{port}" for port in _free_ports(count)]
    workers = []
    try:
        for i in range(count):
            workers.append(_start(command, addresses, i))
        while True:
            statuses = [worker.poll() for worker in workers]
            failed = {i: status for i, status in enumerate(statuses) if status}
            for i, status in failed.items():
                print(f"Worker {i} ended with {status}.", flush=True)
            if failed:
                status = min(failed.values())
                return status if status > 0 else 128 - status
            if None not in statuses:
                return 0
            time.sleep(_LOOK)
    finally:
        _end(workers, grace)


def _start(command, addresses, index):
    cluster = {
        "cluster": {"worker": addresses},
        "task": {"type": "worker", "index": index},
    }
    environment = {**os.environ, "TF_CONFIG": json.dumps(cluster)}
    return subprocess.Popen(command, env=environment)


def _end(workers, grace):
    # To be ended itself in the midst of it would leave some behind.
    previous = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    for worker in workers:
        worker.terminate()
    deadline = time.monotonic() + grace
    for worker in workers:
        try:
            worker.wait(max(deadline - time.monotonic(), 0))
        except subprocess.TimeoutExpired:
            # One that waits for others in TensorFlow hears of no signal.
            worker.kill()
            worker.wait()
    signal.signal(signal.SIGTERM, previous)


def _free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    for free in sockets:
        free.bind(("127.0.0.1", 0))
    ports = [free.getsockname()[1] for free in sockets]
    for free in sockets:
        free.close()
    return ports


def _parse():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--workers", type=int, required=True)
    parser.add_argument(
        "--restarts", type=int, default=20, help="How often at most."
    )
    parser.add_argument(
        "--grace",
        type=float,
        default=10.0,
        help="Seconds that the others have to end when one has.",
    )
    parser.add_argument("command", nargs="+")
    return parser.parse_args()


if __name__ == "__main__":
    main()
