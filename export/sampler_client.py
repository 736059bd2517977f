import numpy as np

from clel_tf import random
from clel_tf.export.transports import GrpcTransport
from clel_tf.export.transports import RestTransport


class SamplerClient:
    """Asks an exported sampler in TensorFlow Serving, by gRPC or REST.

    Row `i` of `sample(n, seed=s)` is that of `CLEL.sample(n, seed=s)`, but for
    rounding. What is asked for in many rows is sent in several requests. What a
    server would refuse, or never answer, is refused before anything is sent.

    A wrong request raises ValueError, an unknown model, version or signature
    LookupError, no answer in time TimeoutError, a server that is not there or
    has too much to do ConnectionError, all else RuntimeError, each with the
    server's own words.

    Args:
        address: str. "host:port" of the server's gRPC port (8500), or
            "http://host:port" or "https://host:port" of its REST port (8501).
        model: str. Name of the served model.
        version: int or None for the newest that is served.
        timeout: float > 0. Seconds that a request may take. Over gRPC the
            server stops its work then.
        max_rows: int >= 1. Rows of a request. A server that batches has a
            largest number too, 32 in the exports' batching_params.pbtxt.
        retries: int >= 0. How often a request is sent again, after a growing
            pause, where the server is unavailable (over gRPC up to four times).
        max_message_bytes: int. Size of a gRPC message, sent or received; -1
            for any. (gRPC's own limit is 4 MB.)
        credentials: `grpc.ChannelCredentials` or None, for gRPC over TLS.

    Example:

        with SamplerClient("localhost:8500", "digits") as client:
            images = client.sample(100, seed=0)
            scores = client.ood_score(images)
    """

    def __init__(
        self,
        address,
        model,
        *,
        version=None,
        timeout=60.0,
        max_rows=32,
        retries=3,
        max_message_bytes=-1,
        credentials=None,
    ):
        if not timeout > 0:
            raise ValueError(
                f"Expected `timeout` to be positive; received: {timeout!r}."
            )
        if not isinstance(max_rows, int) or max_rows < 1:
            raise ValueError(
                "Expected `max_rows` to be an int of at least 1; received: "
                f"{max_rows!r}."
            )
        if not isinstance(retries, int) or retries < 0:
            raise ValueError(
                "Expected `retries` to be an int of at least 0; received: "
                f"{retries!r}."
            )
        self.max_rows = max_rows
        target = address, model, version, timeout, retries
        if address.startswith(("http://", "https://")):
            self._transport = RestTransport(*target)
        else:
            self._transport = GrpcTransport(
                *target, max_message_bytes, credentials
            )

    def sample(
        self,
        n,
        *,
        seed=0,
        latents=None,
        class_id=None,
        like=None,
        initial=None,
        num_steps=None,
    ):
        """Draws images; at most one of the conditions may be given.

        Args:
            n: int >= 1. Number of images.
            seed: int.
            latents: float array `(n, d)` or `(d,)`: conditional samples.
            class_id: int, or int array `(n,)`: samples of these classes, if
                they were exported.
            like: float images `(n, height, width, channels)`: samples of
                these images' latents.
            initial: float images of the same shape: chains start there.
            num_steps: int, or int array `(n,)`. Steps of chains from `initial`,
                and only of those; the exported number is every other one's.

        Returns:
            float32 array `(n, height, width, channels)`, in [0, 1].
        """
        if not isinstance(n, (int, np.integer)) or n < 1:
            raise ValueError(
                f"Expected `n` to be a positive int; received: {n!r}."
            )
        if (initial is None) != (num_steps is None):
            raise ValueError(
                "Expected `initial` and `num_steps` together: other chains "
                "make the exported number of steps."
            )
        conditions = {
            "sample_conditional": latents,
            "sample_class": class_id,
            "sample_like": like,
            "refine": initial,
        }
        given = [name for name, x in conditions.items() if x is not None]
        if len(given) > 1:
            raise ValueError(
                "Expected one of `latents`, `class_id`, `like` and `initial`; "
                f"received {len(given)} of them."
            )
        inputs = {"seed": random.row_seeds(seed, n)}
        if latents is not None:
            latents = np.asarray(latents, "float32")
            inputs["latents"] = np.broadcast_to(
                latents, (n, *latents.shape[-1:])
            )
        if class_id is not None:
            inputs["class_id"] = _ints("class_id", class_id, n)
        if like is not None:
            inputs["images"] = like
        if initial is not None:
            inputs["images"] = initial
            inputs["num_steps"] = _ints("num_steps", num_steps, n)
        signature = given[0] if given else "sample"
        return self.predict(signature, **inputs)["images"]

    def energy(self, images):
        """Marginal energies `(n,)` of float images in [0, 1]."""
        return self.predict("energy", images=images)["energy"]

    def latents(self, images):
        """Unit latents `(n, d)` of float images in [0, 1]."""
        return self.predict("latents", images=images)["latents"]

    def ood_score(self, images):
        """Scores `(n,)` of float images in [0, 1]; high is out of distribution.

        `predict("ood_score", images=images)` also has what the model's
        threshold says, where it has one.
        """
        return self.predict("ood_score", images=images)["score"]

    def predict(self, signature="serving_default", **inputs):
        """Asks any signature, in requests of at most `max_rows` rows.

        Args:
            signature: str. Its name; see `SamplerModule`.
            **inputs: arrays of the same number of rows.

        Returns:
            dict from the outputs' names to arrays.
        """
        inputs = {name: _check_rows(name, x) for name, x in inputs.items()}
        counts = {name: len(x) for name, x in inputs.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(
                f"Expected inputs of as many rows; received rows: {counts}."
            )
        rows = next(iter(counts.values()))
        replies = []
        for start in range(0, rows, self.max_rows):
            part = slice(start, start + self.max_rows)
            request = {name: x[part] for name, x in inputs.items()}
            replies.append(self._transport.predict(signature, request))
        return {
            name: np.concatenate([reply[name] for reply in replies])
            for name in replies[0]
        }

    def close(self):
        """Closes the connection."""
        self._transport.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


_LARGEST = np.iinfo("int64").max
# What the graph wants; other inputs are sent as they are.
_DTYPES = {
    "seed": "int64",
    "class_id": "int64",
    "num_steps": "int64",
    "latents": "float32",
    "images": "float32",
}


def _check_rows(name, values):
    values = np.asarray(values)
    if not values.ndim or not len(values):
        raise ValueError(
            f"Expected `{name}` of at least one row; received shape: "
            f"{values.shape}."
        )
    if name == "images" and not np.issubdtype(values.dtype, np.floating):
        raise TypeError(
            f"Expected floating images in [0, 1]; received: {values.dtype}."
        )
    if name == "images" and not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            "Expected images in [0, 1]; received values from "
            f"{values.min()} to {values.max()}."
        )
    if name == "latents" and not np.all(np.isfinite(values)):
        raise ValueError("Expected finite latents; received others.")
    dtype = _DTYPES.get(name, values.dtype)
    if dtype == "int64":
        _check_ints(name, values)
    return values.astype(dtype)


def _check_ints(name, values):
    # Python's ints beyond 64 bits make arrays of objects.
    if values.dtype.kind not in "iu" or values.max() > _LARGEST:
        raise ValueError(
            f"Expected `{name}` of 64-bit ints; received: {values!r:.100}."
        )


def _ints(name, values, n):
    values = np.asarray(values)
    if values.shape not in ((), (n,)):
        raise ValueError(
            f"Expected `{name}` to be an int or {n} of them; received shape: "
            f"{values.shape}."
        )
    return np.broadcast_to(values, (n,))
