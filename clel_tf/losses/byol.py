from clel_tf.losses.latent_alignment import latent_alignment


def byol(predictions, targets):
    """BYOL's regression of one view's latents on the other view's.

        loss = mean_i |p_i / |p_i| - t_i / |t_i||**2
             = 2 - 2 mean_i cos(p_i, t_i)

    No gradient reaches the targets.

    Args:
        predictions: float tensor of shape `(n, d)`.
        targets: float tensor of shape `(n, d)`: of the same images' other
            views, by the network that follows.

    Returns:
        float32 scalar in [0, 4].

    Example:

    >>> p = np.array([[3.0, 0.0], [0.0, 2.0]])
    >>> t = np.array([[1.0, 0.0], [1.0, 0.0]])
    >>> float(clel_tf.losses.byol(p, t))
    1.0

    Reference:
        [Grill et al.: Bootstrap Your Own Latent, NeurIPS
        2020](https://arxiv.org/abs/2006.07733)
    """
    return 2.0 - 2.0 * latent_alignment(predictions, targets)
