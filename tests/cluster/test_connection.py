"""Where no cluster answers, that is said at once."""

from __future__ import annotations

import re
import socket

import pytest

from emopipe.cluster.connection import Cluster
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
