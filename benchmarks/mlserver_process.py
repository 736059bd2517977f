"""Starts MLServer with an export, and asks it in its own protocol (V2)."""

import contextlib
import json
import os
import pathlib
import socket
import subprocess
import threading
import time

import numpy as np
import requests

HERE = pathlib.Path(__file__).parent
# Has its own environment: make test-serving.
ENVIRONMENT = HERE.parent / ".venv-serving"
PROGRAM = ENVIRONMENT / "bin" / "mlserver"
DATATYPES = {"float32": "FP32", "int64": "INT64"}


class MLServer:
    """A running server of a SavedModel's signatures, each a model of its name.

    Args:
        folder: `pathlib.Path` of an empty directory, for its settings.
        path: `pathlib.Path` of the SavedModel.
        signatures: names of the signatures to serve.
        max_batch_size, max_batch_time: MLServer's; requests of a batch, and
            seconds that the first waits for others.
    """

    def __init__(
        self, folder, path, signatures, max_batch_size=8, max_batch_time=0.1
    ):
        self._folder = folder
        self._batching = {
            "max_batch_size": max_batch_size,
            "max_batch_time": max_batch_time,
        }
        http, grpc, metrics = (_free_port() for _ in range(3))
        settings = {
            "http_port": http,
            "grpc_port": grpc,
            "metrics_port": metrics,
            "host": "127.0.0.1",
            "parallel_workers": 0,
            "debug": False,
        }
        (folder / "settings.json").write_text(json.dumps(settings))
        for signature in signatures:
            (folder / signature).mkdir()
            self._write_settings(signature, path)
        self._threads = threading.local()
        self.address = f"http://127.0.0.1:{http}"

    def __enter__(self):
        self._log = open(self._folder / "log.txt", "w")
        self.process = subprocess.Popen(
            [PROGRAM, "start", self._folder],
            env={
                **os.environ,
                "PYTHONPATH": str(HERE),
                "TF_CPP_MIN_LOG_LEVEL": "2",
            },
            stdout=self._log,
            stderr=subprocess.STDOUT,
        )
        for _ in range(600):
            with contextlib.suppress(requests.ConnectionError):
                if requests.get(f"{self.address}/v2/health/ready").ok:
                    return self
            if self.process.poll() is not None:
                break
            time.sleep(0.1)
        self.__exit__()
        text = (self._folder / "log.txt").read_text()
        raise RuntimeError(f"MLServer did not start:\n{text[-3000:]}")

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self._log.close()

    def infer(self, signature, timeout=60.0, **inputs):
        """Outputs, arrays by their names; ValueError for what is refused."""
        tensors = [
            {
                "name": name,
                "shape": list(values.shape),
                "datatype": DATATYPES[values.dtype.name],
                "data": values.ravel().tolist(),
            }
            for name, values in inputs.items()
        ]
        # JSON has no NaN by the book; Python's writes it, and servers read it.
        reply = self._session().post(
            f"{self.address}/v2/models/{signature}/infer",
            data=json.dumps({"inputs": tensors}),
            headers={"Content-Type": "application/json"},
            timeout=timeout,
        )
        if reply.status_code in (400, 422):
            raise ValueError(reply.text)
        reply.raise_for_status()
        return {
            x["name"]: np.array(x["data"]).reshape(x["shape"])
            for x in reply.json()["outputs"]
        }

    def _session(self):
        # Of a thread: to connect anew costs more than a small request.
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
        return self._threads.session

    def reload(self, signature, path):
        """Has a signature served from another version."""
        self._write_settings(signature, path)
        url = f"{self.address}/v2/repository/models/{signature}/load"
        requests.post(url, timeout=60).raise_for_status()

    def megabytes(self):
        """Memory of the process."""
        status = pathlib.Path(f"/proc/{self.process.pid}/status").read_text()
        (line,) = [x for x in status.splitlines() if x.startswith("VmRSS")]
        return int(line.split()[1]) / 1024

    def _write_settings(self, signature, path):
        settings = {
            "name": signature,
            "implementation": "saved_model_runtime.SavedModelRuntime",
            **self._batching,
            "parameters": {
                "uri": str(path),
                "extra": {"signature": signature},
            },
        }
        file = self._folder / signature / "model-settings.json"
        file.write_text(json.dumps(settings))


def _free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]
