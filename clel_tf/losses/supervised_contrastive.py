from keras import ops


def supervised_contrastive(
    latents, labels, others=None, other_labels=None, temperature=0.1
):
    """Supervised contrastive loss: images of a class attract each other.

        loss = mean_i -1/|P(i)| sum_{p in P(i)}
                   log( exp(z_i . z_p / t) / sum_{j != i} exp(z_i . z_j / t) )

    over all anchors `z_i`, the rows of `latents`; `P(i)` are all other rows of
    its label, and `j` runs over all other rows. An anchor alone with its label
    counts as 0. Where a batch is spread over devices, the other devices' rows
    are `others`, and the mean of all devices' losses is that of the whole
    batch.

    Args:
        latents: float tensor of shape `(n, d)`, unit vectors.
        labels: integer tensor of shape `(n,)`.
        others: float tensor of shape `(m, d)`, unit vectors that are compared
            with and are no anchors, or None.
        other_labels: integer tensor of shape `(m,)`, where there are `others`.
        temperature: float > 0. The softmax temperature `t`.

    Returns:
        float32 scalar, in nats.

    Example:

    >>> z = np.eye(4, dtype="float32")[[0, 0, 1, 1]]
    >>> loss = clel_tf.losses.supervised_contrastive
    >>> round(float(loss(z, np.array([0, 0, 1, 1]), temperature=1.0)), 3)
    0.551

    Reference:
        [Khosla et al.: Supervised Contrastive Learning, NeurIPS
        2020](https://arxiv.org/abs/2004.11362), the sum outside the logarithm
    """
    latents = ops.cast(latents, "float32")
    itself = ops.eye(ops.shape(latents)[0])
    logits = ops.matmul(latents, ops.transpose(latents)) / temperature
    logits = logits - 1e9 * itself  # an anchor is not compared with itself
    positives = _same(labels, labels) - itself
    if others is not None:
        others = ops.transpose(ops.cast(others, "float32"))
        more = ops.matmul(latents, others) / temperature
        logits = ops.concatenate([logits, more], axis=1)
        more = _same(labels, other_labels)
        positives = ops.concatenate([positives, more], axis=1)
    log_probabilities = ops.log_softmax(logits, axis=-1)
    sums = ops.sum(positives * log_probabilities, axis=1)
    return -ops.mean(sums / ops.maximum(ops.sum(positives, axis=1), 1.0))


def _same(labels, others):
    """float32 `(n, m)`: 1 where two labels are equal."""
    return ops.cast(ops.equal(labels[:, None], others[None, :]), "float32")
