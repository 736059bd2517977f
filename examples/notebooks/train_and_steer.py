# %% [markdown]
# # Train an energy-based model, and steer it
#
# A model of 8x8 digits is trained without labels in a few minutes on a CPU.
# Then it draws what it is asked for: digits of a class, of this class or that
# one, of neither, and the missing half of a digit. None of these was trained
# for.
#
# The cells are those of a notebook in jupytext's percent format; as a script
# they run as well: `python examples/notebooks/train_and_steer.py`.

# %%
import os

import numpy as np
from matplotlib import pyplot as plt

import clel_tf
from clel_tf.images import make_grid
from clel_tf.samplers import energies

STEPS = int(os.environ.get("STEPS", 2080))  # of training
SAMPLES = int(os.environ.get("SAMPLES", 10))  # images in a row


def show(rows, title):
    """Rows of images with a name each."""
    names, images = list(rows), [np.asarray(x) for x in rows.values()]
    grid = make_grid(np.concatenate(images), columns=len(images[0]))
    figure, axis = plt.subplots(figsize=(8, 0.4 + 0.8 * len(rows)))
    axis.imshow(grid[..., 0], cmap="gray", interpolation="nearest")
    places = [9 * i + 3.5 for i in range(len(rows))]
    axis.set_yticks(places, names)
    axis.set(xticks=[], title=title)
    axis.tick_params(length=0)
    axis.spines[:].set_visible(False)
    figure.tight_layout()
    plt.show()


# %% [markdown]
# ## The data
#
# 1,437 images to train on and 360 to test with, of 17 grey levels.

# %%
digits = clel_tf.data.load("digits")
real = (digits.x_train + 0.5).astype("float32") / digits.levels
of_class = {str(c): real[digits.y_train == c][:SAMPLES] for c in (0, 3, 5, 8)}
show(of_class, "Images of four classes")

# %% [markdown]
# ## Training
#
# The model holds an energy network, the encoder that guides it, a sampler and a
# buffer of chains; the preset says how large. `fit` sees images only.

# %%
model = clel_tf.models.CLEL.from_preset("digits", seed=0)
model.compile(total_steps=STEPS)
batches = digits.train(batch_size=64, seed=0)
history = model.fit(
    batches, steps_per_epoch=max(STEPS // 20, 1), epochs=20, verbose=0
)

figure, axes = plt.subplots(1, 2, figsize=(8, 3))
steps = np.arange(1, 21) * max(STEPS // 20, 1)
axes[0].plot(steps, history.history["energy_positive"], label="digits")
axes[0].plot(steps, history.history["energy_negative"], label="chains")
axes[0].set(title="Energy", xlabel="step", yscale="log")
axes[0].legend()
axes[1].plot(steps, history.history["nt_xent"])
axes[1].set(title="NT-Xent of the encoder", xlabel="step")
figure.tight_layout()
plt.show()

# %% [markdown]
# ## Samples
#
# Chains begin at uniform noise and go down the energy. After a few steps they
# are digits.

# %%
counts = {"noise": 0, "10 steps": 10, "40 steps": 40, "140 steps": 140}
way = {
    name: model.sample(SAMPLES, num_steps=count, seed=1)
    for name, count in counts.items()
}
show(way, "From noise to digits")

# %% [markdown]
# ## What the energy says
#
# Low energy is high probability. Of the test images, the model finds these the
# likeliest and these the least likely.

# %%
energy = model.predict(digits.x_test, verbose=0)
order = np.argsort(energy)
test = (digits.x_test + 0.5).astype("float32") / digits.levels
likely = {"lowest": test[order[:SAMPLES]], "highest": test[order[-SAMPLES:]]}
show(likely, "Test images by energy")

# %% [markdown]
# ## Steering
#
# A class is known by the mean latent of some of its images. Energies add up
# (AND), `|` draws from one of two (OR), `~` avoids (NOT).

# %%
means, labels = energies.class_means(
    model, digits.x_train, digits.y_train, views=1
)
three, five = (energies.Conditional(means[c]) for c in (3, 5))
drawn = {
    str(c): model.sample(SAMPLES, energy=energies.Conditional(means[c]), seed=c)
    for c in range(10)
}
show(drawn, "Samples of ten classes")

# %%
composed = {
    "3 or 5": model.sample(SAMPLES, energy=three | five, seed=1),
    "not 3, not 5": model.sample(SAMPLES, energy=~(three | five), seed=1),
    "like the first": model.sample(
        SAMPLES, energy=energies.like(model, digits.x_test[0]), seed=1
    ),
}
show(composed, "Compositions")

# %% [markdown]
# How many are as asked? A classifier that has seen labels, which the model has
# not, judges them.

# %%
judge = clel_tf.metrics.extractors.DigitsMargins(
    digits.x_train, digits.y_train, digits.levels
)
as_asked = np.mean(
    [np.mean(judge.classes(x) == int(c)) for c, x in drawn.items()]
)
print(f"{as_asked:.0%} of the samples of ten classes are judged as asked.")

# %% [markdown]
# ## The missing half
#
# `Inpaint` keeps the known pixels in every step; the chain paints the others.
# It knows only half of a digit, so that different chains may complete it
# differently.

# %%
chosen = test[:SAMPLES]
right = np.broadcast_to(np.arange(8)[None, :, None] >= 4, (8, 8, 1))
masks = np.broadcast_to(right, chosen.shape)
painted = {
    f"painted, {seed}": model.sample(
        SAMPLES, energy=energies.Inpaint(chosen, masks), seed=seed
    )
    for seed in (1, 2)
}
given = np.where(masks, 0.5, chosen)
show({"given": given, **painted, "true": chosen}, "Right halves painted")

# %% [markdown]
# docs/steering.md has the algebra, and how well each of these works over seeds.
