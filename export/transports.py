"""TensorFlow Serving's two protocols, from a client's side."""

import base64
import json

import grpc
import numpy as np
import requests
import tensorflow as tf
import urllib3
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

# Pauses before a request is sent again: 0.2 s, doubled each time, up to 5 s.
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 5.0


class GrpcTransport:
    """Requests by gRPC, with the official stubs and gRPC's own retries.

    Args:
        address: str. "host:port".
        model: str.
        version: int or None.
        timeout: float. Seconds.
        retries: int.
        max_message_bytes: int; -1 for any.
        credentials: `grpc.ChannelCredentials` or None.
    """

    def __init__(
        self,
        address,
        model,
        version,
        timeout,
        retries,
        max_message_bytes,
        credentials,
    ):
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
        ]
        if retries:
            options.append(("grpc.service_config", _service_config(retries)))
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        service = prediction_service_pb2_grpc.PredictionServiceStub
        self._stub = service(self._channel)
        self._where = f"{address}, model {model}"
        self._model, self._version = model, version
        self._timeout = timeout

    def predict(self, signature, inputs):
        """Arrays to arrays, dicts from names."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        try:
            reply = self._stub.Predict(request, timeout=self._timeout)
        except grpc.RpcError as error:
            raise self._translated(error) from error
        return {k: tf.make_ndarray(v) for k, v in reply.outputs.items()}

    def close(self):
        self._channel.close()

    def _translated(self, error):
        code, words = error.code(), error.details()
        kind = {
            grpc.StatusCode.INVALID_ARGUMENT: ValueError,
            grpc.StatusCode.NOT_FOUND: LookupError,
            grpc.StatusCode.FAILED_PRECONDITION: LookupError,  # of signatures
            grpc.StatusCode.UNAVAILABLE: ConnectionError,
        }.get(code, RuntimeError)
        if code is grpc.StatusCode.DEADLINE_EXCEEDED:
            return _too_late(self._where, self._timeout)
        return kind(f"{self._where}: {code.name}: {words}")


class RestTransport:
    """Requests by REST, in the columnar format.

    Args:
        address: str. "http://host:port" or "https://host:port".
        model: str.
        version: int or None.
        timeout: float. Seconds.
        retries: int.
    """

    def __init__(self, address, model, version, timeout, retries):
        self._url = f"{address.rstrip('/')}/v1/models/{model}"
        if version is not None:
            self._url += f"/versions/{version}"
        self._where = f"{address}, model {model}"
        self._timeout = timeout
        self._session = requests.Session()
        policy = urllib3.Retry(
            total=retries,
            read=False,  # no answer in time is an answer
            status_forcelist=[503],
            allowed_methods=None,  # a sample is the same when drawn again
            backoff_factor=_FIRST_PAUSE,
            backoff_max=_LONGEST_PAUSE,
            raise_on_status=False,
        )
        adapter = requests.adapters.HTTPAdapter(max_retries=policy)
        self._session.mount("http://", adapter)
        self._session.mount("https://", adapter)
        self._signatures = None

    def predict(self, signature, inputs):
        """Arrays to arrays, dicts from names."""
        dtypes = self._outputs(signature)
        body = {
            "signature_name": signature,
            "inputs": {k: _to_json(v) for k, v in inputs.items()},
        }
        outputs = self._ask("POST", ":predict", json=body)["outputs"]
        if len(dtypes) == 1:  # a lone output comes without its name
            outputs = {name: outputs for name in dtypes}
        return {k: _from_json(v, dtypes[k]) for k, v in outputs.items()}

    def close(self):
        self._session.close()

    def _outputs(self, signature):
        """Names and dtypes of a signature's outputs, which replies lack."""
        if self._signatures is None:
            metadata = self._ask("GET", "/metadata")["metadata"]
            self._signatures = metadata["signature_def"]["signature_def"]
        if signature not in self._signatures:
            raise LookupError(
                f"{self._where}: expected one of the signatures "
                f"{', '.join(sorted(self._signatures))}; received: {signature}."
            )
        outputs = self._signatures[signature]["outputs"]
        return {k: info["dtype"] for k, info in outputs.items()}

    def _ask(self, method, path, **kwargs):
        try:
            reply = self._session.request(
                method, self._url + path, timeout=self._timeout, **kwargs
            )
        except requests.Timeout as error:
            raise _too_late(self._where, self._timeout) from error
        except requests.ConnectionError as error:
            raise ConnectionError(f"{self._where}: {error}") from error
        if reply.ok:
            return reply.json()
        if reply.status_code == 504:
            raise _too_late(self._where, self._timeout)
        kind = {400: ValueError, 404: LookupError, 503: ConnectionError}
        words = f"{self._where}: {reply.status_code}: {_error(reply)}"
        raise kind.get(reply.status_code, RuntimeError)(words)


def _service_config(retries):
    policy = {
        "maxAttempts": min(retries + 1, 5),  # gRPC makes no more
        "initialBackoff": f"{_FIRST_PAUSE}s",
        "maxBackoff": f"{_LONGEST_PAUSE}s",
        "backoffMultiplier": 2,
        "retryableStatusCodes": ["UNAVAILABLE"],
    }
    return json.dumps({"methodConfig": [{"name": [{}], "retryPolicy": policy}]})


def _too_late(where, timeout):
    return TimeoutError(
        f"{where}: no answer in {timeout:g} s; ask for fewer rows at a time "
        "(`max_rows`) or give more time (`timeout`)."
    )


def _to_json(values):
    if values.dtype.kind in "SO":
        return [{"b64": base64.b64encode(x).decode()} for x in values]
    return values.tolist()


def _from_json(values, dtype):
    if dtype == "DT_STRING":
        return np.array([base64.b64decode(x["b64"]) for x in values], object)
    number = types_pb2.DataType.Value(dtype)
    return np.array(values, tf.as_dtype(number).as_numpy_dtype)


def _error(reply):
    try:
        return reply.json()["error"]
    except (ValueError, KeyError):
        return reply.text
