from keras import ops


def nt_xent(latents, negatives=None, temperature=0.2):
    """NT-Xent loss of two views, with generated latents as extra negatives.

        loss = mean_i -log( exp(z_i . z_p(i) / t)
                            / (sum_{j != i} exp(z_i . z_j / t)
                               + sum_k exp(z_i . n_k / t)) )

    over all `2n` anchors `z_i`; `z_p(i)` is the other view of the same image.
    The negatives `n_k` are never anchors and are not masked. Where a batch is
    spread over devices, the other devices' latents are negatives of a device's
    own, and the mean of all devices' losses is the loss of the whole batch.

    Args:
        latents: float tensor of shape `(2n, d)`, unit vectors: the first views
            of all images, then the second views in the same order.
        negatives: float tensor of shape `(m, d)`, unit vectors, or None.
            Pass them through `stop_gradient` if they must not learn.
        temperature: float > 0. The softmax temperature `t`.

    Returns:
        float32 scalar, in nats.

    Example:

    >>> z = np.eye(4, dtype="float32")[[0, 1, 0, 1]]
    >>> round(float(clel_tf.losses.nt_xent(z, temperature=1.0)), 3)
    0.551

    Reference:
        [Chen et al.: A Simple Framework for Contrastive Learning of Visual
        Representations, ICML 2020](https://arxiv.org/abs/2002.05709)
    """
    latents = ops.cast(latents, "float32")
    size = ops.shape(latents)[0]
    logits = ops.matmul(latents, ops.transpose(latents)) / temperature
    logits = logits - 1e9 * ops.eye(size)  # an anchor is not its own negative
    if negatives is not None:
        negatives = ops.transpose(ops.cast(negatives, "float32"))
        extra = ops.matmul(latents, negatives) / temperature
        logits = ops.concatenate([logits, extra], axis=1)
    positives = ops.mod(ops.arange(size) + size // 2, size)
    log_probabilities = ops.log_softmax(logits, axis=-1)
    return -ops.mean(
        ops.take_along_axis(log_probabilities, positives[:, None], axis=1)
    )
