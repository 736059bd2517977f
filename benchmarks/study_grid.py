"""The study's cells: arms, seeds and lengths, all told before they are run."""

import dataclasses
import hashlib
import json
import pathlib

import fewer_views
import reference_clel

from clel_tf import presets
from clel_tf.trainers import recipes

HERE = pathlib.Path(__file__).resolve().parent
# Recipes by setting: the preset as it was when the study began, so that arms
# stay what they were when it changes; and for CIFAR-10 at 16x16 its settings
# with that size, the data's statistics and augmentation of colours.
RECIPES = {
    setting: HERE / "recipes" / f"study_{setting}.json"
    for setting in ("digits", "cifar16")
}
RATES = HERE / "results" / "study_rates.json"
# Where `study_cell` puts the frozen teachers, beside the runs.
CLASSIFIER = "classifier.keras"

# Seconds of training on one core; tuning and classes left out have half.
SECONDS, TUNING_SECONDS, SHORT_SECONDS = 300, 150, 15
CIFAR_SECONDS, CIFAR_TUNING_SECONDS = 1200, 240
LENGTHS_OF_TUNING = TUNING_SECONDS, CIFAR_TUNING_SECONDS
TUNING_SEED = 100
# Seen by no tuning, of this study or of the preset.
SEEDS = tuple(range(10))
DESCRIPTIVE_SEEDS = (0, 1, 2)
CONFIRMATION_SEEDS = tuple(range(10, 20))
LEFT_OUT = (2, 5, 8)  # in the descriptive arms

# At the end of CLEL's tuning, of which beta is a multiple.
_ENERGY_OF_DATA = 1.6e-3


@dataclasses.dataclass(frozen=True)
class Arm:
    """A way of training.

    Attributes:
        teacher: str, as `clel-train --teacher` takes it.
        changes: tuple of str, as `clel-train --set` takes them.
        model_class: class derived from `CLEL`, or None.
    """

    teacher: str = "simclr"
    changes: tuple[str, ...] = ()
    model_class: type | None = None


def _ratio(value):
    """CLEL with a guidance that weighs so much against the energy."""
    return Arm(changes=(f"model.beta={2 * value * _ENERGY_OF_DATA:.3g}",))


_PUBLISHED = {
    "energy_network": {"dense_stddev": 0.01},
    "sampler": {
        "step_size": 100.0,
        "noise_scale": 1e-3,
        "num_steps": 60,
        "sample_steps": 600,
        "gradient_clip": 100.0,
    },
    "replay_buffer": {
        "capacity": 10_000,
        "reinitialize_probability": 0.001,
        "max_age": None,
        "storage": "float32",
    },
    # Images are grey: there is nothing for saturation, hue and grayscale.
    "augmentation": {
        "flavour": "reference",
        "crop_scale": [0.08, 1.0],
        "crop_ratio": [3 / 4, 4 / 3],
        "integer_boxes": True,
        "clip": False,
        "brightness": 0.4,
        "contrast": 0.4,
        "jitter_probability": 0.8,
        "flip_probability": 0.5,
    },
    "model": {
        "chain_augmentation_probability": 1.0,
        "beta": 0.01,
        "encoder_l2": 5e-4,
        "ema_decay": 0.5 ** (64 / 20_000),
        "ema_start": 20_000 // 64,
    },
    "recipe.energy_optimizer": {
        "learning_rate": 1e-4,
        "warmup_steps": 2000,
        "final_fraction": 1.0,
    },
}

PLAIN, CLEL = "plain", "clel"
ARMS = {
    PLAIN: Arm("none"),
    CLEL: Arm(),
    "no_negatives": Arm("simclr_no_negatives"),
    "no_projection": Arm(changes=("energy_network.projection=false",)),
    "ratio_0.1": _ratio(0.1),
    "ratio_0.3": _ratio(0.3),
    "ratio_1": _ratio(1.0),
    "ratio_3": _ratio(3.0),
    "published_beta": Arm(changes=("model.beta=0.01",)),
    "frozen": Arm(f"frozen:{CLASSIFIER}"),
    "augmented_chains": Arm(
        changes=("model.chain_augmentation_probability=1",)
    ),
    "published_spectral_norm": Arm(
        model_class=reference_clel.ReferenceSpectralNorm
    ),
    "published": Arm(
        changes=tuple(
            f"{part}.{name}={json.dumps(value)}"
            for part, settings in _PUBLISHED.items()
            for name, value in settings.items()
        ),
        model_class=reference_clel.ReferenceCLEL,
    ),
}
CIFAR_ARMS = PLAIN, CLEL, "frozen"
DESCRIPTIVE = tuple(name for name in ARMS if name not in (PLAIN, CLEL))


