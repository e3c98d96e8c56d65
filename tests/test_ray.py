"""A run on a Ray cluster of two nodes is the run on one machine, also when a node is killed."""

import os
import signal
import socket
import subprocess
import sys
import time
from types import SimpleNamespace

import pytest
from runs import ENVIRONMENT, command, framing_run, make_corpus, written
from tiny import make_bundle

pytest.importorskip("ray", reason="ray is not installed: pip install 'framing[ray]'")
pytestmark = pytest.mark.slow

_UP = 120  # seconds in which a cluster must be there


def _port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _node(log, *args):
    """A node of two CPUs, in a process group of its own."""
    start = [sys.executable, "-m", "ray.scripts.scripts", "start", "--block"]
    start += ["--num-cpus", "2", "--object-store-memory", "100000000", "--disable-usage-stats"]
    # As many as possible are fixed here: Ray waits only so long for a port to be told.
    for name in ("metrics-export", "dashboard-agent-listen", "dashboard-agent-grpc",
                 "runtime-env-agent"):  # fmt: skip
        start += [f"--{name}-port", str(_port())]
    return subprocess.Popen(
        [*start, "--node-ip-address", "127.0.0.1", *map(str, args)],
        env=ENVIRONMENT | {"RAY_raylet_start_wait_time_s": str(_UP)},
        process_group=0,
        stdout=log,
        stderr=subprocess.STDOUT,
    )


def _nodes(address):
    """How many nodes are alive."""
    code = f"""if True:
        import logging, ray
        ray.init({address!r}, log_to_driver=False, logging_level=logging.ERROR)
        print(sum(node["Alive"] for node in ray.nodes()))
    """
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=ENVIRONMENT, timeout=_UP
    )
    return int(done.stdout or 0)


def _kill(node):
    try:
        os.killpg(node.pid, signal.SIGKILL)
    except ProcessLookupError:
        return
    node.wait(10)


@pytest.fixture
def cluster(tmp_path_factory):
    folder = tmp_path_factory.mktemp("ray")
    address = f"127.0.0.1:{_port()}"
    nodes = []
    with (folder / "log").open("wb") as log:
        try:
            head = "--head", "--port", address.partition(":")[2], "--include-dashboard", "false"
            nodes.append(_node(log, *head))
            for alive in (1, 2):
                end = time.monotonic() + _UP
                while _nodes(address) < alive:
                    if time.monotonic() > end or nodes[-1].poll() is not None:
                        pytest.skip("Ray does not start in time on this machine")
                if alive == 1:
                    nodes.append(_node(log, "--address", address))
            yield SimpleNamespace(address=address, second=nodes[1])
        finally:
            for node in reversed(nodes):
                _kill(node)


@pytest.fixture
def local(tmp_path):
    bundle = make_bundle(tmp_path / "tiny").path
    corpus = make_corpus(tmp_path / "corpus", 240)
    args = [corpus, "-m", bundle, "--any-language", "--shard-documents", 4]
    assert framing_run(*args, "-o", tmp_path / "local", "--workers", 1).returncode == 1
    return SimpleNamespace(args=args, written=written(tmp_path / "local"))


def test_a_run_on_two_nodes_of_which_one_is_killed_is_the_local_run(cluster, local, tmp_path):
    on_ray = ["--engine", "ray", "--ray-address", cluster.address]
    whole = framing_run(*local.args, "-o", tmp_path / "whole", *on_ray, timeout=300)
    assert whole.returncode == 1, whole.stderr
    assert written(tmp_path / "whole") == local.written

    out = tmp_path / "killed"
    run = subprocess.Popen(
        command(*local.args, "-o", out, *on_ray),
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        lines = out / "manifest.jsonl"
        end = time.monotonic() + 120
        while not lines.exists() or lines.read_bytes().count(b"\n") < 8:
            assert time.monotonic() < end
            time.sleep(0.02)
        _kill(cluster.second)
        assert lines.read_bytes().count(b"\n") < len(local.written) / 2  # in the middle
        _, told = run.communicate(timeout=300)
    finally:
        run.kill()
    assert run.returncode == 1, told
    assert written(out) == local.written


def test_a_cluster_that_is_not_there_is_told_in_one_line(local, tmp_path):
    address = f"127.0.0.1:{_port()}"
    on_ray = ["--engine", "ray", "--ray-address", address]
    done = framing_run(*local.args, "-o", tmp_path / "out", *on_ray, timeout=300)
    assert done.returncode == 2
    assert f"no Ray cluster at {address}" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
