"""Launches Dagster jobs over GraphQL. What must not live here: which route may launch what."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import httpx

_LOCATIONS = "query Jobs { repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }"
_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on UnauthorizedError { message }
  }
}
"""
_RUN = "query Run($id: ID!) { runOrError(runId: $id) { __typename ... on Run { runId status jobName startTime endTime } } }"


class DagsterUnavailableError(Exception):
    """Dagster did not answer, or not as expected."""


class DagsterRefusedError(Exception):
    """Dagster answered that it will not launch the run."""


@dataclass(frozen=True)
class Launch:
    """What to run: a job, its partition, a subset of its assets (slash keys), tags."""

    job: str
    partition: str
    assets: tuple[str, ...] = ()
    tags: tuple[tuple[str, str], ...] = ()


class DagsterClient:
    """Speaks to one Dagster webserver; `transport` is for tests."""

    def __init__(self, address: str, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self.address = address
        self._transport = transport

    async def launch(self, launch: Launch) -> str:
        """Launch a run and return its id."""
        location, repository = await self._find_job(launch.job)
        selector: dict[str, Any] = {"repositoryLocationName": location, "repositoryName": repository, "jobName": launch.job}
        if launch.assets:
            selector["assetSelection"] = [{"path": key.split("/")} for key in launch.assets]
        tags = (("dagster/partition", launch.partition), *launch.tags)
        metadata = {"tags": [{"key": key, "value": value} for key, value in tags]}
        params = {"selector": selector, "runConfigData": {}, "mode": "default", "executionMetadata": metadata}
        answer = (await self._ask(_LAUNCH, {"params": params}))["launchPipelineExecution"]
        if answer["__typename"] != "LaunchRunSuccess":
            raise DagsterRefusedError(f"{answer['__typename']}: {answer.get('message') or answer.get('errors') or ''}"[:500])
        return str(answer["run"]["runId"])

    async def run_status(self, run_id: str) -> dict[str, Any] | None:
        """Return a run's status, or None when there is no such run."""
        answer = (await self._ask(_RUN, {"id": run_id}))["runOrError"]
        return dict(answer) if answer["__typename"] == "Run" else None

    def run_url(self, run_id: str) -> str:
        """Return where a person looks at a run."""
        return f"{self.address}/runs/{run_id}"

    async def _find_job(self, job: str) -> tuple[str, str]:
        connection = (await self._ask(_LOCATIONS, {}))["repositoriesOrError"]
        for node in connection.get("nodes", []):
            if any(found["name"] == job for found in node["jobs"]):
                return node["location"]["name"], node["name"]
        raise DagsterUnavailableError(f"Expected the job {job} in a code location, found none. Look at `tick status`.")

    async def _ask(self, query: str, variables: dict[str, Any]) -> dict[str, Any]:
        try:
            async with httpx.AsyncClient(transport=self._transport, timeout=15.0) as client:
                answer = await client.post(f"{self.address}/graphql", json={"query": query, "variables": variables})
                answer.raise_for_status()
                document = answer.json()
        except (httpx.HTTPError, ValueError) as error:
            raise DagsterUnavailableError(
                f"Expected an answer of Dagster at {self.address}: {type(error).__name__}. Run `tick up`."
            ) from error
        if document.get("errors") or not isinstance(document.get("data"), dict):
            raise DagsterUnavailableError(f"Dagster refused the query: {str(document.get('errors'))[:300]}")
        return dict(document["data"])