def _cosine(start, end, steps):
    """A schedule of the chain's age, as recipes hold it."""
    config = {
        "initial_learning_rate": start,
        "decay_steps": steps,
        "alpha": end / start,
    }
    return json.dumps({"class_name": "CosineDecay", "config": config})


_WARMER = "sampler.noise_scale=0.01"
_FASTER = "recipe.energy_optimizer.learning_rate=2e-3"
# What might make CLEL better at equal compute, on top of its tuning.
IMPROVEMENTS = {
    "faster": Arm(changes=("recipe.energy_optimizer.learning_rate=2e-3",)),
    "long_average": Arm(changes=("model.ema_decay=0.995",)),
    "retired_at_140": Arm(changes=("replay_buffer.max_age=140",)),
    "warmer": Arm(changes=("sampler.noise_scale=0.01",)),
    "annealed_noise": Arm(
        changes=(f"sampler.noise_scale={_cosine(0.0142, 0.0035, 140)}",)
    ),
    "annealed_steps": Arm(
        changes=(f"sampler.step_size={_cosine(40.0, 10.0, 140)}",)
    ),
    "alpha_3": Arm(changes=("model.alpha=3",)),
    "small_batch": Arm(
        changes=("recipe.batch_size=32", "replay_buffer.capacity=128")
    ),
    "fewer_views": Arm(model_class=fewer_views.FewerViews),
}
# Those that helped, together; each as it was tuned or with visits of 10 steps.
COMBINATIONS = {
    "much_warmer": Arm(changes=("sampler.noise_scale=0.0142",)),
    "warmer_faster": Arm(changes=(_WARMER, _FASTER)),
    "warmer_retired": Arm(changes=(_WARMER, "replay_buffer.max_age=140")),
    "warmer_fewer_views": Arm(
        changes=(_WARMER,), model_class=fewer_views.FewerViews
    ),
    "warmer_faster_fewer_views": Arm(
        changes=(_WARMER, _FASTER),
        model_class=fewer_views.FewerViews,
    ),
    # The balance of the classes answers to the energy with the delay of a
    # chain's life, capacity / 64 * 200 / num_steps updates: 160 above.
    "warmer_buffer_256": Arm(changes=(_WARMER, "replay_buffer.capacity=256")),
    "warmer_buffer_128": Arm(changes=(_WARMER, "replay_buffer.capacity=128")),
    "warmer_averaged_buffer_256": Arm(
        changes=(_WARMER, "replay_buffer.capacity=256", "model.ema_decay=0.998")
    ),
    "warmer_buffer_128_fewer_views": Arm(
        changes=(_WARMER, "replay_buffer.capacity=128"),
        model_class=fewer_views.FewerViews,
    ),
    "warmer_average_buffer_128": Arm(
        changes=(
            _WARMER,
            "replay_buffer.capacity=128",
            "model.ema_decay=0.995",
        )
    ),
    "warmer_average_buffer_128_fewer_views": Arm(
        changes=(
            _WARMER,
            "replay_buffer.capacity=128",
            "model.ema_decay=0.995",
        ),
        model_class=fewer_views.FewerViews,
    ),
    "warmer_buffer_256_fewer_views": Arm(
        changes=(_WARMER, "replay_buffer.capacity=256"),
        model_class=fewer_views.FewerViews,
    ),
}
ARMS |= IMPROVEMENTS | COMBINATIONS

# What the search chose, for the plain model too, which was not searched for.
_CHOSEN = "warmer_average_buffer_128"
ARMS[f"plain_{_CHOSEN}"] = Arm("none", COMBINATIONS[_CHOSEN].changes)

