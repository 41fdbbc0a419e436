"""OHIF out of the bucket, in a browser that signs in at a real issuer.

The free LocalStack never calls an authoriser, so what the browser sends is shown to the deployed
one here; that API Gateway asks it for all but the viewer's own files is for tests/functions to say.
"""

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.helpers import samples
from tests.helpers.aws.deployed_authorizer import SEARCH, STORE, allowed, ask
from tests.helpers.aws.deployed_stack import ROWS, store, uploaded
from tests.helpers.ohif import WINDOW, Viewer
from tests.helpers.oidc_issuer import Issuer

pytestmark = pytest.mark.slow


@pytest.fixture
def viewer(stack, tokens, browser) -> Iterator[Viewer]:
    """A page that must have nothing to complain of."""
    answer = stack.request("GET", "/ohif")
    if answer.status_code == 404:
        pytest.skip(answer.json()["detail"])
    # Browsers know that this is their own machine, and trust it as they trust https.
    url = stack.url.replace(".localhost.localstack.cloud", ".localhost")
    with browser.new_context(viewport=WINDOW) as context:
        opened = Viewer(context.new_page(), url)
        yield opened
        assert opened.complaints == []


def sign_in(viewer: Viewer, issuer: Issuer) -> None:
    """As a person does whom the viewer sends to the issuer."""
    viewer.page.wait_for_url(f"{issuer.url}/authorize?**")
    viewer.page.locator("input[name=user]").fill("ann")
    viewer.page.get_by_role("button", name="Sign in").click()


def authorizations(viewer: Viewer, path: str) -> set[str | None]:
    """With what the page has asked for what is below a path."""
    return {
        request.all_headers().get("authorization")
        for request in viewer.requests
        if urlsplit(request.url).path.startswith(path)
    }


def test_whoever_opens_the_viewer_signs_in_and_is_let_in_by_the_authoriser(
    stack, tokens, viewer, study, tmp_path
):
    store(stack, samples.ct(study, PatientName=f"Stack^{study}"))

    viewer.page.goto(f"{viewer.url}/ohif?patientName={study}")
    sign_in(viewer, tokens)
    assert viewer.shows_patients(f"Stack, {study}")

    file = tmp_path / "new.dcm"
    file.write_bytes(samples.ct(f"{study}-uploaded", PatientName=f"New^{study}"))
    viewer.page.get_by_role("button", name="Upload").click()
    viewer.page.locator("input[type=file]").first.set_input_files(file)
    assert viewer.shows_text("1 file completed.")

    (authorization,) = authorizations(viewer, "/v1/dicom-web/")
    answer = ask(stack, authorization)
    assert answer["principalId"] == "ann"
    assert {SEARCH, STORE} <= allowed(answer)
    assert authorizations(viewer, "/v1/ohif") == {None}


def test_whoever_signs_out_has_to_sign_in_again(stack, tokens, viewer):
    viewer.page.goto(f"{viewer.url}/ohif")
    sign_in(viewer, tokens)
    viewer.page.locator("[data-filter-row]").wait_for()

    viewer.page.goto(f"{viewer.url}/ohif/logout")
    sign_in(viewer, tokens)

    viewer.page.locator("[data-filter-row]").wait_for()


def test_pictures_are_shown_and_large_ones_come_from_the_bucket_without_the_token(
    stack, tokens, viewer, study
):
    uploaded(stack, ("large.dcm", samples.ct(study, size=ROWS)))
    store(stack, samples.jpeg(f"{study}-cine", frames=12))

    viewer.page.goto(f"{viewer.url}/ohif/viewer?StudyInstanceUIDs={samples.study_uid(study)}")
    sign_in(viewer, tokens)
    assert viewer.shows_text("1/1")
    assert viewer.shows_pictures()
    viewer.study(samples.study_uid(f"{study}-cine"))
    assert viewer.shows_text("/12)")
    assert viewer.shows_pictures()

    answers = [ask(stack, each) for each in authorizations(viewer, "/v1/dicom-web/")]
    assert [answer["principalId"] for answer in answers] == ["ann"] * 2
    assert authorizations(viewer, f"/{stack.bucket}/results/") == {None}
