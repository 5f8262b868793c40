"""Apache NiFi as the replicator of raw files: the server on loopback, and the flow of `deploy/nifi/` in it.

What belongs here: its configuration, command line, health, and putting the flow in place. What must not: waiting for files
(`lakehouse.nifi_replication`) or judging them (`lakehouse.replication`).
"""

from __future__ import annotations

import json
import secrets
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tick_assets.settings import PROJECT_ROOT, Settings
from tick_assets.stack.provision import Report, nifi_dir, provision_nifi
from tick_assets.stack.secrets import write_private
from tick_assets.stack.service import Service, Site, answers_http

if TYPE_CHECKING:
    import httpx

FLOW_FILE = PROJECT_ROOT / "deploy" / "nifi" / "flow.json"
FLOW_NAME = "raw replica"
TOP_GROUP = "root"
"""NiFi's own name for the group that holds all others."""
SENSITIVE = frozenset({"s3_access_key", "s3_secret_key"})
CLIENT = "tick"
HEAP = "-Xmx768m"
_STATE = """<stateManagement>
  <local-provider>
    <id>local-provider</id>
    <class>org.apache.nifi.controller.state.providers.local.WriteAheadLocalStateProvider</class>
    <property name="Directory">./state</property>
    <property name="Always Sync">false</property>
    <property name="Partitions">4</property>
    <property name="Checkpoint Interval">2 mins</property>
  </local-provider>
</stateManagement>
"""
_LOGBACK = """<configuration>
  <appender name="OUT" class="ch.qos.logback.core.ConsoleAppender">
    <encoder><pattern>%date %level %logger{20} %msg%n</pattern></encoder>
  </appender>
  <logger name="org.apache.nifi.processors" level="INFO"/>
  <logger name="org.apache.nifi.web.server" level="INFO"/>
  <root level="WARN"><appender-ref ref="OUT"/></root>
</configuration>
"""


class Nifi(Service):
    """The NiFi server; optional, because the built-in replicator needs nothing."""

    name = "nifi"
    port_setting = "nifi_port"
    needs = ("s3",)
    start_limit_s = 240.0
    stop_limit_s = 30.0
    memory_mb = 600
    is_optional = True

    def fetch(self, settings: Settings, report: Report) -> None:
        provision_nifi(settings, report)

    def prepare(self, site: Site) -> None:
        conf = site.folder(self.name) / "conf"
        conf.mkdir(exist_ok=True)
        write_private(conf / "nifi.properties", _lines(_properties(site)))
        for name, text in {"state-management.xml": _STATE, "logback.xml": _LOGBACK, "authorizers.xml": "<authorizers/>\n"}.items():
            write_private(conf / name, text)
        _link(site.folder(self.name) / "lib", nifi_dir(site.settings.cache) / "lib")
        raw_folder(site.settings).mkdir(parents=True, exist_ok=True)
        site.settings.nifi_dead_letters_dir.mkdir(parents=True, exist_ok=True)

    def command(self, site: Site) -> list[str]:
        java = site.provisioned.java21_home / "bin" / "java"
        properties = site.folder(self.name) / "conf" / "nifi.properties"
        return [str(java), HEAP, f"-Dnifi.properties.file.path={properties}", "-cp", "conf:lib/*", "org.apache.nifi.NiFi"]

    def working_directory(self, site: Site) -> Path:
        return site.folder(self.name)

    def is_healthy(self, settings: Settings) -> bool:
        return answers_http(f"{settings.nifi_address}/nifi-api/flow/about")

    def complete(self, site: Site) -> None:
        """Put the flow in place, give it its addresses and secrets, and let it run; repeatable."""
        import httpx

        with httpx.Client(base_url=f"{site.settings.nifi_address}/nifi-api", timeout=30.0, trust_env=False) as client:
            group = _group(client) or _upload(client)
            context = _get(client, f"/process-groups/{group}")["component"]["parameterContext"]["id"]
            _set_parameters(client, context, _parameters(site.settings))
            _done(client.put(f"/flow/process-groups/{group}", json={"id": group, "state": "RUNNING"}))


