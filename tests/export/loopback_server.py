"""A small server of TensorFlow Serving's two protocols, over the network.

What a client's requests, retries and errors are tested against where there is
no `tensorflow_model_server`: the same protocols, by the official stubs, and the
same graphs, but neither its core nor its batching.
"""

import base64
import concurrent.futures
import http.server
import json
import threading
import time

import grpc
import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc


class LoopbackServer(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Serves the signatures of one model.

    Attributes:
        requests: list of the signatures asked for.
        failures: int. So many of the next requests are UNAVAILABLE.
        seconds: float. How long each request takes at least.
        html: bool. Whether REST's replies are those of something else.
    """

    def __init__(self, model, signatures):
        self.model, self.signatures = model, signatures
        self.requests, self.failures, self.seconds = [], 0, 0.0
        self.html = False
        self._grpc = grpc.server(concurrent.futures.ThreadPoolExecutor(4))
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            self, self._grpc
        )
        self.grpc_port = self._grpc.add_insecure_port("127.0.0.1:0")
        handler = type("Handler", (_Handler,), {"serving": self})
        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.rest_port = self._http.server_address[1]

    def __enter__(self):
        self._grpc.start()
        serve = self._http.serve_forever
        threading.Thread(target=serve, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_):
        self._grpc.stop(None)
        self._http.shutdown()
        self._http.server_close()

    def answer(self, model, version, signature, inputs):
        """Arrays, or a tuple of gRPC's and HTTP's status and a message."""
        self.requests.append(signature)
        time.sleep(self.seconds)
        if self.failures:
            self.failures -= 1
            return grpc.StatusCode.UNAVAILABLE, 503, "the queue is full"
        if model != self.model or version not in (None, 1):
            return grpc.StatusCode.NOT_FOUND, 404, "Servable not found"
        if signature not in self.signatures:
            words = f'Serving signature key "{signature}" not found.'
            return grpc.StatusCode.FAILED_PRECONDITION, 412, words
        try:
            outputs = self.signatures[signature](
                **{k: tf.constant(v) for k, v in inputs.items()}
            )
        except tf.errors.InvalidArgumentError as error:
            return grpc.StatusCode.INVALID_ARGUMENT, 400, error.message
        return {k: v.numpy() for k, v in outputs.items()}

    def Predict(self, request, context):
        spec = request.model_spec
        answer = self.answer(
            spec.name,
            spec.version.value if spec.HasField("version") else None,
            spec.signature_name or "serving_default",
            {k: tf.make_ndarray(v) for k, v in request.inputs.items()},
        )
        if not isinstance(answer, dict):
            context.abort(answer[0], answer[2])
        reply = predict_pb2.PredictResponse()
        for name, values in answer.items():
            reply.outputs[name].CopyFrom(tf.make_tensor_proto(values))
        return reply


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        outputs = {
            name: {
                "outputs": {
                    key: {"dtype": f"DT_{_name(values.dtype)}"}
                    for key, values in signature.structured_outputs.items()
                }
            }
            for name, signature in self.serving.signatures.items()
        }
        signatures = {"signature_def": {"signature_def": outputs}}
        if self._target()[0] != self.serving.model:
            self._reply(404, {"error": "Could not find any versions"})
        else:
            self._reply(200, {"metadata": signatures})

    def do_POST(self):
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        signature = body.get("signature_name", "serving_default")
        inputs = {
            k: _from_json(v, "int64" if k in _INTS else "float32")
            for k, v in body["inputs"].items()
        }
        answer = self.serving.answer(*self._target(), signature, inputs)
        if not isinstance(answer, dict):
            self._reply(answer[1], {"error": answer[2]})
            return
        outputs = {k: _to_json(v) for k, v in answer.items()}
        if len(outputs) == 1:
            (outputs,) = outputs.values()
        self._reply(200, {"outputs": outputs})

    def _target(self):
        parts = self.path.partition(":")[0].split("/")
        version = int(parts[5]) if "versions" in parts else None
        return parts[3], version

    def _reply(self, status, content):
        body = b"<html>" if self.serving.html else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


_INTS = ("seed", "class_id", "num_steps")


def _name(dtype):
    return "FLOAT" if dtype == tf.float32 else dtype.name.upper()


def _from_json(values, dtype):
    if values and isinstance(values[0], dict):
        return np.array([base64.b64decode(x["b64"]) for x in values], object)
    return np.array(values, dtype)


def _to_json(values):
    if values.dtype == object:
        return [{"b64": base64.b64encode(x).decode()} for x in values]
    return values.tolist()
