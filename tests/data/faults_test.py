import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from clel_tf.data import Faults
from clel_tf.data import load


@pytest.fixture
def folder(tmp_path):
    """Ten gray images of two classes, whose pixels are their numbers."""
    for number in range(10):
        path = tmp_path / "images" / "ab"[number // 5] / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("L", (4, 4), number).save(path)
    return tmp_path / "images"


def numbers(images):
    return images[:, 0, 0, 0].tolist()


def lose(path):
    path.unlink()


def tear(path):
    path.write_bytes(path.read_bytes()[:40])


def color(path):
    Image.new("RGB", (4, 4), (200, 0, 0)).save(path)


def enlarge(path):
    Image.new("L", (5, 4)).save(path)


HARM = [lose, tear, color, enlarge]


@pytest.mark.parametrize("harm", HARM)
def test_a_file_harmed_in_the_middle_of_a_stream_is_named(folder, harm):
    data = load(f"folder:{folder}", stream=True)
    batches = iter(data.train(batch_size=10, seed=0))
    next(batches)
    harm(folder / "a" / "3.png")
    with pytest.raises(tf.errors.OpError, match="3.png"):
        for _ in range(10):  # some are read ahead
            next(batches)


@pytest.mark.parametrize("harm", HARM)
def test_skipping_puts_the_next_of_the_class_in_its_place(folder, harm, capsys):
    faults = Faults("skip")
    data = load(f"folder:{folder}", stream=True, faults=faults)
    harm(folder / "a" / "3.png")
    harm(folder / "a" / "4.png")
    assert numbers(data.x_train[:]) == [0, 1, 2, 0, 0, 5, 6, 7, 8, 9]
    assert numbers(data.x_train[[3, 9]]) == [0, 9]
    assert sorted(faults.found) == [
        str(folder / "a" / name) for name in ("3.png", "4.png")
    ]
    # Each one is told once, however often it is met.
    assert capsys.readouterr().out.count("Skipping") == 2


def test_the_order_of_a_stream_with_faults_is_the_same_again(folder):
    spec = f"folder:{folder}"
    data = load(spec, stream=True, faults=Faults("skip"))
    lose(folder / "b" / "5.png")
    steps = [
        [
            numbers(batch.numpy())
            for batch in data.train(3, seed=1, start_step=start).take(8 - start)
        ]
        for start in (0, 3)
    ]
    assert steps[0][3:] == steps[1]
    assert 5 not in sum(steps[0], []) and len(sum(steps[0], [])) == 24


def test_a_class_without_an_image_left_is_an_error(folder):
    data = load(f"folder:{folder}", stream=True, faults=Faults("skip"))
    for path in (folder / "b").iterdir():
        lose(path)
    with pytest.raises(ValueError, match="take the place of .*7.png"):
        data.x_train[7]


@pytest.mark.parametrize("stream", [False, True])
def test_files_that_are_faulty_from_the_start_are_left_out(folder, stream):
    (folder / "a" / "1.png").write_text("no image")
    faults = Faults("skip")
    data = load(f"folder:{folder}", stream=stream, faults=faults)
    assert numbers(data.x_train[:]) == [0, 2, 3, 4, 5, 6, 7, 8, 9]
    assert data.y_train.tolist() == [0] * 4 + [1] * 5
    assert len(faults.found) == 1
    with pytest.raises(ValueError, match="1.png"):
        load(f"folder:{folder}", stream=stream)


def test_a_file_whose_header_alone_is_whole_is_left_out_of_memory(folder):
    noise = np.random.default_rng(0).integers(0, 256, [64, 64])
    for number in range(10):
        path = folder / "ab"[number // 5] / f"{number}.png"
        Image.fromarray(noise.astype(np.uint8)).save(path)
    path = folder / "b" / "6.png"
    path.write_bytes(path.read_bytes()[:2000])
    faults = Faults("skip")
    data = load(f"folder:{folder}", stream=False, faults=faults)
    assert len(data.x_train) == 9 and data.y_train.tolist() == [0] * 5 + [1] * 4
    assert (data.x_train == noise[..., np.newaxis]).all()
    assert list(faults.found) == [str(path)]


def test_nothing_left_is_an_error(tmp_path):
    for number in range(2):
        (tmp_path / f"{number}.png").write_text("no image")
    with pytest.raises(ValueError, match="Expected images"):
        load(f"folder:{tmp_path}", faults=Faults("skip"))


def test_another_policy_is_refused():
    with pytest.raises(ValueError, match="'raise', 'skip'.*received: 'ignore'"):
        Faults("ignore")
