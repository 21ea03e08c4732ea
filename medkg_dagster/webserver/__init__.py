"""Dagster's webserver, which any page that a browser has open could otherwise have start runs.

    python -m medkg_dagster.webserver --workspace workspace.yaml --port 3000

takes what `dagster-webserver` takes. `MEDKG_WEBSERVER_HOSTS` gives it more names than those of loopback and
the address it listens at; where `MEDKG_WEBSERVER_TOKEN` is set, it has to be sent with every request, as
`Authorization: Bearer ...` or as the password that a browser asks for. Where a proxy in front says who asks,
`MEDKG_WEBSERVER_ACTOR_HEADER` names the header: every run then carries that name.
"""
