from keras import ops


def latent_alignment(latents, targets):
    """Mean cosine similarity of two batches of vectors.

        similarity = mean_i (a_i . b_i) / (|a_i| |b_i|)

    CLEL's joint energy `E(x, z) = |f(x)|**2 / 2 - beta cos(g(f(x)), z)` enters
    the loss of data as `-beta * latent_alignment(g(f(x)), z)`. No gradient
    reaches the targets.

    Args:
        latents: float tensor of shape `(n, d)`.
        targets: float tensor of shape `(n, d)`, such as an encoder's latents.

    Returns:
        float32 scalar in [-1, 1].

    Example:

    >>> a = np.array([[3.0, 0.0], [0.0, 2.0]])
    >>> b = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> float(clel_tf.losses.latent_alignment(a, b))
    0.5

    Reference:
        [Lee et al.: Guiding Energy-based Models via Contrastive Latent
        Variables, ICLR 2023](https://arxiv.org/abs/2303.03023)
    """
    latents = ops.normalize(ops.cast(latents, "float32"), axis=-1)
    targets = ops.normalize(ops.cast(targets, "float32"), axis=-1)
    cosines = ops.sum(latents * ops.stop_gradient(targets), axis=-1)
    return ops.mean(cosines)
