"""Several processes that start together load the catalogue once."""

from concurrent.futures import ThreadPoolExecutor

import pytest
from django.db import connection

from marketplace.models import Blueprint, BlueprintVersion, Price
from tests.marketplace.catalogue_rows import load_catalogue


def _load() -> int:
    try:
        return len(load_catalogue().created)
    finally:
        connection.close()


@pytest.mark.django_db(transaction=True)
def test_four_starts_at_once_make_one_catalogue() -> None:
    with ThreadPoolExecutor(max_workers=4) as pool:
        created = sorted(future.result() for future in [pool.submit(_load) for _start in range(4)])

    assert created[:3] == [0, 0, 0]
    assert created[3] > 100
    assert (Blueprint.objects.count(), BlueprintVersion.objects.count()) == (42, 28)
    assert Price.objects.values("kind", "reference", "currency").distinct().count() == Price.objects.count()
