"""Trains a recipe in a run directory; what `clel-train` calls."""

import contextlib
import dataclasses
import math

import tensorflow as tf

import clel_tf
from clel_tf import callbacks
from clel_tf import files
from clel_tf import workers
from clel_tf.data.load import split_spec
from clel_tf.images import save_grid
from clel_tf.trainers import recipes
from clel_tf.trainers import strategy as strategies
from clel_tf.trainers.class_directions import save_class_directions
from clel_tf.trainers.run_directory import RunDirectory
from clel_tf.trainers.summary import summarize
from clel_tf.trainers.warm_start import warm_start

_GUARD_EVERY = 50  # steps between two looks of the divergence guard
GUARDS = ("learning_rate", "step_size", "reseed", "off")


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
        init_from: directory of a finished run whose weights, averages and
            chains this one starts from, or None.
        guard: what the divergence guard softens after an incident: one of
            `GUARDS`, "reseed" for nothing and "off" for no guard.
        data_faults: "raise" or "skip": what becomes of images of a folder that
            cannot be read.
    """

    preset: str
    recipe: dict
    seed: int = 0
    image_size: int | None = None
    max_images: int | None = None
    log_every: int = 10
    sample_every: int = 200
    checkpoint_every: int = 200
    init_from: str | None = None
    guard: str = "learning_rate"
    data_faults: str = "raise"

    def __post_init__(self):
        for name in ("log_every", "sample_every", "checkpoint_every"):
            recipes.check_positive(name, getattr(self, name))
        for name in ("image_size", "max_images"):
            if getattr(self, name) is not None:
                recipes.check_positive(name, getattr(self, name))
        for name in ("steps", "batch_size"):
            recipes.check_positive(name, self.recipe["recipe"].get(name))
        if self.guard not in GUARDS:
            raise ValueError(
                f"Expected guard to be one of {', '.join(GUARDS)}; received: "
                f"{self.guard!r}."
            )
        clel_tf.data.Faults(self.data_faults)

    @property
    def steps(self):
        return self.recipe["recipe"]["steps"]

    @property
    def batch_size(self):
        return self.recipe["recipe"]["batch_size"]


def train(config, workdir, strategy=None, extra_callbacks=(), model_class=None):
    """Trains to the last step, or continues where a run stopped.

    Of several workers all have to call it, with one directory that they share.
    The chief writes in it, and finishes the run alone while the others wait.

    Args:
        config: `TrainConfig`.
        workdir: str or path. A new directory, or one that a run of the same
            configuration was stopped in.
        strategy: `tf.distribute.Strategy`, or None for all GPUs, or workers,
            that there are.
        extra_callbacks: Keras callbacks that watch training besides its own.
            They see every step that the host does.
        model_class: a class derived from `CLEL`, or None for `CLEL`.

    Returns:
        dict, the run's summary; an already finished run's is only read. None
        in other workers than the chief.

    Raises:
        ValueError: if the directory holds something else, another process
            trains there, or replicas cannot share batch and buffer equally.
        OSError: if data, disk or another worker fail; the last checkpoint stays
            as it is.
        SystemExit: with status 143, after SIGTERM and, in a run of one process,
            a checkpoint.
    """
    strategy = strategy or strategies.make_strategy()
    with strategies.lost_workers_told(strategy):
        run = RunDirectory(workdir)
        summary = _train(config, run, strategy, extra_callbacks, model_class)
    return summary if workers.is_chief(strategy) else None


def _train(config, run, strategy, extra, model_class):
    config, recipe, data, faults = _prepare(config, run)
    if run.is_finished():
        if workers.is_chief(strategy):
            print(f"{run.path} holds this run, finished; nothing was changed.")
        return run.read_summary()

    strategies.check_batch_size(strategy, config.batch_size)
    replicas = strategy.num_replicas_in_sync
    with strategy.scope():
        model = _build(recipe, config, model_class, replicas)
    model.replay_buffer.check_batch(config.batch_size // replicas)
    checkpoints = callbacks.Checkpoints(
        run.path / "checkpoints",
        config.checkpoint_every,
        configuration=dataclasses.asdict(config),
    )
    start = checkpoints.restore(model)
    if config.init_from and not start:
        warm_start(model, config.init_from)
    strategies.check_same_start(strategy, dataclasses.asdict(config), start)
    if not workers.is_chief(strategy):
        _fit(model, data, config, run, checkpoints, start, faults, extra)
        return strategies.wait_for_all(strategy, run.is_finished)
    run.create(dataclasses.asdict(config))
    with run.locked():
        _tell_beginning(recipe, run, start)
        _fit(model, data, config, run, checkpoints, start, faults, extra)
        if workers.are_several(strategy):
            # Alone: the others only wait, lest one leaves that is needed.
            model = _build(recipe, config, model_class)
            checkpoints.restore(model)
        summary = _finish(model, data, config, run, faults)
    strategies.wait_for_all(strategy, run.is_finished)
    return summary


def _prepare(config, run):
    """Completes a configuration, and loads its data, for a directory."""
    recipe = run.with_its_dtypes(config.recipe)
    recipe = clel_tf.presets.with_dtypes(recipe)
    config = dataclasses.replace(config, recipe=recipe)
    faults = clel_tf.data.Faults(config.data_faults)
    data = load_data(config, faults)
    recipe = recipes.complete(recipe, data)
    run.check(dataclasses.asdict(config))
    _check_labels(recipe, data)
    return config, recipe, data, faults


def _check_labels(recipe, data):
    kind = recipe.get("teacher", {}).get("kind")
    teacher = clel_tf.presets.TEACHERS.get(kind)
    if teacher and teacher.needs_labels and data.y_train is None:
        raise ValueError(
            f"Expected data with labels for the teacher {kind!r}; received: "
            f"{data.spec} without."
        )


def _build(recipe, config, model_class, replicas=1):
    model = clel_tf.presets.build(recipe, config.seed, model_class)
    model.compile(steps_per_execution=_steps_per_call(config, replicas))
    return model


def _tell_beginning(recipe, run, start):
    for name in clel_tf.presets.networks(recipe):
        print(f"The {name} computes in {recipe[name]['dtype']}.")
    if start:
        print(f"Continuing {run.path} from step {start}.")


def load_data(config, faults=None):
    """Loads a run's data: `clel_tf.data.ImageData`.

    Args:
        config: `TrainConfig`.
        faults: Optional `clel_tf.data.Faults`.
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
    data = clel_tf.data.load(spec, size, faults=faults)
    return data.take(config.max_images) if config.max_images else data


