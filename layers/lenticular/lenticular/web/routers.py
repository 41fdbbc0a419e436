"""Every router of the application.

The functions on AWS import only some of them; importing all takes half a second.
"""

from fastapi import APIRouter


def all_routers() -> list[APIRouter]:
    """Return every router, in the order in which they are asked."""
    from lenticular.web.routes import (
        bulkdata,
        capabilities,
        deferred_results,
        delete,
        health,
        instance_changes,
        orthanc,
        qido,
        query_tags,
        rendered,
        stow,
        uploads,
        wado_rs,
        wado_uri,
    )
    from lenticular.web.viewer import pages

    modules = (
        *(stow, qido, query_tags, wado_rs, bulkdata, rendered, delete),
        *(instance_changes, uploads, deferred_results, health, capabilities, wado_uri, orthanc),
    )
    return [module.router for module in (*modules, pages)]
