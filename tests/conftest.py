"""Fixtures of the tests of readers and of corpus runs."""

import shutil

import pytest
from runs import OPTIONS, make_corpus
from tiny import make_bundle

from framing.corpus.run import run


@pytest.fixture
def write(tmp_path):
    """Write a file."""

    def writer(name, content):
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return writer


@pytest.fixture(scope="session")
def bundle(tmp_path_factory):
    folder = tmp_path_factory.mktemp("bundle") / "tiny"
    make_bundle(folder)
    return str(folder)


@pytest.fixture(scope="session")
def corpus(tmp_path_factory):
    return make_corpus(tmp_path_factory.mktemp("corpus") / "corpus")


@pytest.fixture(scope="session")
def done(tmp_path_factory, corpus, bundle):
    """A finished run and its summary."""
    out = tmp_path_factory.mktemp("done") / "out"
    return out, run([str(corpus)], out, model=bundle, options=OPTIONS)


@pytest.fixture
def copy_of(done, tmp_path):
    """The finished run in a place where it can be spoilt."""
    shutil.copytree(done[0], tmp_path / "out")
    return tmp_path / "out"
