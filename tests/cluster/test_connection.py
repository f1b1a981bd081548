"""Where no cluster answers, that is said at once."""

from __future__ import annotations

import re
import socket
from types import SimpleNamespace

import pytest

from emopipe.cluster import connection
from emopipe.cluster.connection import Cluster, room, tell_of_room
from emopipe.io.errors import UserError
from emopipe.parameters import Runtime


@pytest.mark.parametrize("address", ["127.0.0.1:{}", "ray://127.0.0.1:{}", "[::1]:{}", "no-such-host.invalid:{}"])
def test_an_address_where_nobody_answers_is_refused_by_name(address):
    pytest.importorskip("ray")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and nobody listens
        address = address.format(free.getsockname()[1])
        runtime = Runtime.load().model_copy(update={"engine": "ray", "address": address})
        with pytest.raises(UserError, match=f"^runtime.address: no Ray cluster answers at {re.escape(address)} "):
            Cluster.of(runtime, cpus=1, gpu=False)


def test_an_address_from_outside_needs_more_of_ray(monkeypatch):
    pytest.importorskip("ray")
    monkeypatch.setattr(connection, "find_spec", lambda _: None)
    with pytest.raises(
        UserError, match=r"^--on: ray:// needs more of Ray than is installed; `pip install 'ray\[client\]'`"
    ):
        connection.connect("ray://127.0.0.1:1", "--on")


def test_it_is_told_where_nodes_are_missing(capsys):
    nodes = [(True, 2.0), (True, 3.0), (False, 64.0), (True, 0.0)]  # alive, processors
    ray = SimpleNamespace(nodes=lambda: [{"Alive": alive, "Resources": {"CPU": cpus}} for alive, cpus in nodes])
    assert [room(ray, cpus) for cpus in (1, 2, 3, 4, 0.5)] == [5, 2, 1, 0, 10]
    tell_of_room(ray, 2, 2)
    assert capsys.readouterr().err == ""
    tell_of_room(ray, 3, 2)
    told = capsys.readouterr().err
    assert told.startswith("waiting for nodes: 3 at a time with 2 processors each") and "3 of the cluster have" in told
