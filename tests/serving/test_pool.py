"""Work waits in order, no more of it than is allowed, and ends when nobody waits for it."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest
import torch
from starlette.exceptions import HTTPException

from emopipe.serving.limits import Limits
from emopipe.serving.patience import Patience
from emopipe.serving.pool import Pool


def limits(**changes: float) -> Limits:
    return Limits(**({"bytes": 1000, "seconds": 5, "workers": 2, "queue": 3, "streams": 1} | changes))


def test_as_many_run_as_there_are_threads_and_the_others_wait_in_order():
    pool, running, most, order = Pool(limits()), [], [], []

    def work(number: int):
        def run(_):
            order.append(number)
            running.append(number)
            most.append(len(running))
            time.sleep(0.05)
            running.remove(number)
            return number, torch.get_num_threads()

        return run

    async def all_at_once():
        tasks = [asyncio.create_task(pool.run(work(number))) for number in range(5)]
        await asyncio.sleep(0.02)
        assert (pool.running, pool.waiting) == (2, 3)
        with pytest.raises(HTTPException) as refused:
            await pool.run(work(9))
        assert refused.value.status_code == 429 and refused.value.headers == {"Retry-After": "1"}
        return await asyncio.gather(*tasks)

    assert asyncio.run(all_at_once()) == [(number, 1) for number in range(5)]
    assert max(most) == 2 and sorted(order[:2]) == [0, 1] and order[2:] == sorted(order[2:])
    assert (pool.running, pool.waiting) == (0, 0)


def test_the_time_to_try_again_is_that_of_the_answers_that_wait():
    pool = Pool(limits(workers=1, queue=2))

    async def wait():
        await pool.run(lambda _: time.sleep(1.1))
        tasks = [asyncio.create_task(pool.run(lambda _: time.sleep(0.01))) for _ in range(3)]
        await asyncio.sleep(0)
        with pytest.raises(HTTPException) as refused:
            pool.require_room()
        await asyncio.gather(*tasks)
        return refused.value.headers["Retry-After"]

    assert asyncio.run(wait()) == "4"  # three answers of 1.1 s


def steps(ended: threading.Event):
    """Return work that goes on until it is told to end."""

    def run(check):
        try:
            while True:
                time.sleep(0.01)
                check()
        finally:
            ended.set()

    return run


def test_work_that_takes_too_long_ends():
    ended = threading.Event()
    with pytest.raises(HTTPException) as refused:
        asyncio.run(Pool(limits(seconds=0.1)).run(steps(ended)))
    assert (refused.value.status_code, ended.is_set()) == (413, True)
    assert refused.value.detail == "no answer within 0.1 s; send a shorter recording"


def test_work_that_nobody_waits_for_ends_before_its_thread_is_free_again():
    pool, ended = Pool(limits(workers=1)), threading.Event()

    async def leave():
        working = asyncio.create_task(pool.run(steps(ended)))
        waiting = asyncio.create_task(pool.run(lambda _: pytest.fail("was left before its turn")))
        await asyncio.sleep(0.05)
        assert (pool.running, pool.waiting) == (1, 1)
        for task in (waiting, working):
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert ended.is_set() and (pool.running, pool.waiting) == (0, 0)
        return await pool.run(lambda _: "next")

    assert asyncio.run(leave()) == "next"


def test_work_that_fails_gives_its_thread_back():
    pool = Pool(limits(workers=1))

    async def fail():
        for _ in range(3):
            with pytest.raises(ZeroDivisionError):
                await pool.run(lambda _: 1 / 0)
        return pool.running

    assert asyncio.run(fail()) == 0


def test_patience_ends_with_the_service():
    async def wait():
        patience, began = Patience(), time.monotonic()
        with pytest.raises(TimeoutError):
            async with patience(0.05):
                await asyncio.sleep(5)
        assert not patience.closing and time.monotonic() - began >= 0.05
        asyncio.get_running_loop().call_later(0.05, patience.end)
        for _ in range(2):  # one that waits already, and one that comes later
            with pytest.raises(TimeoutError):
                async with patience(5):
                    await asyncio.sleep(5)
        assert patience.closing
        return time.monotonic() - began

    assert asyncio.run(wait()) < 1
