"""Fixtures of the doctor's tests."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
from pymongo import MongoClient

from mongod import Mongod
from tests.worker.doctor.patients import Patient, healthy_patient
from tests.worker.stand_ins.moto_clients import Aws


@pytest.fixture
def mongo_client(mongod: Mongod) -> Iterator[MongoClient[dict[str, Any]]]:
    with MongoClient[dict[str, Any]](mongod.uri) as client:
        yield client


@pytest.fixture
async def patient(
    aws: Aws, mongo_client: MongoClient[dict[str, Any]], mongod: Mongod, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Patient]:
    patient = await healthy_patient(aws, mongo_client, monkeypatch, uri=mongod.uri)
    yield patient
    patient.close()
