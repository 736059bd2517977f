"""README.md of an exported version."""

import json
import shlex
import string

_TEMPLATE = string.Template("""\
# $model, version $version

A sampler of an energy-based model, written by clel_tf $clel_tf with TensorFlow
$tensorflow, for TensorFlow Serving of that version or later: images of
$image_shape (height, width, channels), $num_steps Langevin steps a sample,
networks in $dtype. `signatures.json` has all settings, inputs and outputs.

| signature | inputs | outputs |
| --- | --- | --- |
$signatures

Every input and output has a first dimension, the rows of the batch; an image
depends on its own row only. `seed` (any int64) is all there is of randomness:
the same seed in batches of the same size gives the same image, bit by bit; in
another size, rounding shows after hundreds of steps. `images` are float32 in
[0, 1]; `image_bytes` are PNG files of the same size (a byte k stands for (k +
1/2) / 256; alpha is dropped, 16 bits are cut to 8, colours made gray where
images are), in REST `{"b64": "..."}`. `num_steps` is from 1 to $max_steps.
Energies are the higher, the less likely. `weights` are of the classes, in their
order: what is above 0 is asked for (several: AND), what is below 0 is kept away
from (NOT), 0 is neither. `mask` is 1 where `inpaint` paints, and 0 where it
keeps the pixel of `images` as it is.

`score` is `$ood_score` of `clel_tf.ood`: the higher, the less is an image like
those that the model was trained on. $threshold

## Start

```sh
tensorflow_model_server --port=8500 --rest_api_port=8501 \\
  --model_config_file=$models_config \\
  --enable_batching --enable_per_model_batching_parameters
```

```sh
docker run --rm -p 8500:8500 -p 8501:8501 -e MODEL_NAME=$model \\
  --mount $mount \\
  tensorflow/serving \\
  --enable_batching --enable_per_model_batching_parameters
```

`models.config` and `batching_params.pbtxt` are to start from: copy and edit
the first; the second is read from the version's directory. The server takes up
a new version, a further numbered directory, by itself, after it has answered
the warm-up requests in `assets.extra/`.

## Ask

```sh
curl http://localhost:8501/v1/models/$model/metadata
curl -d '{"inputs": {"seed": [1, 2]}}' \\
  http://localhost:8501/v1/models/$model:predict
curl -d '$score' \\
  http://localhost:8501/v1/models/$model:predict
```

```python
from clel_tf.export import SamplerClient

with SamplerClient("localhost:8500", "$model", timeout=60) as client:  # gRPC
    images = client.sample(100, seed=0)
```

Or over REST, `SamplerClient("http://localhost:8501", "$model")`, or by the
official `tensorflow-serving-api`.

## What to know

- **Time.** A row takes $num_steps passes through the energy network and back;
  one of a signature with latents, classes or images to be like takes
  $guided_passes, as it begins as $candidates candidates. Measure one request
  before you set deadlines. A server that starts, or takes up a version, makes
  such a row of each kind for its warm-up before it answers. A gRPC
  client's deadline also stops the work; cancelling does not. REST requests end
  after `--rest_api_timeout_in_ms`, 30,000 if not said otherwise.
- **Batching.** Without `--enable_batching`, each request runs by itself, many
  at the same time. With it, those that wait together run together, filled up
  to one of the allowed sizes; requests of more than $max_rows rows are
  refused. A request that is refused for its values (see below) takes those
  that wait with it down, so check values before you send them, or send again;
  `SamplerClient` does what it can without knowing the model.
- **Empty requests.** A server that batches never answers a request of no rows:
  give every gRPC call a deadline. `SamplerClient` refuses to send one.
- **Refusals** are INVALID_ARGUMENT (400 in REST), and cost no chain: wrong
  shapes, images outside [0, 1] or NaN, latents of no direction, steps beyond
  $max_steps, class ids that there are not, PNG files of another size.
- **Too many requests** at once are UNAVAILABLE (503): try again later.
  `max_enqueued_batches` is how many wait.
- **Message size.** gRPC clients take 4 MB unless told otherwise, by
  `("grpc.max_receive_message_length", -1)`; a float32 image has $image_bytes
  bytes. PNG is smaller; as JSON a client sends about $json_bytes.
- **Memory.** The version takes $megabytes MB on disk and about as much in
  memory, and while versions change, both do; beyond that, feature maps grow
  with the rows and batches that run at a time, and not with the steps. If it
  has to be less, lower `max_batch_size`, or the threads:
- **Threads.** As many batches run at a time as there are cores, unless
  `num_batch_threads` says otherwise, in the file of
  `--batching_parameters_file`, which is all models'. A batch of larger images
  keeps all cores busy by itself; of small ones, such as 8x8,
  `--tensorflow_intra_op_parallelism=1` is worth a try.
- **XLA.** Signatures ending in `_xla`, if any, run only in a server that was
  started with `--xla_cpu_compilation_enabled`, and compile anew for every
  batch size.
""")


def operator_readme(facts, path, megabytes):
    """The README's text.

    Args:
        facts: dict, what signatures.json holds.
        path: `pathlib.Path` of the version.
        megabytes: float. Size of the version.

    Returns:
        str.
    """
    height, width, channels = facts["image_shape"]
    size = height * width * channels
    gray = [[[0.5] * channels] * width] * height
    score = {"signature_name": "ood_score", "inputs": {"images": [gray]}}
    return _TEMPLATE.substitute(
        facts,
        image_shape=f"{height}x{width}x{channels}",
        dtype=facts["energy_network_dtype"],
        signatures="\n".join(_rows(facts["signatures"])),
        models_config=shlex.quote(str(path / "models.config")),
        mount=shlex.quote(
            f"type=bind,source={path.parent},target=/models/{path.parent.name},"
            "readonly"
        ),
        threshold=_threshold(facts["ood_threshold"]),
        score=json.dumps(score, separators=(",", ":"))
        if size <= 64
        else '{"signature_name": "ood_score", "inputs": {"images": [...]}}',
        image_bytes=f"{4 * size:,}",
        json_bytes=f"{21 * size:,}",
        megabytes=f"{megabytes:.1f}",
    )


def _threshold(threshold):
    if threshold is None:
        return (
            "The model has no threshold for it (`CLEL.calibrate_ood` sets one)."
        )
    return f"`is_ood` is true above {threshold:.6g}, its `threshold`."


def _rows(signatures):
    for name, sides in signatures.items():
        inputs, outputs = (
            ", ".join(
                f"`{tensor}` {info['dtype']} {_shape(info['shape'])}"
                for tensor, info in sides[side].items()
            )
            for side in ("inputs", "outputs")
        )
        yield f"| `{name}` | {inputs} | {outputs} |"


def _shape(shape):
    return f"[{', '.join('B' if n is None else str(n) for n in shape)}]"
