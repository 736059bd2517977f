"""TensorFlow Serving's two protocols, from a client's side.

Both raise what `SamplerClient` promises: ConnectionError where asking again may
help, and other errors where it does not.
"""

import base64
import urllib.parse

import grpc
import numpy as np
import requests
import tensorflow as tf
from tensorflow.core.framework import types_pb2
from tensorflow_serving.apis import predict_pb2
from tensorflow_serving.apis import prediction_service_pb2_grpc

_GRPC_ERRORS = {
    grpc.StatusCode.INVALID_ARGUMENT: ValueError,
    grpc.StatusCode.NOT_FOUND: LookupError,
    grpc.StatusCode.FAILED_PRECONDITION: LookupError,  # of signatures
    grpc.StatusCode.UNAVAILABLE: ConnectionError,
    grpc.StatusCode.DEADLINE_EXCEEDED: TimeoutError,
}
# 429 is of requests that waited too long in the queue of a server that batches.
_REST_ERRORS = {
    400: ValueError,
    404: LookupError,
    412: LookupError,
    429: TimeoutError,
    503: ConnectionError,
    504: TimeoutError,
}


class GrpcTransport:
    """Requests by gRPC, with the official stubs.

    Args:
        address: str. "host:port".
        model: str.
        version: int or None.
        max_message_bytes: int; -1 for any.
        credentials: `grpc.ChannelCredentials` or None.
    """

    def __init__(self, address, model, version, max_message_bytes, credentials):
        options = [
            ("grpc.max_receive_message_length", max_message_bytes),
            ("grpc.max_send_message_length", max_message_bytes),
        ]
        if credentials is None:
            self._channel = grpc.insecure_channel(address, options)
        else:
            self._channel = grpc.secure_channel(address, credentials, options)
        service = prediction_service_pb2_grpc.PredictionServiceStub
        self._stub = service(self._channel)
        self._model, self._version = model, version

    def predict(self, signature, inputs, timeout):
        """Arrays to arrays, dicts from names, in so many seconds."""
        request = predict_pb2.PredictRequest()
        request.model_spec.name = self._model
        request.model_spec.signature_name = signature
        if self._version is not None:
            request.model_spec.version.value = self._version
        for name, values in inputs.items():
            request.inputs[name].CopyFrom(tf.make_tensor_proto(values))
        try:
            reply = self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            code, words = error.code(), error.details()
            kind = _GRPC_ERRORS.get(code, RuntimeError)
            if "batching queue" in words:
                kind = TimeoutError
            raise kind(f"{code.name}: {words}") from error
        return {k: tf.make_ndarray(v) for k, v in reply.outputs.items()}

    def close(self):
        self._channel.close()


class RestTransport:
    """Requests by REST, in the columnar format.

    Args:
        address: str. "http://host:port" or "https://host:port".
        model: str.
        version: int or None.
    """

    def __init__(self, address, model, version):
        name = urllib.parse.quote(model, safe="")
        self._url = f"{address.rstrip('/')}/v1/models/{name}"
        if version is not None:
            self._url += f"/versions/{version}"
        self._session = requests.Session()
        self._signatures: dict[str, dict] = {}

    def predict(self, signature, inputs, timeout):
        """Arrays to arrays, dicts from names; see `GrpcTransport`."""
        body = {
            "signature_name": signature,
            "inputs": {k: _to_json(v) for k, v in inputs.items()},
        }
        outputs = self._ask("POST", ":predict", "outputs", timeout, json=body)
        dtypes = self._signatures.get(signature, {})
        if not _fits(outputs, dtypes):  # nothing known, or of another version
            dtypes = self._read_dtypes(signature, timeout)
        if not _fits(outputs, dtypes):
            raise RuntimeError(
                f"expected outputs {sorted(dtypes)}; received: {outputs!r:.100}"
            )
        if not isinstance(outputs, dict):
            outputs = dict.fromkeys(dtypes, outputs)
        return {k: _from_json(v, dtypes[k]) for k, v in outputs.items()}

    def close(self):
        self._session.close()

    def _read_dtypes(self, signature, timeout):
        """Names and dtypes of a signature's outputs, which replies lack."""
        metadata = self._ask("GET", "/metadata", "metadata", timeout)
        try:
            signatures = metadata["signature_def"]["signature_def"]
            self._signatures = {
                name: {k: info["dtype"] for k, info in told["outputs"].items()}
                for name, told in signatures.items()
                if "outputs" in told
            }
        except (KeyError, TypeError, AttributeError) as error:
            raise RuntimeError(
                f"expected signatures; received: {metadata!r:.100}"
            ) from error
        return self._signatures.get(signature, {})

    def _ask(self, method, path, key, timeout, **kwargs):
        """The value of a key of the reply."""
        url = self._url + path
        try:
            reply = self._session.request(
                method, url, timeout=timeout, **kwargs
            )
        except requests.Timeout as error:
            raise TimeoutError(str(error)) from error
        except requests.ConnectionError as error:
            raise ConnectionError(str(error)) from error
        except requests.RequestException as error:
            raise RuntimeError(str(error)) from error
        try:
            content = reply.json()
        except requests.JSONDecodeError:
            content = None
        if reply.ok and isinstance(content, dict) and key in content:
            return content[key]
        words = content.get("error") if isinstance(content, dict) else None
        kind: type[Exception] = RuntimeError
        if not reply.ok:
            kind = _REST_ERRORS.get(reply.status_code, RuntimeError)
        raise kind(f"{reply.status_code}: {words or reply.text:.2000}")


def _fits(outputs, dtypes):
    """Whether a reply may have outputs of these names."""
    if not dtypes:
        return False
    if isinstance(outputs, dict):
        return set(outputs) == set(dtypes)
    return len(dtypes) == 1  # a lone output comes without its name


def _to_json(values):
    if values.dtype == object:
        return [{"b64": base64.b64encode(x).decode()} for x in values]
    return values.tolist()


def _from_json(values, dtype):
    if dtype == "DT_STRING":
        return np.array([base64.b64decode(x["b64"]) for x in values], object)
    number = types_pb2.DataType.Value(dtype)
    return np.array(values, tf.as_dtype(number).as_numpy_dtype)
