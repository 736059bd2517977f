import pytest

from clel_tf import files


def test_new_file_appears_with_its_content(tmp_path):
    path = tmp_path / "a.json"
    with files.new_file(path) as aside:
        assert aside.parent == tmp_path and aside.suffix == ".json"
        aside.write_text("new")
        assert not path.exists()
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_new_file_leaves_the_old_one_if_writing_fails(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with pytest.raises(OSError, match="disk"):
        with files.new_file(str(path)) as aside:
            aside.write_text("half")
            raise OSError("disk full")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_new_file_replaces_the_old_one(tmp_path):
    path = tmp_path / "a.txt"
    path.write_text("old")
    with files.new_file(path) as aside:
        aside.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new"


def test_new_directory_appears_complete_in_new_parents(tmp_path):
    path = tmp_path / "models" / "digits" / "1"
    with files.new_directory(path) as aside:
        (aside / "a.txt").write_text("a")
        assert not path.exists() and not aside.name.isdigit()
    assert [p.name for p in path.iterdir()] == ["a.txt"]
    assert path.stat().st_mode & 0o777 == 0o755
    assert list(path.parent.iterdir()) == [path]


def test_new_directory_leaves_nothing_if_filling_fails(tmp_path):
    with pytest.raises(RuntimeError, match="broken"):
        with files.new_directory(str(tmp_path / "d")) as aside:
            (aside / "a.txt").write_text("a")
            raise RuntimeError("broken")
    assert list(tmp_path.iterdir()) == []


def test_new_directory_loses_a_race_without_a_loss(tmp_path):
    path = tmp_path / "1"
    with pytest.raises(FileExistsError, match="exists"):
        with files.new_directory(path) as aside:
            (aside / "file").write_text("ours")
            path.mkdir()
            (path / "file").write_text("theirs")
    assert (path / "file").read_text() == "theirs"
    assert list(tmp_path.iterdir()) == [path]


def test_new_directory_refuses_an_existing_one(tmp_path):
    path = tmp_path / "d"
    path.mkdir()
    (path / "kept").touch()
    with pytest.raises(FileExistsError, match="Expected a new directory"):
        with files.new_directory(path):
            raise AssertionError("not reached")
    assert [p.name for p in path.iterdir()] == ["kept"]
    assert list(tmp_path.iterdir()) == [path]
