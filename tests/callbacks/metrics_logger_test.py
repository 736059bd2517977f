import csv

from clel_tf.callbacks import MetricsLogger


def write(path, model, steps):
    names = ["step", *(metric.name for metric in model.metrics)]
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(names)
        writer.writerows([step, *["0.5"] * (len(names) - 1)] for step in steps)


def test_rows_beyond_the_step_that_training_begins_at_are_cut(model, tmp_path):
    path, expected = tmp_path / "metrics.csv", tmp_path / "expected.csv"
    write(path, model, [2, 4, 6, 8])
    write(expected, model, [2, 4])
    with path.open("a") as file:
        file.write("3,0.5")  # of a process that was killed
    logger = MetricsLogger(tmp_path, batch_size=8, every=2)
    logger.set_model(model)
    logger.on_train_begin()
    # Another callback, whose turn comes later, loads a checkpoint.
    model.step.assign(5)
    logger.on_epoch_begin(0)
    assert path.read_bytes() == expected.read_bytes()
    logs = {metric.name: 0.5 for metric in model.metrics}
    model.step.assign(6)
    logger.on_train_batch_end(0, logs)
    write(expected, model, [2, 4, 6])
    # It is on the disk before training goes on.
    assert path.read_bytes() == expected.read_bytes()


def test_training_that_is_done_leaves_the_file_as_it_is(model, tmp_path):
    path = tmp_path / "metrics.csv"
    write(path, model, [2, 4])
    before = path.read_bytes()
    logger = MetricsLogger(tmp_path, batch_size=8)
    logger.set_model(model)
    logger.on_train_begin()
    logger.on_train_end()
    assert path.read_bytes() == before
