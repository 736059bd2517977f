from keras import ops


def contrastive_divergence(positive_energy, negative_energy, alpha=1.0):
    """Contrastive divergence with energy regularisation.

        loss = mean(E(x+) - E(x-)) + alpha * mean(E(x+)**2 + E(x-)**2)

    Its gradient with respect to the energy's weights is an estimate of the
    log-likelihood's at temperature 1, given samples `x-` of the model; the
    regularisation keeps the magnitudes of the energies from drifting.

    Args:
        positive_energy: float tensor of shape `(n,)`, energies of data.
        negative_energy: float tensor of shape `(n,)`, energies of samples.
        alpha: float >= 0. Weight of the regularisation.

    Returns:
        float32 scalar.

    Example:

    >>> loss = clel_tf.losses.contrastive_divergence
    >>> float(loss(np.array([1.0, 2.0]), np.array([0.5, 1.5]), alpha=0.0))
    0.5

    Reference:
        [Du, Mordatch: Implicit Generation and Modeling with Energy-Based
        Models, NeurIPS 2019](https://arxiv.org/abs/1903.08689)
    """
    positive = ops.cast(positive_energy, "float32")
    negative = ops.cast(negative_energy, "float32")
    divergence = ops.mean(positive) - ops.mean(negative)
    squares = ops.mean(ops.square(positive)) + ops.mean(ops.square(negative))
    return divergence + alpha * squares
