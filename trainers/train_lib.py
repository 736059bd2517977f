"""Trains a recipe in a run directory; what `clel-train` calls."""

import dataclasses
import math

import numpy as np
import tensorflow as tf

import clel_tf
from clel_tf import callbacks
from clel_tf import files
from clel_tf.data.load import split_spec
from clel_tf.images import save_grid
from clel_tf.samplers import energies
from clel_tf.trainers import recipes
from clel_tf.trainers.run_directory import RunDirectory
from clel_tf.trainers.summary import summarize

_DIRECTION_IMAGES = 20_000  # over all classes: enough for means
_DIRECTION_VIEWS = 8  # augmented ones, as training's latents are of


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """What a run is: equal configurations give equal weights.

    Attributes:
        preset: name of the preset, or path of the JSON file, of the recipe.
        recipe: the complete recipe, overrides included.
        seed: seed of the weights, the data order and everything drawn.
        image_size: side that images of folders and TensorFlow Datasets are
            resized to, or None for the recipe's or their own.
        max_images: number of training images used, or None for all.
        log_every: steps between two rows of metrics.csv.
        sample_every: steps between two pictures in samples/.
        checkpoint_every: steps between two checkpoints.
    """

    preset: str
    recipe: dict
    seed: int = 0
    image_size: int | None = None
    max_images: int | None = None
    log_every: int = 10
    sample_every: int = 200
    checkpoint_every: int = 200

    def __post_init__(self):
        for name in ("log_every", "sample_every", "checkpoint_every"):
            recipes.check_positive(name, getattr(self, name))
        for name in ("image_size", "max_images"):
            if getattr(self, name) is not None:
                recipes.check_positive(name, getattr(self, name))
        for name in ("steps", "batch_size"):
            recipes.check_positive(name, self.recipe["recipe"].get(name))

    @property
    def steps(self):
        return self.recipe["recipe"]["steps"]

    @property
    def batch_size(self):
        return self.recipe["recipe"]["batch_size"]


def train(config, workdir):
    """Trains to the last step, or continues where a run stopped.

    Args:
        config: `TrainConfig`.
        workdir: str or path. A new directory, or one that a run of the same
            configuration was stopped in.

    Returns:
        dict, the run's summary; an already finished run's is only read.

    Raises:
        ValueError: if the directory holds something else.
    """
    run = RunDirectory(workdir)
    recipe = run.with_its_dtypes(config.recipe)
    recipe = clel_tf.presets.with_dtypes(recipe)
    config = dataclasses.replace(config, recipe=recipe)
    data = load_data(config)
    recipe = recipes.complete(recipe, data)
    run.check(dataclasses.asdict(config))
    if run.is_finished():
        print(f"{workdir} holds this run, finished; nothing was changed.")
        return run.read_summary()

    strategy = _strategy()
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        model = clel_tf.presets.build(recipe, config.seed)
        model.compile(steps_per_execution=_steps_per_call(config, replicas))
    model.replay_buffer.check_batch(-(-config.batch_size // replicas))
    run.create(dataclasses.asdict(config))
    for name in ("energy_network", "encoder"):
        print(f"The {name} computes in {recipe[name]['dtype']}.")
    checkpoints = callbacks.Checkpoints(
        run.path / "checkpoints", config.checkpoint_every
    )
    start = checkpoints.restore(model)
    if start:
        print(f"Continuing {workdir} from step {start}.")

    _fit(model, data, config, run, checkpoints, start)
    return _finish(model, data, config, run)


def load_data(config):
    """Loads a run's data: `clel_tf.data.ImageData`.

    Args:
        config: `TrainConfig`.
    """
    spec, size = config.recipe["data"], None
    shape = config.recipe.get("energy_network", {}).get("image_shape")
    if config.image_size:
        size = (config.image_size, config.image_size)
        if shape and tuple(shape[:2]) != size:
            raise ValueError(
                f"Expected image_size to be that of the recipe's images, "
                f"{shape[:2]}; received: {config.image_size}. --data, even of "
                "the same images, frees the recipe from its size."
            )
    elif shape and is_resizable(spec):
        size = tuple(shape[:2])
    data = clel_tf.data.load(spec, size)
    return data.take(config.max_images) if config.max_images else data


def is_resizable(spec):
    """Whether the images of a set may be of any size, to be resized."""
    return split_spec(spec)[1].startswith(("folder:", "tfds:"))


def _strategy():
    if len(tf.config.list_logical_devices("GPU")) > 1:
        return tf.distribute.MirroredStrategy()
    return tf.distribute.get_strategy()


def _steps_per_call(config, replicas):
    """Steps that the device makes between two looks of the host."""
    if replicas > 1:
        return 1  # Keras 3.15 fails on more, on any distributed dataset
    return math.gcd(
        config.steps,
        config.log_every,
        config.sample_every,
        config.checkpoint_every,
    )


def _fit(model, data, config, run, checkpoints, start):
    if start >= config.steps:
        return
    batches = data.train(config.batch_size, config.seed, start)
    model.fit(
        batches,
        steps_per_epoch=config.steps - start,
        shuffle=False,
        verbose=0,
        callbacks=[
            callbacks.MetricsLogger(
                run.path, config.batch_size, config.log_every
            ),
            callbacks.SampleGrid(run.path / "samples", config.sample_every),
            checkpoints,
            callbacks.ProgressTable(config.steps, config.batch_size),
        ],
    )


def _finish(model, data, config, run):
    print("Drawing fresh samples and judging them.", flush=True)
    save_grid(model.sample(64, seed=config.seed), run.path / "samples.png")
    if data.y_train is not None:
        _save_class_directions(model, data, run.path / "class_directions.npz")
    with files.new_file(run.path / "model.keras") as aside:
        model.save(aside)
    summary = summarize(model, data, config, run.train_seconds())
    run.finish(summary)
    return summary


def _save_class_directions(model, data, path):
    """Unit mean latent of each class, for conditional sampling."""
    labels = np.unique(data.y_train)
    most = max(_DIRECTION_IMAGES // len(labels), 1)
    chosen = []
    for label in labels:
        rows = np.flatnonzero(data.y_train == label)
        count = min(most, len(rows))
        chosen.append(rows[np.arange(count) * len(rows) // count])
    rows = np.sort(np.concatenate(chosen))
    directions, labels = energies.class_means(
        model, data.x_train[rows], data.y_train[rows], views=_DIRECTION_VIEWS
    )
    with files.new_file(path) as aside:
        np.savez(aside, directions=directions, labels=labels)


def report(summary, workdir):
    """Prints where a run's results are, its main figures, and what is next."""
    run = RunDirectory(workdir).path
    serving = run / "serving" / run.name
    lines = [
        ("samples", run / "samples.png"),
        ("model", run / "model.keras"),
        ("figures", run / "summary.json"),
    ]
    for name in ("frechet_distance", "precision", "coverage"):
        if summary.get(name) is not None:
            lines.append((name.replace("_", " "), f"{summary[name]:.3f}"))
    lines += [
        ("curves", f"tensorboard --logdir={run}"),
        ("draw more", f"clel-sample --workdir={run} --out=more.png"),
        ("serve", f"clel-export --workdir={run} --export_dir={serving}"),
    ]
    print()
    for name, value in lines:
        print(f"{name:>16}  {value}")
