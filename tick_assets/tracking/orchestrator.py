"""Dagster from outside: launch a job over a range of partitions, follow it, and say what happened.

What belongs here: the GraphQL calls that the command line needs. What must not: which assets exist, or printing.

One launch with the two range tags is one run over the range, without the backfill daemon's thirty seconds. A queued run needs the daemon,
so its health is looked at first and every wait is bounded.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import httpx

from tick_assets.settings import Settings

REPOSITORY = "__repository__"
SYMBOL_PARTITIONS, MODEL_ASSET = "symbol", ["models", "candidate"]
FINISHED = ("SUCCESS", "FAILURE", "CANCELED")
QUEUE_TIMEOUT_S = 120.0
RANGE_START, RANGE_END = "dagster/asset_partition_range_start", "dagster/asset_partition_range_end"

_LAUNCH = """
mutation Launch($params: ExecutionParams!) {
  launchPipelineExecution(executionParams: $params) {
    __typename
    ... on LaunchRunSuccess { run { runId } }
    ... on PythonError { message }
    ... on RunConfigValidationInvalid { errors { message } }
    ... on PipelineNotFoundError { message }
    ... on InvalidSubsetError { message }
    ... on UnauthorizedError { message }
  }
}
"""
_RUN = """
query Run($id: ID!) {
  runOrError(runId: $id) {
    __typename
    ... on Run { runId status startTime endTime jobName tags { key value } stepStats { stepKey status startTime endTime } }
  }
}
"""
_FAILURES = """
query Failures($id: ID!, $after: String) {
  logsForRun(runId: $id, afterCursor: $after, limit: 1000) {
    ... on EventConnection {
      cursor
      hasMore
      events {
        __typename
        ... on ExecutionStepFailureEvent { stepKey error { message causes { message } } }
        ... on RunFailureEvent { message error { message } }
      }
    }
  }
}
"""
_LOCATIONS = """
query Locations { repositoriesOrError { ... on RepositoryConnection { nodes { name location { name } jobs { name } } } } }
"""
_DAEMON = """
query Daemon { instance { daemonHealth { allDaemonStatuses { daemonType required healthy } } } }
"""
_RUNS = """
query Runs($filter: RunsFilter, $limit: Int) {
  runsOrError(filter: $filter, limit: $limit) { ... on Runs { results { runId status jobName tags { key value } } } }
}
"""
_KEYS = """
query Keys($key: AssetKeyInput!) {
  assetNodeOrError(assetKey: $key) {
    ... on AssetNode { partitionKeysByDimension { name partitionKeys } }
  }
}
"""
_ADD_PARTITION = """
mutation Add($selector: RepositorySelector!, $definition: String!, $key: String!) {
  addDynamicPartition(repositorySelector: $selector, partitionsDefName: $definition, partitionKey: $key) {
    __typename
    ... on PythonError { message }
    ... on UnauthorizedError { message }
  }
}
"""


class OrchestratorError(RuntimeError):
    """Dagster refused a launch, did not answer, or a run did not start in time."""


@dataclass(frozen=True)
class Step:
    """One step of a run; `seconds` is null while it runs."""

    name: str
    status: str
    seconds: float | None


@dataclass(frozen=True)
class RunState:
    """A run as it stands."""

    run_id: str
    job: str
    status: str
    steps: tuple[Step, ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def is_finished(self) -> bool:
        return self.status in FINISHED


class Orchestrator:
    """A client of one Dagster webserver."""

    def __init__(self, address: str, timeout_s: float = 60.0) -> None:
        self._http = httpx.Client(base_url=address, timeout=timeout_s)
        self._location = ""

    @classmethod
    def from_settings(cls, settings: Settings) -> Self:
        return cls(settings.dagster_address)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._http.close()

    def launch(
        self,
        job: str,
        tags: Mapping[str, str],
        run_config: Mapping[str, Any] | None = None,
        assets: Sequence[Sequence[str]] | None = None,
    ) -> str:
        """Launch one run and return its id. `assets` narrows the job to some asset keys."""
        self._require_daemon()
        selector: dict[str, Any] = {"repositoryLocationName": self._find_location(job), "repositoryName": REPOSITORY, "jobName": job}
        if assets is not None:
            selector["assetSelection"] = [{"path": list(key)} for key in assets]
        params = {
            "selector": selector,
            "mode": "default",
            "runConfigData": dict(run_config or {}),
            "executionMetadata": {"tags": [{"key": key, "value": value} for key, value in tags.items()]},
        }
        answer = self._ask(_LAUNCH, {"params": params})["launchPipelineExecution"]
        if answer["__typename"] != "LaunchRunSuccess":
            detail = answer.get("message") or "; ".join(error["message"] for error in answer.get("errors", []))
            raise OrchestratorError(f"Expected Dagster to launch {job}, was {answer['__typename']}: {detail}")
        return str(answer["run"]["runId"])

    def register_symbols(self, job: str, symbols: Sequence[str]) -> list[str]:
        """Add symbols as model partitions, and return all registered ones in Dagster's order."""
        known = self._symbol_keys()
        for symbol in sorted(set(symbols) - set(known)):
            self.add_partition(job, SYMBOL_PARTITIONS, symbol)
        return self._symbol_keys()

    def _symbol_keys(self) -> list[str]:
        node = self._ask(_KEYS, {"key": {"path": MODEL_ASSET}})["assetNodeOrError"]
        dimensions = {entry["name"]: entry["partitionKeys"] for entry in node.get("partitionKeysByDimension", [])}
        return list(dimensions.get(SYMBOL_PARTITIONS, []))

    def add_partition(self, job: str, definition: str, key: str) -> None:
        """Add a dynamic partition key; one that is there already is left alone."""
        selector = {"repositoryLocationName": self._find_location(job), "repositoryName": REPOSITORY}
        answer = self._ask(_ADD_PARTITION, {"selector": selector, "definition": definition, "key": key})["addDynamicPartition"]
        if answer["__typename"] not in ("AddDynamicPartitionSuccess", "DuplicateDynamicPartitionError"):
            raise OrchestratorError(f"Expected to add partition {key}, was {answer['__typename']}: {answer.get('message', '')}")

    def run(self, run_id: str) -> RunState:
        """Return a run as it stands."""
        answer = self._ask(_RUN, {"id": run_id})["runOrError"]
        if answer["__typename"] != "Run":
            raise OrchestratorError(f"Expected a run {run_id}, was {answer['__typename']}.")
        return _to_state(answer)

    def follow(self, run_id: str, timeout_s: float, poll_s: float = 1.0) -> Iterator[RunState]:
        """Yield the run each time it changed, until it is finished; a run that never starts or ends is an `OrchestratorError`."""
        started = time.monotonic()
        last: RunState | None = None
        while True:
            state = self.run(run_id)
            if state != last:
                yield state
                last = state
            if state.is_finished:
                return
            waited = time.monotonic() - started
            if state.status in ("QUEUED", "NOT_STARTED") and waited > QUEUE_TIMEOUT_S:
                raise OrchestratorError(
                    f"Expected run {run_id} to start within {QUEUE_TIMEOUT_S:.0f} s, was {state.status}. Look at `tick status`."
                )
            if waited > timeout_s:
                raise OrchestratorError(
                    f"Expected run {run_id} to end within {timeout_s:.0f} s, was {state.status}. It goes on; see the Dagster UI."
                )
            time.sleep(poll_s)

    def failures(self, run_id: str) -> list[str]:
        """Return what went wrong in a failed run, a line each."""
        found: list[str] = []
        for event in self._failure_events(run_id):
            error = event.get("error")
            if event["__typename"] == "ExecutionStepFailureEvent" and error:
                causes = [cause["message"] for cause in error.get("causes") or []]
                found.append(f"{event['stepKey']}: {(causes or [error['message']])[-1].strip()}")
            elif event["__typename"] == "RunFailureEvent" and not found:
                found.append(event.get("message") or (error or {}).get("message", ""))
        return found

    def _failure_events(self, run_id: str) -> Iterator[dict[str, Any]]:
        """Yield the events of a run, page by page: a long run has thousands before the one that says why."""
        page: dict[str, Any] = {"hasMore": True}
        while page.get("hasMore"):
            page = self._ask(_FAILURES, {"id": run_id, "after": page.get("cursor")})["logsForRun"]
            yield from page.get("events", [])

    def runs(self, job: str, limit: int = 20) -> list[RunState]:
        """Return the newest runs of a job."""
        answer = self._ask(_RUNS, {"filter": {"pipelineName": job}, "limit": limit})["runsOrError"]
        return [_to_state(run) for run in answer.get("results", [])]

    def wait_until_loaded(self, job: str, timeout_s: float) -> None:
        """Wait until the webserver knows the job."""
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._find_location(job)
                self._require_daemon()
                return
            except OrchestratorError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.5)

    def _find_location(self, job: str) -> str:
        if not self._location:
            nodes = self._ask(_LOCATIONS, {})["repositoriesOrError"].get("nodes", [])
            names = [node["location"]["name"] for node in nodes if any(each["name"] == job for each in node["jobs"])]
            if not names:
                raise OrchestratorError(
                    f"Expected a code location with the job {job}, was none. Look at the code server's log (`tick status`)."
                )
            self._location = names[0]
        return self._location

    def _require_daemon(self) -> None:
        statuses = self._ask(_DAEMON, {})["instance"]["daemonHealth"]["allDaemonStatuses"]
        queue = [status for status in statuses if status["daemonType"] == "QUEUED_RUN_COORDINATOR"]
        if queue and not queue[0]["healthy"]:
            raise OrchestratorError("Expected a healthy Dagster daemon, was none: a run would wait for ever. Run `tick up`.")

    def _ask(self, query: str, variables: Mapping[str, Any]) -> dict[str, Any]:
        try:
            response = self._http.post("/graphql", json={"query": query, "variables": variables})
        except httpx.HTTPError as error:
            raise OrchestratorError(f"Expected Dagster at {self._http.base_url}, was {type(error).__name__}. Run `tick up`.") from error
        document = response.json()
        if document.get("errors"):
            raise OrchestratorError(f"Expected an answer from Dagster, was: {document['errors'][0]['message']}")
        return dict(document["data"])


def _to_state(run: Mapping[str, Any]) -> RunState:
    steps = tuple(
        Step(
            step["stepKey"], step["status"] or "", (step["endTime"] - step["startTime"]) if step["endTime"] and step["startTime"] else None
        )
        for step in run.get("stepStats") or []
    )
    return RunState(run["runId"], run["jobName"], run["status"], steps, {tag["key"]: tag["value"] for tag in run.get("tags") or []})