# Changes tried with the plain model and with CLEL alike.
CANDIDATES = {
    "": (),
    "rate_2e-3": ("recipe.energy_optimizer.learning_rate=2e-3",),
    "rate_5e-4": ("recipe.energy_optimizer.learning_rate=5e-4",),
    "visits_5": ("sampler.num_steps=5",),
    "visits_10": ("sampler.num_steps=10",),
    "visits_40": ("sampler.num_steps=40",),
    "age_140": ("replay_buffer.max_age=140",),
    "half_temperature": ("sampler.noise_scale=0.005",),
    "twice_temperature": ("sampler.noise_scale=0.01",),
    "silu": ("energy_network.activation=silu",),
    "alpha_10": ("model.alpha=10",),
    "batch_32": ("recipe.batch_size=32",),
    "buffer_512": ("replay_buffer.capacity=512",),
    # After the first look: more updates in the same time did most, and a buffer
    # whose chains live for as many updates as before.
    "visits_10_buffer_512": (
        "sampler.num_steps=10",
        "replay_buffer.capacity=512",
    ),
    "visits_5_buffer_256": (
        "sampler.num_steps=5",
        "replay_buffer.capacity=256",
    ),
    "visits_10_rate_2e-3": (
        "sampler.num_steps=10",
        "recipe.energy_optimizer.learning_rate=2e-3",
    ),
    "visits_5_rate_2e-3": (
        "sampler.num_steps=5",
        "recipe.energy_optimizer.learning_rate=2e-3",
    ),
}
# The same for CIFAR-10, fewer: what was chosen for digits, and by the search.
CIFAR_CANDIDATES = {
    "": (),
    "visits_10_buffer_512": CANDIDATES["visits_10_buffer_512"],
    "visits_10_searched": (
        *CANDIDATES["visits_10"],
        *COMBINATIONS[_CHOSEN].changes,
    ),
}
# Of the search, by the same rule; the same settings without guidance.
IMPROVED = f"{_CHOSEN}+visits_10"
IMPROVED_PLAIN = f"plain_{_CHOSEN}+visits_10"
# Those whose steps do other work than their arm's; all other arms do CLEL's.
_OTHER_WORK = ("visits_5", "visits_10", "visits_40", "silu", "batch_32")
_OF_OTHER_WORK = (
    PLAIN,
    CLEL,
    "frozen",
    "augmented_chains",
    "published_spectral_norm",
    "published",
    "small_batch",
    "fewer_views",
)
# Of the one seed of tuning; of digits the greatest precision + coverage -
# Frechet distance, a rule that was set when five of the 34 results were there,
# of CIFAR-10 the smallest Frechet distance, set before any was there.
TUNED = {
    "digits": {PLAIN: "visits_10_buffer_512", CLEL: "visits_5_buffer_256"},
    "cifar16": {PLAIN: "visits_10_buffer_512", CLEL: "visits_10_buffer_512"},
}


@dataclasses.dataclass(frozen=True)
class Cell:
    """One run of the study.

    Attributes:
        arm: str. A name of `ARMS`, and "+" and one of `CANDIDATES` if changed.
        seed: int.
        seconds: int or None. Training time of one core, which sets the steps;
            None for one step.
        left_out: int or None. A class that is not trained on.
        setting: str. One of `RECIPES`.
    """

    arm: str
    seed: int
    seconds: int | None = SECONDS
    left_out: int | None = None
    setting: str = "digits"

    @property
    def key(self):
        """What tells this cell's result from any other's."""
        values = [*dataclasses.astuple(self), self.recipe()]
        text = json.dumps(values, sort_keys=True)
        return hashlib.sha256(text.encode()).hexdigest()[:12]

    @property
    def name(self):
        left_out = "" if self.left_out is None else f"-without-{self.left_out}"
        return (
            f"{self.setting}/{self.arm}/{self.seconds}s-{self.seed}{left_out}"
        )

    @property
    def model_class(self):
        return ARMS[self.arm.partition("+")[0]].model_class

    def recipe(self):
        """The complete recipe, its number of steps included."""
        name, _, candidate = self.arm.partition("+")
        arm = ARMS[name]
        recipe = json.loads(RECIPES[self.setting].read_text())
        recipe = recipes.with_teacher(recipe, arm.teacher)
        # An arm's own changes last: they are what it is about.
        candidates = CANDIDATES | CIFAR_CANDIDATES
        changes = [*candidates[candidate], *arm.changes]
        recipe = recipes.override(recipe, changes)
        recipe["recipe"]["steps"] = steps(self.arm, self.seconds, self.setting)
        if self.left_out is not None:
            recipe["data"] = f"without:{self.left_out}:digits"
        for part in presets.networks(recipe):
            recipe[part]["dtype"] = "mixed_bfloat16"
        return recipe


def steps(arm, seconds, setting="digits"):
    """Training steps of an arm in a time, a multiple of 40."""
    if seconds is None:
        return 1
    rate = seconds_per_step(arm, setting)
    return max(round(seconds / rate / 40), 1) * 40