def is_resizable(spec):
    """Whether the images of a set may be of any size, to be resized."""
    return split_spec(spec)[1].startswith(("folder:", "tfds:"))


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


def _fit(model, data, config, run, checkpoints, start, faults, extra):
    if start >= config.steps:
        return
    teacher = model.teacher
    batches = data.train(
        config.batch_size,
        config.seed,
        start,
        with_labels=teacher is not None and teacher.needs_labels,
    )
    logger = callbacks.MetricsLogger(
        run.path, config.batch_size, config.log_every
    )
    with _told_in_a_line(faults):
        model.fit(
            strategies.distribute(model.distribute_strategy, batches),
            steps_per_epoch=config.steps - start,
            shuffle=False,
            verbose=0,
            callbacks=[
                *_guards(config, run),
                logger,
                callbacks.SampleGrid(run.path / "samples", config.sample_every),
                checkpoints,
                callbacks.ProgressTable(config.steps, config.batch_size),
                callbacks.StopOnSignal(checkpoints),
                *extra,
            ],
        )


@contextlib.contextmanager
def _told_in_a_line(faults):
    """What ends training from outside, without TensorFlow's words around it."""
    try:
        yield
    except (OSError, tf.errors.OpError) as error:
        cause = error
        if faults.policy == "raise" and faults.found:
            cause = next(iter(faults.found.values()))
        elif isinstance(error, tf.errors.OpError):
            raise
        raise OSError(
            f"{cause} The last checkpoint is whole: the same command goes on "
            "from there."
        ) from error


def _guards(config, run):
    """The divergence guard, to stand before all that saves, if there is one."""
    if config.guard == "off":
        return []
    # It looks whenever a checkpoint is made.
    every = math.gcd(config.checkpoint_every, _GUARD_EVERY)
    soften = None if config.guard == "reseed" else config.guard
    return [callbacks.DivergenceGuard(run.path, every, soften)]


def _finish(model, data, config, run, faults):
    print("Drawing fresh samples and judging them.", flush=True)
    save_grid(model.sample(64, seed=config.seed), run.path / "samples.png")
    if data.y_train is not None and model.encoder is not None:
        save_class_directions(model, data, run.path / "class_directions.npz")
    with files.new_file(run.path / "model.keras") as aside:
        model.save(aside)
    seconds = run.train_seconds()
    summary = summarize(model, data, config, seconds, faults)
    run.finish(summary)
    return summary


def report(summary, workdir):
    """Prints where a run's results are, its main figures, and what is next."""
    run = RunDirectory(workdir).path
    serving = run / "serving" / run.name
    lines: list[tuple[str, object]] = [
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
