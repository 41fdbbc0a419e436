"""The tests. A failing `assert` of a helper shows its values, as one of a test does."""

import pytest

pytest.register_assert_rewrite("tests.helpers")
