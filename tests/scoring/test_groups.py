"""Scores of groups of speakers, and the gaps between them."""

from __future__ import annotations

import audmetric
import pandas as pd
import pytest

from emopipe.scoring.groups import group_scores


def test_scores_of_groups_leave_out_the_unknown_and_the_small():
    table = pd.DataFrame({"truth": list("aabb") * 7, "prediction": list("aabbabbb") * 3 + list("aaaa")})
    table["sex"] = ["female"] * 12 + ["male"] * 8 + ["other"] * 4 + [""] * 4
    found = group_scores(table, "sex", least=8)
    assert list(found.scores.index) == ["female", "male"]
    for name, group in table.groupby("sex"):
        if name in found.scores.index:
            assert found.scores.loc[name, "uar"] == pytest.approx(
                audmetric.unweighted_average_recall(group["truth"], group["prediction"])
            )
    assert found.gaps["uar"] == pytest.approx(found.scores["uar"].max() - found.scores["uar"].min())
    assert group_scores(table, "sex", least=10).gaps == {"accuracy": None, "uar": None}
