"""The command line: help, exit codes, and a development service from its start to its end."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import stat
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

import asyncpg
import httpx
import pytest
import redis

from gateway import cli
from tests.support.development import HUSTLEXP, Dev, start_dev
from tests.support.paths import ROOT
from tests.support.servers import with_database

Hustlexp = Callable[..., "Said"]


@dataclass(frozen=True)
class Said:
    """What one command did."""

    code: int
    out: str
    err: str


@pytest.fixture
def hustlexp(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Hustlexp:
    """Runs one command in this process, with no HX_ setting but the given ones."""
    for name in [name for name in os.environ if name.startswith("HX_")]:
        monkeypatch.delenv(name)

    def command(*words: str, **environ: str) -> Said:
        for name, text in environ.items():
            monkeypatch.setenv(name, text)
        # On a thread of its own: commands run their own loop.
        with ThreadPoolExecutor(1) as thread:
            error = thread.submit(cli.main, words).exception()
        assert isinstance(error, SystemExit), error
        said = capsys.readouterr()
        return Said(int(error.code or 0), said.out, said.err)

    return command


@pytest.fixture(scope="module")
def dev(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dev]:
    """One development service for this module."""
    dev = start_dev(tmp_path_factory.mktemp("dev") / "data")
    yield dev
    dev.process.send_signal(signal.SIGTERM)
    assert dev.process.wait(20) == 0
    rest = dev.process.communicate()
    assert rest == ("", ""), "one line, and nothing else"
    assert not dev.servers()
    assert not (dev.data_dir / "run.json").exists()


class TestWords:
    """What every command says without a service."""

    @pytest.mark.parametrize(
        "words",
        [
            [],
            *([name] for name in cli.COMMANDS),
            ["clock", "advance"],
            ["invariants", "verify"],
            ["simulate"],
        ],
        ids=" ".join,
    )
    def test_every_command_has_help_with_its_exit_codes(
        self, hustlexp: Hustlexp, words: list[str]
    ) -> None:
        """`--help` exits with 0."""
        said = hustlexp(*words, "--help")
        assert said.code == 0
        assert "Usage: hustlexp" in said.out
        assert "Exit codes:" in said.out

    @pytest.mark.parametrize(
        "words",
        [
            ["nonsense"],
            ["token"],
            ["token", "--role", "boss"],
            ["serve", "--role", "cook"],
            ["dev", "--port", "many"],
            ["explain-offer", "1", "2"],
        ],
        ids=" ".join,
    )
    def test_wrong_usage_exits_with_2(self, hustlexp: Hustlexp, words: list[str]) -> None:
        """Unknown commands, missing and bad words."""
        assert hustlexp(*words).code == 2

    def test_a_wrong_setting_exits_with_2_and_one_sentence(self, hustlexp: Hustlexp) -> None:
        """No traceback."""
        said = hustlexp("config", HX_PROT="1")
        assert said.code == 2
        assert said.err.startswith("hustlexp: HX_PROT is no setting")
        assert said.err.count("\n") == 1

    def test_serve_names_every_setting_it_lacks(self, hustlexp: Hustlexp) -> None:
        """All at once."""
        said = hustlexp("serve", HX_DEVELOPMENT="false")
        assert said.code == 2
        assert "HX_POSTGRES_DSN, HX_REDIS_URL" in said.err

    @pytest.mark.parametrize("host", ["0.0.0.0", "::", "service.example"])  # noqa: S104
    def test_serve_keeps_a_development_service_to_this_machine(
        self, hustlexp: Hustlexp, host: str
    ) -> None:
        """It believes tokens that anybody here can sign."""
        said = hustlexp("serve", HX_DEVELOPMENT="true", HX_HOST=host)
        assert said.code == 2
        assert f"HX_HOST is {host}" in said.err

    @pytest.mark.parametrize(
        ("words", "sentence"),
        [
            (["token", "--role", "poster"], "PostgreSQL does not answer"),
            (["migrate"], "PostgreSQL lets nobody migrate"),
        ],
        ids=["token", "migrate"],
    )
    def test_an_unreachable_server_is_one_sentence(
        self, hustlexp: Hustlexp, tmp_path: Path, words: list[str], sentence: str
    ) -> None:
        """Exit code 1, no traceback."""
        said = hustlexp(
            *words,
            HX_POSTGRES_DSN=f"postgresql://a@/b?host={tmp_path}",
            HX_DEVELOPMENT="true",
        )
        assert said.code == 1
        assert said.err.startswith(f"hustlexp: {sentence}")
        assert said.err.count("\n") == 1

    def test_a_folder_that_is_none_is_one_sentence(
        self, hustlexp: Hustlexp, tmp_path: Path
    ) -> None:
        """A file is in its place: exit code 1, no traceback."""
        (tmp_path / "file").touch()
        said = hustlexp("doctor", "--data-dir", str(tmp_path / "file"))
        assert said.code == 1
        assert "not a directory" in said.err
        assert said.err.count("\n") == 1

    def test_without_a_service_a_command_says_how_to_start_one(
        self, hustlexp: Hustlexp, tmp_path: Path
    ) -> None:
        """The folder is named."""
        said = hustlexp("doctor", "--data-dir", str(tmp_path))
        assert said.code == 2
        assert "hustlexp dev --data-dir" in said.err

    def test_config_tells_values_and_origins_and_hides_secrets(self, hustlexp: Hustlexp) -> None:
        """As text for people and as JSON for programs."""
        said = hustlexp(
            "config", "--json", HX_PORT="81", HX_POSTGRES_DSN="postgresql://u:hunter2@h/d"
        )
        rows = {row["name"]: row for row in json.loads(said.out)}
        assert rows["HX_PORT"]["value"] == "81"
        assert rows["HX_PORT"]["origin"] == "environment"
        assert rows["HX_HOST"]["origin"] == "default"
        assert rows["HX_POSTGRES_DSN"]["value"] == "set (hidden)"
        assert "hunter2" not in said.out + hustlexp("config").out

    def test_a_taken_port_that_was_asked_for_is_one_sentence(self, dev: Dev) -> None:
        """Exit code 1 before any server is started."""
        port, other = dev.line["url"].rsplit(":", 1)[1], dev.data_dir / "other"
        received = subprocess.run(
            [*HUSTLEXP, "dev", "--port", port, "--data-dir", str(other)],
            check=False,
            cwd=ROOT,
            capture_output=True,
            text=True,
        )
        assert received.returncode == 1
        assert received.stderr.count("\n") == 1
        assert "Name another port" in received.stderr
        assert not other.exists()


class TestService:
    """A running `hustlexp dev`, and the commands that speak to it."""

    def test_dev_prints_the_line_of_the_contract(self, dev: Dev) -> None:
        """Five addresses, and a service that answers on the first."""
        assert list(dev.line) == [
            "url",
            "ws_url",
            "postgres_dsn",
            "postgres_owner_dsn",
            "redis_url",
        ]
        assert "hx_app:" in dev.line["postgres_dsn"]
        assert "hx_owner:" in dev.line["postgres_owner_dsn"]
        assert httpx.get(dev.line["url"] + "/readyz").status_code == 200

    def test_run_json_and_keys_are_their_owners_alone(self, dev: Dev) -> None:
        """0600."""
        for name in ("run.json", "passwords.json", "code_key", "jwt_dev_key.pem"):
            assert stat.S_IMODE((dev.data_dir / name).stat().st_mode) == 0o600

    def test_a_token_opens_the_service_to_a_hustler_who_can_work(
        self, hustlexp: Hustlexp, dev: Dev
    ) -> None:
        """The same name is the same user; the user is verified."""
        words = ("token", *("--role", "hustler"), *("--name", "Bo"), "--json")
        place = ("--lat", "37.77", "--lng", "-122.42")
        first = json.loads(hustlexp(*words, *place, "--data-dir", str(dev.data_dir)).out)
        again = json.loads(hustlexp(*words, "--data-dir", str(dev.data_dir)).out)
        assert first["user_id"] == again["user_id"]
        me = httpx.get(
            dev.line["url"] + "/v1/me", headers={"Authorization": f"Bearer {again['token']}"}
        ).json()
        assert me["id"] == first["user_id"]
        assert me["trust_tier"] >= 2

    def test_without_a_name_every_token_is_somebody_new(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """One line for each of --count."""
        said = hustlexp(
            "token", "--role", "poster", "--count", "3", "--json", "--data-dir", str(dev.data_dir)
        )
        assert len({json.loads(line)["user_id"] for line in said.out.splitlines()}) == 3

    @pytest.mark.parametrize("place", [["--lat", "1"], ["--lat", "91", "--lng", "0"]])
    def test_half_a_place_or_none_on_earth_is_refused(
        self, hustlexp: Hustlexp, dev: Dev, place: list[str]
    ) -> None:
        """Exit code 2 with a sentence."""
        said = hustlexp("token", "--role", "dual", *place, "--data-dir", str(dev.data_dir))
        assert said.code == 2
        assert "--lat" in said.err

    @pytest.mark.parametrize("words", [["token", "--role", "poster"], ["migrate"]], ids=" ".join)
    def test_a_wrong_password_is_one_sentence(
        self, hustlexp: Hustlexp, dev: Dev, words: list[str]
    ) -> None:
        """Exit code 1, no traceback."""
        dsn = dev.line["postgres_owner_dsn"]
        password = dsn.split(":")[2].split("@")[0]
        said = hustlexp(
            *words, HX_POSTGRES_DSN=dsn.replace(password, "wrong"), HX_DEVELOPMENT="true"
        )
        assert said.code == 1
        assert "password authentication failed" in said.err
        assert said.err.count("\n") == 1

    def test_seeding_again_changes_nothing(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """The same people with the same ids."""
        words = ("seed", "--data-dir", str(dev.data_dir))
        first = hustlexp(*words)
        assert first.code == 0
        assert hustlexp(*words).out == first.out

    def test_nothing_is_due_after_dev_has_migrated(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """`migrate` and its dry run say nothing."""
        for words in (["migrate"], ["migrate", "--dry-run"]):
            assert hustlexp(*words, "--data-dir", str(dev.data_dir)) == Said(0, "", "")

    def test_doctor_finds_all_well(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """Every finding is ok."""
        said = hustlexp("doctor", "--json", "--data-dir", str(dev.data_dir))
        assert said.code == 0
        found = {finding["what"]: finding for finding in json.loads(said.out)}
        assert {
            "PostgreSQL",
            "Valkey",
            "migrations",
            "clock",
            "connections",
            "partitions",
        } <= found.keys()
        assert all(finding["ok"] for finding in found.values())
        assert found["photos"]["found"] == f"the folder {dev.data_dir / 'photos'}"
        assert not list((dev.data_dir / "photos").iterdir())

    def test_doctor_names_a_photo_store_that_cannot_be_written(
        self, hustlexp: Hustlexp, dev: Dev, tmp_path: Path
    ) -> None:
        """A folder that cannot be made, a bucket that nobody serves."""
        (tmp_path / "file").touch()
        for url in (f"file://{tmp_path}/file/photos", "s3://bucket"):
            said = hustlexp(
                "doctor",
                "--data-dir",
                str(dev.data_dir),
                HX_PHOTOS_URL=url,
                HX_PHOTOS_S3_ENDPOINT="http://127.0.0.1:9",
                HX_PHOTOS_S3_KEY_ID="key",
                HX_PHOTOS_S3_SECRET="hunter2",
            )
            assert said.code == 1
            assert f"WRONG photos: {url}: " in said.out
            assert "hunter2" not in said.out

    def test_doctor_names_what_an_admin_forgets(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """Migrations, the code key, an issuer's keys, and a Valkey that would evict hustlers."""
        issuer = {"issuer": "http://127.0.0.1:9", "audience": "hustlexp"}
        with redis.Redis.from_url(dev.line["redis_url"]) as valkey:
            before = valkey.config_get("maxmemory*")
            valkey.config_set("maxmemory-policy", "allkeys-lru")
            valkey.config_set("maxmemory", "256mb")
            try:
                said = hustlexp(
                    "doctor",
                    HX_POSTGRES_DSN=with_database(dev.line["postgres_dsn"], "postgres"),
                    HX_REDIS_URL=dev.line["redis_url"],
                    HX_PHOTOS_URL=(dev.data_dir / "photos").as_uri(),
                    HX_JWT_ISSUERS=json.dumps([issuer]),
                )
            finally:
                for name, value in before.items():
                    valkey.config_set(name, value)
        assert said.code == 1
        wrong = {line.split(":")[0] for line in said.out.splitlines() if line.startswith("WRONG")}
        assert wrong == {
            "WRONG migrations",
            "WRONG code key",
            "WRONG issuer http",
            "WRONG eviction",
        }, said.out
        assert "run `hustlexp migrate`" in said.out

    def test_doctor_calls_a_moved_clock_wrong_outside_of_development(
        self, hustlexp: Hustlexp, dev: Dev
    ) -> None:
        """And then exits with 1."""
        assert hustlexp("clock", "advance", "1s", "--data-dir", str(dev.data_dir)).code == 0
        said = hustlexp(
            "doctor",
            HX_POSTGRES_DSN=dev.line["postgres_dsn"],
            HX_REDIS_URL=dev.line["redis_url"],
            HX_PHOTOS_URL=(dev.data_dir / "photos").as_uri(),
        )
        assert said.code == 1
        assert "WRONG clock: 0:00:0" in said.out
        assert "WRONG tokens" in said.out

    def test_what_must_hold_is_verified_on_a_running_service(
        self, hustlexp: Hustlexp, dev: Dev
    ) -> None:
        """By its folder, as the other commands find it; 2 where nothing runs."""
        said = hustlexp("invariants", "verify", "--data-dir", str(dev.data_dir))
        assert (said.code, said.err) == (0, "")
        assert "checks agree." in said.out
        said = hustlexp("invariants", "verify", "--data-dir", str(dev.data_dir / "elsewhere"))
        assert said.code == 2
        assert "No service runs on" in said.err

    def test_the_clock_advances_for_everyone(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """Amounts add up."""
        before = hustlexp("clock", "advance", "0s", "--data-dir", str(dev.data_dir)).out
        after = hustlexp("clock", "advance", "2h", "--data-dir", str(dev.data_dir)).out
        assert before != after
        assert " 2:00:" in after

    @pytest.mark.parametrize("duration", ["90", "-5m", "1w", "99999d", ""])
    def test_a_clock_goes_neither_back_nor_far_away(
        self, hustlexp: Hustlexp, dev: Dev, duration: str
    ) -> None:
        """Only 90s, 10m, 2h, 1d, up to ten years."""
        said = hustlexp("clock", "advance", "--data-dir", str(dev.data_dir), "--", duration)
        assert said.code == 2

    def test_explain_offer_gives_each_clause(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """A funded LIVE task and a hustler who is off: no offer, and why."""
        folder = ("--data-dir", str(dev.data_dir))
        poster = json.loads(hustlexp("token", "--role", "poster", "--json", *folder).out)
        hustler = json.loads(hustlexp("token", "--role", "hustler", "--json", *folder).out)
        task = funded_live_task(dev.line["url"], poster["token"])
        said = hustlexp("explain-offer", task, hustler["user_id"], "--json", *folder)
        received = json.loads(said.out)
        clauses = {clause["clause"]: clause for clause in received["clauses"]}
        assert not received["offered"]
        assert clauses["broadcast running"]["ok"]
        assert clauses["eligible"]["ok"]
        assert clauses["trust tier"] == {"clause": "trust tier", "ok": True, "why": "2, needed 1"}
        assert clauses["insurance"]["why"] == "valid"
        assert not clauses["LIVE"]["ok"]
        assert clauses["LIVE"]["why"] == "OFF"
        assert clauses["seen"]["why"] == "no heartbeat"
        assert "NO  LIVE: OFF" in hustlexp("explain-offer", task, hustler["user_id"], *folder).out

    def test_explain_offer_adds_the_score_up(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """Five components for a hustler who is seen; none for one who is not."""
        folder = ("--data-dir", str(dev.data_dir))
        poster = json.loads(hustlexp("token", "--role", "poster", "--json", *folder).out)
        hustler = json.loads(hustlexp("token", "--role", "hustler", "--json", *folder).out)
        task = funded_live_task(dev.line["url"], poster["token"])
        words = ("explain-offer", task, hustler["user_id"])
        assert json.loads(hustlexp(*words, "--json", *folder).out)["score"] is None
        assert "known only for" in hustlexp(*words, *folder).out
        httpx.post(
            dev.line["url"] + "/v1/live",
            json={"location": {"lat": 37.78, "lng": -122.42}},
            headers={"Authorization": f"Bearer {hustler['token']}"},
        ).raise_for_status()
        score = json.loads(hustlexp(*words, "--json", *folder).out)["score"]
        names = ["trust", "distance", "category", "price", "time"]
        assert [part["component"] for part in score["parts"]] == names
        assert score["total"] == pytest.approx(sum(part["points"] for part in score["parts"]))
        assert 0.2 < score["total"] <= 1
        said = hustlexp(*words, *folder).out
        assert f"score there now: {score['total']:.2f}" in said
        assert "distance 0.25 × " in said

    def test_explain_offer_knows_no_strangers(self, hustlexp: Hustlexp, dev: Dev) -> None:
        """Unknown ids are one sentence."""
        said = hustlexp(
            "explain-offer", str(uuid4()), str(uuid4()), "--data-dir", str(dev.data_dir)
        )
        assert said.code == 1
        assert "no such task" in said.err


class TestDeath:
    """`hustlexp dev` and sudden ends."""

    def test_a_killed_dev_starts_again_on_the_same_folder(self, prepared_data_dir: Path) -> None:
        """The servers that it left are taken over, and end with the second one."""
        first = start_dev(prepared_data_dir)
        orphans = first.servers()
        first.process.kill()
        first.process.communicate()
        again = start_dev(prepared_data_dir)
        try:
            assert httpx.get(again.line["url"] + "/readyz").status_code == 200
            assert again.line["postgres_dsn"] == first.line["postgres_dsn"]
            assert set(orphans) & set(again.servers()), "PostgreSQL and Valkey ran on"
        finally:
            again.process.send_signal(signal.SIGINT)
            assert again.process.wait(20) == 0
            again.process.communicate()
        assert not again.servers()

    def test_a_folder_of_another_version_is_named(self, prepared_data_dir: Path) -> None:
        """A schema that is not this version's: one sentence that says what to do, exit code 1."""
        dev = start_dev(prepared_data_dir)
        dev.process.kill()
        dev.process.communicate()
        later = "insert into schema_migrations values ('9999_later.sql', 'x')"
        run_sql(dev.line["postgres_owner_dsn"], later)
        words = [*HUSTLEXP, "dev", "--port", "0", "--data-dir", str(prepared_data_dir)]
        environ = {name: text for name, text in os.environ.items() if not name.startswith("HX_")}
        said = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
        assert said.returncode == 1
        assert "made by another version" in said.stderr
        assert "remove the folder" in said.stderr
        assert not dev.servers()

    def test_dev_survives_the_death_of_both_servers(self, prepared_data_dir: Path) -> None:
        """They are started again, and the service finds them by itself."""
        dev = start_dev(prepared_data_dir)
        try:
            for pid in dev.servers():
                os.kill(pid, signal.SIGKILL)
            deadline = time.monotonic() + 15
            time.sleep(0.2)
            while httpx.get(dev.line["url"] + "/readyz", timeout=10).status_code != 200:
                assert time.monotonic() < deadline
                time.sleep(0.05)
        finally:
            dev.process.send_signal(signal.SIGTERM)
            assert dev.process.wait(20) == 0
            dev.process.communicate()


def run_sql(dsn: str, statement: str) -> None:
    """One statement, as whoever the DSN names."""

    async def run() -> None:
        connection = await asyncpg.connect(dsn)
        await connection.execute("set role hx_owner")
        await connection.execute(statement)
        await connection.close()

    asyncio.run(run())


def funded_live_task(url: str, token: str) -> str:
    """A LIVE task with a running broadcast; its id."""
    draft = {
        "mode": "LIVE",
        "title": "Carry a sofa",
        "description": "Two floors up, no lift.",
        "category": "moving",
        "price_cents": 2500,
        "location": {"lat": 37.77, "lng": -122.42},
        "live_confirmations": {
            "can_respond": True,
            "accessible_now": True,
            "price_final": True,
        },
    }
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {token}"}) as client:
        task = client.post("/v1/tasks", json=draft).raise_for_status().json()
        client.post(f"/v1/tasks/{task['id']}/fund", json={}).raise_for_status()
    return str(task["id"])
