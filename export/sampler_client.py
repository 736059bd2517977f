import math
import time
from typing import Self

import grpc
import numpy as np
from numpy.typing import ArrayLike

from clel_tf import random
from clel_tf.export.transports import GrpcTransport
from clel_tf.export.transports import RestTransport

# Seconds before a request is repeated: doubled each time, up to a longest one,
# and spread by half, lest clients that were refused together come together.
_FIRST_PAUSE, _LONGEST_PAUSE, _SPREAD = 0.2, 5.0, 0.5
_LARGEST_INT = np.iinfo("int64").max
# What the graph wants; other inputs are sent as they are.
_DTYPES = {
    "seed": "int64",
    "class_id": "int64",
    "num_steps": "int64",
    "latents": "float32",
    "weights": "float32",
    "mask": "float32",
    "images": "float32",
    "image_bytes": object,
}


class SamplerClient:
    """Asks an exported sampler in TensorFlow Serving, by gRPC or REST.

    Row `i` of `sample(n, seed=s)` is that of `CLEL.sample(n, seed=s)`, but for
    rounding. What is asked for in many rows is sent in several requests, and
    those that find the server unavailable are sent again.

    Before anything is sent, ValueError or TypeError tell of empty or unequal
    rows, of images outside of [0, 1], of latents that are not finite or zero,
    and of ints beyond 64 bits. What the server refuses is a ValueError, an
    unknown model, version or signature a LookupError, no answer in time a
    TimeoutError, a server that is not there or has too much to do a
    ConnectionError, and all else a RuntimeError, each with the server's words.

    Args:
        address: str. "host:port" of the server's gRPC port (8500), or
            "http://host:port" or "https://host:port" of its REST port (8501).
        model: str. Name of the served model.
        version: int or None for the newest that is served.
        timeout: float > 0. Seconds for a request and its repetitions. Over gRPC
            the server stops its work then; over REST they are counted anew
            whenever bytes arrive.
        max_rows: int >= 1. Rows of a request. A server that batches has a
            largest number too, 32 in the exports' batching_params.pbtxt.
        retries: int >= 0. How often a request is sent again, after a growing
            pause, where the server is unavailable.
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
        address: str,
        model: str,
        *,
        version: int | None = None,
        timeout: float = 60.0,
        max_rows: int = 32,
        retries: int = 3,
        max_message_bytes: int = -1,
        credentials: grpc.ChannelCredentials | None = None,
    ):
        if not isinstance(timeout, (int, float)) or not 0 < timeout < 1e6:
            raise ValueError(
                "Expected `timeout` to be a number of seconds above 0 and "
                f"below a million; received: {timeout!r}."
            )
        _check_int("max_rows", max_rows, 1)
        _check_int("retries", retries, 0)
        if version is not None:
            _check_int("version", version, 0)
        self.max_rows, self.timeout, self.retries = max_rows, timeout, retries
        self._where = f"{address}, model {model}"
        self._jitter = np.random.default_rng()
        self._transport: GrpcTransport | RestTransport
        if not address.startswith(("http://", "https://")):
            self._transport = GrpcTransport(
                address, model, version, max_message_bytes, credentials
            )
        elif credentials is None:
            self._transport = RestTransport(address, model, version)
        else:
            raise ValueError(
                'Expected `credentials` for gRPC, "host:port"; https:// has '
                f"its own; received the address: {address!r}."
            )

    def sample(
        self,
        n: int,
        *,
        seed: int = 0,
        latents: ArrayLike | None = None,
        class_id: ArrayLike | None = None,
        like: ArrayLike | None = None,
        weights: ArrayLike | None = None,
        inpaint: ArrayLike | None = None,
        mask: ArrayLike | None = None,
        initial: ArrayLike | None = None,
        num_steps: ArrayLike | None = None,
    ) -> np.ndarray:
        """Draws images; at most one of the conditions may be given.

        Args:
            n: int >= 1. Number of images.
            seed: int.
            latents: float array `(n, d)` or `(d,)`: conditional samples.
            class_id: int, or int array `(n,)`: samples of these classes, if
                they were exported.
            like: float images `(n, height, width, channels)`: samples of
                these images' latents.
            weights: float array `(n, classes)` or `(classes,)`: samples of
                several classes, or not of those of negative weights.
            inpaint: float images of the same shape, of which `mask` is painted.
            mask: array `(n, height, width, 1)` or `(height, width, 1)`, 1 where
                a pixel is painted and 0 where it stays.
            initial: float images of the same shape: chains start there.
            num_steps: int, or int array `(n,)`. Steps of chains from `initial`,
                and only of those; the exported number is every other one's.

        Returns:
            float32 array `(n, height, width, channels)`, in [0, 1].
        """
        _check_int("n", n, 1)
        _check_int("seed", seed, -(2**63))
        if (initial is None) != (num_steps is None):
            raise ValueError(
                "Expected `initial` and `num_steps` together: other chains "
                "make the exported number of steps."
            )
        conditions = {
            "sample_conditional": latents,
            "sample_class": class_id,
            "sample_like": like,
            "sample_composed": weights,
            "inpaint": inpaint,
            "refine": initial,
        }
        given = [name for name, x in conditions.items() if x is not None]
        if len(given) > 1:
            raise ValueError(
                "Expected one of `latents`, `class_id`, `like`, `weights`, "
                f"`inpaint` and `initial`; received {len(given)} of them."
            )
        if (inpaint is None) != (mask is None):
            raise ValueError(
                "Expected `inpaint` and `mask` together; received one of them."
            )
        inputs = {"seed": random.row_seeds(seed, n)}
        if latents is not None:
            inputs["latents"] = _repeated("latents", latents, n, rank=1)
        if class_id is not None:
            inputs["class_id"] = _repeated("class_id", class_id, n)
        if weights is not None:
            inputs["weights"] = _repeated("weights", weights, n, rank=1)
        if inpaint is not None:
            inputs["images"] = inpaint
            inputs["mask"] = _repeated("mask", mask, n, rank=3)
        if like is not None:
            inputs["images"] = like
        if initial is not None:
            inputs["images"] = initial
            inputs["num_steps"] = _repeated("num_steps", num_steps, n)
        signature = given[0] if given else "sample"
        return self.predict(signature, **inputs)["images"]

    def energy(self, images: ArrayLike) -> np.ndarray:
        """Marginal energies `(n,)` of float images in [0, 1]."""
        return self.predict("energy", images=images)["energy"]

    def latents(self, images: ArrayLike) -> np.ndarray:
        """Unit latents `(n, d)` of float images in [0, 1]."""
        return self.predict("latents", images=images)["latents"]

    def ood_score(self, images: ArrayLike) -> np.ndarray:
        """Scores `(n,)` of float images in [0, 1]; high is out of distribution.

        `predict("ood_score", images=images)` also has what the model's
        threshold says, where it has one.
        """
        return self.predict("ood_score", images=images)["score"]

    def predict(
        self, signature: str = "serving_default", **inputs: ArrayLike
    ) -> dict[str, np.ndarray]:
        """Asks any signature, in requests of at most `max_rows` rows.

        Args:
            signature: str. Its name; see `SamplerModule`.
            **inputs: arrays of the same number of rows.

        Returns:
            dict from the outputs' names to arrays.
        """
        arrays = {name: _check_rows(name, x) for name, x in inputs.items()}
        counts = {name: len(x) for name, x in arrays.items()}
        if len(set(counts.values())) != 1:
            raise ValueError(
                f"Expected inputs of as many rows; received rows: {counts}."
            )
        rows = next(iter(counts.values()))
        replies = []
        for start in range(0, rows, self.max_rows):
            part = slice(start, start + self.max_rows)
            request = {name: x[part] for name, x in arrays.items()}
            replies.append(self._ask(signature, request))
        return {
            name: np.concatenate([reply[name] for reply in replies])
            for name in replies[0]
        }

    def close(self) -> None:
        """Closes the connection."""
        self._transport.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def _ask(self, signature, request):
        """Sends a request, again and again where that may help."""
        end, pause = time.monotonic() + self.timeout, _FIRST_PAUSE
        for retries_left in range(self.retries, -1, -1):
            left = end - time.monotonic()
            try:
                return self._transport.predict(signature, request, left)
            except ConnectionError as error:
                wait = pause * self._jitter.uniform(1 - _SPREAD, 1 + _SPREAD)
                if not retries_left or time.monotonic() + wait >= end:
                    raise ConnectionError(f"{self._where}: {error}") from error
            except TimeoutError as error:
                raise TimeoutError(
                    f"{self._where}: no answer within {self.timeout:g} s, or "
                    "the server's own limit; ask for fewer rows at a time "
                    f"(`max_rows`) or give more time. {error}"
                ) from error
            except (ValueError, LookupError, RuntimeError) as error:
                raise type(error)(f"{self._where}: {error}") from error
            time.sleep(wait)
            pause = min(2 * pause, _LONGEST_PAUSE)


def _check_int(name, value, lowest):
    is_int = isinstance(value, (int, np.integer)) and value is not True
    if not is_int or not lowest <= value <= _LARGEST_INT:
        raise ValueError(
            f"Expected `{name}` to be an int from {lowest} to 2**63 - 1; "
            f"received: {value!r}."
        )


def _check_rows(name, values):
    # Arrays of bytes of their own would drop zeros at their ends.
    values = np.asarray(values, object if name == "image_bytes" else None)
    if not values.ndim or not len(values):
        raise ValueError(
            f"Expected `{name}` of at least one row; received shape: "
            f"{values.shape}."
        )
    dtype = _DTYPES.get(name, values.dtype)
    if dtype == "int64":
        # Python's ints beyond 64 bits make arrays of objects.
        if values.dtype.kind not in "iu" or values.max() > _LARGEST_INT:
            raise ValueError(
                f"Expected `{name}` of 64-bit ints; received: {values!r:.100}."
            )
    if name == "images":
        _check_images(values)
    with np.errstate(over="ignore"):
        values = values.astype(dtype)
    if name == "latents":
        _check_latents(values)
    return values


def _check_images(images):
    if not np.issubdtype(images.dtype, np.floating):
        raise TypeError(
            f"Expected floating images in [0, 1]; received: {images.dtype}."
        )
    if not (images.size and images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"Expected images in [0, 1]; received: {images!r:.100}."
        )


def _check_latents(latents):
    lengths = np.abs(latents).reshape(len(latents), -1).max(axis=-1, initial=0)
    if not np.all((lengths > 0) & (lengths < math.inf)):
        raise ValueError(
            "Expected `latents` finite and without zero vectors; received "
            f"largest elements: {lengths!r:.100}."
        )


def _repeated(name, values, n, rank=0):
    """What is given once, for each row; or rows as they are."""
    values = np.asarray(values)
    if values.ndim == rank:
        return np.broadcast_to(values, (n, *values.shape))
    if values.ndim != rank + 1 or len(values) != n:
        raise ValueError(
            f"Expected `{name}` once or for each of {n} rows; received shape: "
            f"{values.shape}."
        )
    return values
