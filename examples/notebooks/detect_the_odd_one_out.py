# %% [markdown]
# # Detect the odd one out
#
# A model that knows what digits look like, trained without labels, finds the
# image that is none: in rows of eight, in a stream with a stated rate of false
# alarms, and against kinds of images that it was never told about.
#
# The cells are those of a notebook in jupytext's percent format; as a script
# they run as well: `python examples/notebooks/detect_the_odd_one_out.py`.

# %%
import os

import numpy as np
from matplotlib import pyplot as plt

import clel_tf
from clel_tf.images import make_grid

STEPS = int(os.environ.get("STEPS", 2080))  # of training

# %% [markdown]
# ## A model of digits

# %%
digits = clel_tf.data.load("digits")
model = clel_tf.models.CLEL.from_preset("digits", seed=0)
model.compile(total_steps=STEPS)
batches = digits.train(batch_size=64, seed=0)
model.fit(batches, steps_per_epoch=STEPS, verbose=0)

# %% [markdown]
# ## A threshold
#
# Half of the test images sets a threshold which at most 5% of new digits exceed
# (on average, whatever the model is worth); the other half is what we test
# with. The score weighs the energy and the distance to the nearest training
# images in the model's latents.

# %%
held_out, new = digits.x_test[:180], digits.x_test[180:]
score = clel_tf.ood.NeighborEnergy()
threshold = model.calibrate_ood(
    held_out, 0.05, score, training_images=digits.x_train
)
alarms = np.mean(model.is_ood(new))
print(f"{alarms:.1%} of new digits are taken for something else.")

# %% [markdown]
# ## Eight images, one of them odd
#
# Each row has seven digits and one intruder: a digit turned, exchanged in its
# halves, blurred, the mean of two digits, or a piece of a photograph. The model
# points at the image with the highest score (red).

# %%
kinds = ("rotate", "shuffle", "blur", "mix", "photographs")
odd = {kind: clel_tf.data.load(f"{kind}:digits").x_test[180:] for kind in kinds}
rng = np.random.default_rng(0)


def puzzle(kind):
    """Seven digits and an intruder, and where it is."""
    images = new[rng.choice(len(new), 8, replace=False)]
    place = rng.integers(8)
    images[place] = odd[kind][rng.integers(len(odd[kind]))]
    return images, place


figure, axis = plt.subplots(figsize=(7, 5))
rows = [puzzle(kind) for kind in kinds]
pixels = np.concatenate([images for images, _ in rows])
grid = make_grid((pixels + 0.5) / digits.levels, columns=8)
axis.imshow(grid[..., 0], cmap="gray", interpolation="nearest")
for i, (images, _) in enumerate(rows):
    j = np.argmax(model.score(images))
    box = plt.Rectangle((9 * j - 1, 9 * i - 1), 9, 9, fill=False)
    box.set(edgecolor="red", linewidth=2, clip_on=False)
    axis.add_patch(box)
axis.set_yticks([9 * i + 3.5 for i in range(len(kinds))], kinds)
axis.set(xticks=[], title="The model's choice")
axis.tick_params(length=0)
axis.spines[:].set_visible(False)
figure.tight_layout()
plt.show()

# %% [markdown]
# How often does it find the intruder? Guessing finds one in eight.

# %%
found = {}
for kind in kinds:
    puzzles = [puzzle(kind) for _ in range(100)]
    scores = model.score(np.concatenate([images for images, _ in puzzles]))
    choices = scores.reshape(100, 8).argmax(axis=1)
    found[kind] = np.mean(choices == [place for _, place in puzzles])
    print(f"{kind:12} found {found[kind]:.0%}")

# %% [markdown]
# ## Scores, and what the threshold does
#
# New digits lie left of the threshold, most other images right of it. Means of
# two digits are the hardest: they are nearly digits.

# %%
scores = {"digits": model.score(new)}
scores |= {kind: model.score(images) for kind, images in odd.items()}
figure, axes = plt.subplots(1, 2, figsize=(10, 4))
names = list(scores)
axes[0].boxplot(list(scores.values()), whis=(5, 95), sym="", vert=False)
axes[0].set_yticks(np.arange(1, len(names) + 1), names)
axes[0].axvline(threshold, color="red", label="threshold")
axes[0].set(xscale="log", xlabel="score", title="5% to 95% of each kind")
axes[0].legend()
aurocs = {}
for kind in kinds:
    limits = np.sort(np.concatenate([scores["digits"], scores[kind]]))[::-1]
    rates = [
        np.mean(scores[x][:, None] >= limits, axis=0) for x in ("digits", kind)
    ]
    aurocs[kind] = clel_tf.metrics.detection(
        scores["digits"], scores[kind]
    ).auroc.value
    axes[1].plot(*rates, label=f"{kind} {aurocs[kind]:.3f}")
axes[1].plot([0, 1], [0, 1], color="grey", linewidth=0.5)
axes[1].set(
    xlabel="false alarms",
    ylabel="detected",
    title="ROC curves, and their areas",
)
axes[1].legend()
figure.tight_layout()
plt.show()

# %% [markdown]
# docs/evaluation.md holds these scores against scikit-learn's detectors, on
# sets that are harder: a class of digits that the model has never seen.