def _link(link: Path, target: Path) -> None:
    """Let the server find its archives below its working directory: it looks for `lib/bootstrap` there and nowhere else."""
    if link.is_symlink() and link.readlink() == target:
        return
    link.unlink(missing_ok=True)
    link.symlink_to(target)


def raw_folder(settings: Settings) -> Path:
    """Return the folder that NiFi lists."""
    return settings.raw_dir


def _parameters(settings: Settings) -> dict[str, str]:
    return {
        "raw_folder": str(raw_folder(settings)),
        "dead_letter_folder": str(settings.nifi_dead_letters_dir),
        "s3_endpoint": settings.s3_address,
        "s3_bucket": settings.s3_bucket,
        "s3_region": settings.s3_region,
        "s3_access_key": settings.secrets.s3_access_key,
        "s3_secret_key": settings.secrets.s3_secret_key.get_secret_value(),
    }


def _group(client: httpx.Client) -> str | None:
    groups = _get(client, f"/flow/process-groups/{TOP_GROUP}")["processGroupFlow"]["flow"]["processGroups"]
    return next((str(group["id"]) for group in groups if group["component"]["name"] == FLOW_NAME), None)


def _upload(client: httpx.Client) -> str:
    fields = {"groupName": FLOW_NAME, "positionX": "0", "positionY": "0", "clientId": CLIENT}
    files = {"file": (FLOW_FILE.name, FLOW_FILE.read_bytes(), "application/json")}
    return str(_done(client.post(f"/process-groups/{TOP_GROUP}/process-groups/upload", data=fields, files=files))["id"])


def _set_parameters(client: httpx.Client, context: str, values: dict[str, str]) -> None:
    """Set all parameters; NiFi stops what uses them, changes them and starts it again."""
    revision = _get(client, f"/parameter-contexts/{context}")["revision"]
    parameters = [{"parameter": {"name": name, "value": value, "sensitive": name in SENSITIVE}} for name, value in values.items()]
    body = {"id": context, "revision": revision, "component": {"id": context, "parameters": parameters}}
    address = f"/parameter-contexts/{context}/update-requests"
    request = _done(client.post(address, json=body))["request"]
    deadline = time.monotonic() + 60
    while not request["complete"]:
        if time.monotonic() > deadline:
            raise TimeoutError("Expected NiFi to set the flow's parameters within 60 s, was still at it.")
        time.sleep(0.2)
        request = _get(client, f"{address}/{request['requestId']}")["request"]
    _done(client.delete(f"{address}/{request['requestId']}"))
    if request.get("failureReason"):
        raise OSError(f"Expected NiFi to set the flow's parameters, was: {request['failureReason']}")


def _get(client: httpx.Client, path: str) -> dict[str, Any]:
    return _done(client.get(path))


def _done(answer: httpx.Response) -> dict[str, Any]:
    if answer.status_code >= 400:
        raise OSError(f"Expected NiFi to accept {answer.request.url.path}, was {answer.status_code}: {answer.text[:300]}")
    return dict(json.loads(answer.text)) if answer.text else {}


def _key(site: Site) -> str:
    """Return the key that NiFi encrypts its flow file's secrets with: made once for a state folder."""
    path = site.folder("nifi") / "key"
    if not path.exists():
        write_private(path, secrets.token_hex(24))
    return path.read_text()


