"""What `medkg serve` serves: the questions of `medkg_dagster.query` over HTTP, and a page to look at answers.

    from medkg_dagster.query import Stores
    from medkg_dagster.service import make_app

    app = make_app(Stores(), hosts=["127.0.0.1"])  # for any ASGI server

It needs the extra `serve`.
"""

from medkg_dagster.service.app import make_app

__all__ = ["make_app"]
