import numpy as np

from clel_tf.data import order


def test_epoch_order_is_a_permutation():
    for size in (1, 2, 1000):
        drawn = order.epoch_order(seed=0, epoch=5, size=size).numpy()
        np.testing.assert_array_equal(np.sort(drawn), np.arange(size))


def test_index_batches_cut_the_chained_permutations():
    chained = np.concatenate(
        [order.epoch_order(seed=4, epoch=e, size=5).numpy() for e in range(5)]
    )
    for start in range(6):
        batches = order.index_batches(5, 4, seed=4, start_step=start)
        batch = next(batches.as_numpy_iterator())
        np.testing.assert_array_equal(batch, chained[4 * start : 4 * start + 4])


def test_neighbouring_seeds_and_epochs_share_no_order():
    drawn = {
        tuple(order.epoch_order(seed=seed, epoch=epoch, size=30).numpy())
        for seed in range(4)
        for epoch in range(4)
    }
    assert len(drawn) == 16