def seconds_per_step(arm, setting="digits"):
    """Seconds of one core that a step takes, as they were measured."""
    return json.loads(RATES.read_text())[setting][_work_of(arm)]


def _work_of(arm):
    """The arm whose steps do the same work."""
    name, _, candidate = arm.partition("+")
    if name.endswith("fewer_views"):
        name = "fewer_views"
    usual = PLAIN if ARMS[name].teacher == "none" else CLEL
    like = name if name in _OF_OTHER_WORK else usual
    works = [work for work in _OTHER_WORK if candidate.startswith(work)]
    return "+".join([like, *works])


def tuned(arm, setting="digits"):
    """An arm with the candidate that tuning chose."""
    return changed(arm, TUNED[setting][PLAIN if arm == PLAIN else CLEL])


def changed(arm, candidate):
    """The name of an arm with a candidate's changes."""
    return f"{arm}+{candidate}" if candidate else arm


def timed_arms(setting):
    """Arms of a setting whose steps do work of their own."""
    cells = [cell for group in GROUPS.values() for cell in group()]
    works = [_work_of(cell.arm) for cell in cells if cell.setting == setting]
    return tuple(dict.fromkeys(works))


def tuning():
    """Equally many candidates for both sides of the primary comparison."""
    return [
        Cell(changed(arm, x), TUNING_SEED, TUNING_SECONDS)
        for x in CANDIDATES
        for arm in (PLAIN, CLEL)
    ]


def primary():
    """Plain against CLEL, each as it was tuned."""
    return [Cell(tuned(arm), seed) for seed in SEEDS for arm in (PLAIN, CLEL)]


def descriptive():
    """What part of CLEL does what, and the reference as it was published."""
    return [
        Cell(arm if arm == "published" else tuned(arm), seed)
        for seed in DESCRIPTIVE_SEEDS
        for arm in DESCRIPTIVE
    ]


def classes():
    """A class left out: seed k without class k, or without `LEFT_OUT`.

    Half the time: what is asked is a difference of scores, not of samples.
    """
    cells = [
        Cell(tuned(arm), seed, TUNING_SECONDS, left_out=seed)
        for seed in SEEDS
        for arm in (PLAIN, CLEL)
    ]
    return cells + [
        dataclasses.replace(
            cell, seconds=TUNING_SECONDS, left_out=LEFT_OUT[cell.seed]
        )
        for cell in descriptive()
    ]


def search():
    """Changes of CLEL as it was tuned, one at a time, and it without them."""
    arms = [CLEL, *IMPROVEMENTS]
    cells = [Cell(tuned(arm), TUNING_SEED) for arm in arms]
    return [*cells, Cell(f"{CLEL}+visits_10_buffer_512", TUNING_SEED)]


def combinations():
    """The second round of the search."""
    arms = [
        f"{arm}+visits_10" if "buffer" in arm else tuned(arm)
        for arm in COMBINATIONS
    ]
    arms += [
        f"warmer_{buffer}_128_fewer_views+visits_5"
        for buffer in ("buffer", "average_buffer")
    ]
    return [Cell(arm, TUNING_SEED) for arm in arms]


def confirmation():
    """What the search chose, guided and plain, on seeds of their own."""
    return [
        Cell(arm, seed)
        for arm in (IMPROVED, IMPROVED_PLAIN)
        for seed in CONFIRMATION_SEEDS
    ]


def cifar16_tuning():
    """Likewise for CIFAR-10 at 16x16."""
    return [
        Cell(
            changed(arm, x),
            TUNING_SEED,
            CIFAR_TUNING_SECONDS,
            setting="cifar16",
        )
        for x in CIFAR_CANDIDATES
        for arm in (PLAIN, CLEL)
    ]


def cifar16():
    """Plain, CLEL and a frozen teacher on CIFAR-10 at 16x16."""
    return [
        Cell(
            tuned(arm, "cifar16"),
            seed,
            CIFAR_SECONDS,
            setting="cifar16",
        )
        for seed in DESCRIPTIVE_SEEDS
        for arm in CIFAR_ARMS
    ]


def short():
    """The primary comparison in a minute, to see that all of it runs."""
    return [Cell(arm, 0, SHORT_SECONDS) for arm in (PLAIN, CLEL)]


GROUPS = {
    group.__name__: group
    for group in (
        short,
        tuning,
        primary,
        descriptive,
        classes,
        cifar16_tuning,
        cifar16,
        search,
        combinations,
        confirmation,
    )
}