def _properties(site: Site) -> dict[str, str]:
    settings, data = site.settings, "./data"
    return {
        "nifi.web.http.host": settings.host,
        "nifi.web.http.port": str(settings.nifi_port),
        "nifi.web.jetty.working.directory": "./work/jetty",
        "nifi.web.jetty.threads": "50",
        "nifi.web.max.header.size": "16 KB",
        "nifi.web.request.timeout": "60 secs",
        "nifi.web.max.requests.per.second": "30000",
        "nifi.sensitive.props.key": _key(site),
        "nifi.sensitive.props.algorithm": "NIFI_PBKDF2_AES_GCM_256",
        "nifi.flow.configuration.file": f"{data}/flow.xml.gz",
        "nifi.flow.configuration.json.file": f"{data}/flow.json.gz",
        "nifi.flow.configuration.archive.enabled": "false",
        "nifi.flow.configuration.archive.dir": f"{data}/archive",
        "nifi.flowcontroller.autoResumeState": "true",
        "nifi.flowcontroller.graceful.shutdown.period": "5 sec",
        "nifi.flowservice.writedelay.interval": "500 ms",
        "nifi.administrative.yield.duration": "5 sec",
        "nifi.bored.yield.duration": "10 millis",
        "nifi.authorizer.configuration.file": "./conf/authorizers.xml",
        "nifi.templates.directory": f"{data}/templates",
        "nifi.nar.library.directory": "./lib",
        "nifi.nar.library.autoload.directory": "./extensions",
        "nifi.nar.working.directory": "./work/nar",
        "nifi.documentation.working.directory": "./work/docs",
        "nifi.state.management.configuration.file": "./conf/state-management.xml",
        "nifi.state.management.provider.local": "local-provider",
        "nifi.state.management.embedded.zookeeper.start": "false",
        "nifi.database.directory": f"{data}/database",
        "nifi.flowfile.repository.implementation": "org.apache.nifi.controller.repository.WriteAheadFlowFileRepository",
        "nifi.flowfile.repository.wal.implementation": "org.apache.nifi.wali.SequentialAccessWriteAheadLog",
        "nifi.flowfile.repository.directory": f"{data}/flowfiles",
        "nifi.flowfile.repository.checkpoint.interval": "20 secs",
        "nifi.flowfile.repository.always.sync": "false",
        "nifi.swap.manager.implementation": "org.apache.nifi.controller.FileSystemSwapManager",
        "nifi.queue.swap.threshold": "20000",
        "nifi.content.repository.implementation": "org.apache.nifi.controller.repository.FileSystemRepository",
        "nifi.content.claim.max.appendable.size": "50 KB",
        "nifi.content.repository.directory.default": f"{data}/content",
        "nifi.content.repository.archive.enabled": "false",
        "nifi.content.repository.always.sync": "false",
        "nifi.provenance.repository.implementation": "org.apache.nifi.provenance.WriteAheadProvenanceRepository",
        "nifi.provenance.repository.directory.default": f"{data}/provenance",
        "nifi.provenance.repository.max.storage.time": "30 days",
        "nifi.provenance.repository.max.storage.size": "500 MB",
        "nifi.provenance.repository.rollover.time": "10 mins",
        "nifi.provenance.repository.rollover.size": "100 MB",
        "nifi.provenance.repository.query.threads": "1",
        "nifi.provenance.repository.index.threads": "1",
        "nifi.provenance.repository.indexed.fields": "EventType, FlowFileUUID, Filename, ProcessorID, Relationship",
        "nifi.provenance.repository.index.shard.size": "100 MB",
        "nifi.provenance.repository.max.attribute.length": "1024",
        "nifi.provenance.repository.concurrent.merge.threads": "1",
        "nifi.provenance.repository.buffer.size": "100000",
        "nifi.components.status.repository.implementation": "org.apache.nifi.controller.status.history.VolatileComponentStatusRepository",
        "nifi.components.status.repository.buffer.size": "1440",
        "nifi.components.status.snapshot.frequency": "1 min",
        "nifi.remote.input.http.enabled": "false",
        "nifi.remote.input.secure": "false",
        "nifi.cluster.is.node": "false",
        "nifi.ui.autorefresh.interval": "5 sec",
        "nifi.queue.backpressure.count": "1000",
        "nifi.queue.backpressure.size": "256 MB",
    }


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
