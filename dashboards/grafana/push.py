"""Brings data source, folder and dashboards into a running Grafana, as often as one likes.

Everything has a fixed uid, so a second push changes what the first one made. The order matters: a dashboard
needs its folder, and its panels their data source. Provisioning files beside this module do the same for a
Grafana that one starts oneself.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any, Final
from urllib.parse import urlsplit

from dashboards.grafana.build import dashboards
from dashboards.grafana.panels import DATASOURCE_UID
from testbed.errors import BadInput, EnvironmentProblem
from testbed.store.influx_settings import InfluxSettings

DATASOURCE_NAME: Final = "Testbed InfluxDB"
FOLDER_UID: Final = "testbed"
FOLDER_TITLE: Final = "Testbed"
TIMEOUT_S: Final = 10.0


def datasource(influx: InfluxSettings) -> dict[str, Any]:
    """The data source as Grafana's API takes it; InfluxQL with either version of InfluxDB."""
    name = influx.bucket or influx.database
    source: dict[str, Any] = {
        "name": DATASOURCE_NAME,
        "uid": DATASOURCE_UID,
        "type": "influxdb",
        "access": "proxy",
        "url": influx.url,
        "database": name,
        "jsonData": {"dbName": name, "httpMode": "GET", "timeInterval": "500ms"},
    }
    if influx.is_v2 and influx.token:
        source["jsonData"]["httpHeaderName1"] = "Authorization"
        source["secureJsonData"] = {"httpHeaderValue1": f"Token {influx.token}"}
    elif influx.login:
        source["user"] = influx.login[0][1]
        source["secureJsonData"] = {"password": influx.login[1][1]}
    return source


def push(url: str, token: str, influx: InfluxSettings) -> list[str]:
    """Create or update data source, folder and dashboards; a sentence for each.

    `token` is a service account's token, or "user:password"; `influx` is the InfluxDB as Grafana reaches
    it. BadInput for an address or a token that cannot be one; EnvironmentProblem when Grafana cannot be
    reached, does not let us in, or refuses something.
    """
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise BadInput(f"--url: {url!r} is not an address such as http://127.0.0.1:3000")
    if not token:
        raise BadInput("GRAFANA_TOKEN: is not set; a service account's token, or user:password, is needed")
    face: Any = importlib.import_module("grafana_api.grafana_face")
    errors: Any = importlib.import_module("grafana_api.grafana_api")
    requests: Any = importlib.import_module("requests")
    user, colon, password = token.partition(":")
    prefix = parts.path.strip("/")
    api = face.GrafanaFace(
        auth=(user, password) if colon else token,
        host=parts.hostname,
        port=parts.port,
        url_path_prefix=f"{prefix}/" if prefix else "",
        protocol=parts.scheme,
        timeout=TIMEOUT_S,
    )

    def found(get: Callable[[str], Any], key: str) -> Any:
        try:
            return get(key)
        except errors.GrafanaClientError as error:
            if error.status_code == 404:
                return None
            raise

    try:
        existing = found(api.datasource.get_datasource_by_name, DATASOURCE_NAME)
        done = [_push_datasource(api, existing, datasource(influx))]
        if found(api.folder.get_folder, FOLDER_UID) is None:
            api.folder.create_folder(FOLDER_TITLE, uid=FOLDER_UID)
            done.append(f"folder {FOLDER_TITLE!r} created")
        for dashboard in dashboards().values():
            answer = api.dashboard.update_dashboard(
                {"dashboard": dashboard, "folderUid": FOLDER_UID, "overwrite": True, "message": "pushed"}
            )
            done.append(f"dashboard {dashboard['title']!r} is at {url.rstrip('/')}{answer.get('url', '')}")
    except errors.GrafanaUnauthorizedError:
        raise EnvironmentProblem(f"Grafana at {url} does not accept the token or password") from None
    except errors.GrafanaException as error:
        raise EnvironmentProblem(f"Grafana at {url} refuses: {error.message}") from None
    except requests.exceptions.RequestException as error:
        reason = str(error).rsplit(": ", 1)[-1].rstrip("'\")")
        raise EnvironmentProblem(f"Grafana at {url} does not answer: {reason}") from None
    return done


def _push_datasource(api: Any, existing: Any, wanted: dict[str, Any]) -> str:
    if existing is None:
        api.datasource.create_datasource(wanted)
        return f"data source {DATASOURCE_NAME!r} created"
    if existing.get("readOnly") and existing.get("uid") == DATASOURCE_UID:
        return f"data source {DATASOURCE_NAME!r} left as it was provisioned"
    api.datasource.update_datasource(existing["id"], wanted)
    return f"data source {DATASOURCE_NAME!r} updated"
