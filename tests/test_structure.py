"""The tree is the architecture: imports run one way, files are short, the tools agree."""

import ast
import os
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from graphlib import TopologicalSorter
from pathlib import Path

import pytest
from pydicom.datadict import keyword_for_tag

import lenticular

ROOT = Path(__file__).parents[1]
PACKAGE = Path(lenticular.__file__).parent
MODULES = sorted(PACKAGE.rglob("*.py"))
WRITTEN_BY_US = sorted(
    path
    for folder in ("layers", "tests", "bench", "functions", "conformance")
    for path in (ROOT / folder).rglob("*.py")
)

# The first words of docstrings of functions: add a verb here when none of these says it.
VERBS = """
    Add Allow Announce Append Begin Bring Cache Call Check Choose Close Compare Complete
    Continue Copy Count Create Decode Delete Deploy Describe Do Download Draw Drop Encode End
    Execute Expand Fill Find Force Forget Free Get Go Group Handle Hold Index Inflate Insert
    Leave List Look Make Mark Move Open Parse Pass Perform Poll Print Process Put Raise Read
    Receive Record Redirect Refuse Register Remember Remove Rename Render Repeat Replace Report
    Reserve Respond Retrieve Return Reverse Rewrite Run Search Select Send Serve Set Show Sign
    Sort Split Start Stop Store Sweep Try Turn Update Upload Use Wait Warn Widen Work Write
    Yield
"""

# What each part of the package may import of the others.
MAY_IMPORT = {
    "errors": set(),
    "limits": set(),
    "settings": {"errors"},
    "storage": {"errors"},
    "dicom": {"errors"},
    "pixels": {"dicom", "errors"},
    "index": {"dicom", "errors", "limits"},
    "services": {"settings", "index", "storage", "errors", "limits"},
    "client": set(),
    "transactions": {
        *("services", "settings", "index", "dicom", "pixels", "storage", "errors", "limits"),
    },
    "web": {
        *("transactions", "services", "settings", "index", "dicom", "pixels", "storage", "errors"),
    },
}
# The adapters that use Amazon's libraries.
SPEAKS_TO_AWS = {
    *("storage.s3", "index.sql.rds_token", "index.sql.secret", "client.aws_signer"),
}
# What the web knows of pixels: how a picture may be asked for, and no codec.
PIXELS_FOR_WEB = ("picture_formats", "render_options", "uri_options")
# The port and its dialects, the types of their columns, and the one place that chooses by the URL.
NAMES_DATABASES = {
    *("index.sql.sqlite", "index.sql.mysql", "index.sql.mysql_errors", "index.sql.rds_token"),
    *("index.sql.column_types", "index.sql.dialect", "index.sql.database"),
}
DATABASE = "sqlite|mysql|mariadb|aurora|postgres|instr$|FORCE INDEX|STRAIGHT_JOIN|lastrowid"
# The commands are entrances, too.
ENTRANCES = {"__main__", "__init__", "cli"}

# What knows neither HTTP nor SQL nor AWS, and what does no input or output.
WEB = {"fastapi", "starlette", "uvicorn", "httpx", "mangum"}
SQL = {"sqlalchemy", "alembic", "sqlite3", "pymysql"}
AWS = {"boto3", "botocore", "aws_lambda_powertools"}
PIXELS = {"numpy", "PIL", "imagecodecs"}
MAY_NOT_IMPORT = {
    "errors": WEB | SQL | AWS | PIXELS | {"pydicom"},
    "limits": WEB | SQL | AWS | PIXELS | {"pydicom"},
    "settings": WEB | SQL | AWS | PIXELS | {"pydicom"},
    "storage": WEB | SQL | PIXELS | {"pydicom"},
    "dicom": WEB | SQL | AWS | PIXELS | {"os", "pathlib", "tempfile", "socket", "urllib3"},
    "pixels": WEB | SQL | AWS,
    "index": WEB | AWS | PIXELS,
    "services": WEB | SQL | AWS | PIXELS,
    "client": WEB | SQL | AWS | PIXELS | {"pydicom"},
    "transactions": WEB | SQL | AWS,
    "web": SQL | AWS | PIXELS,
}


def name_of(module: Path) -> str:
    """The dotted name of a module below the package: `web.routes.stow`."""
    parts = module.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


def part_of(module: Path) -> str:
    """The folder or file of the package that a module belongs to."""
    return name_of(module).split(".")[0]


def imports_of(module: Path, *, for_types: bool = True) -> Iterator[str]:
    """The full names that a module imports, at its top or not."""
    tree = ast.parse(module.read_text("utf-8"))
    left_out = set() if for_types else set(_for_types_only(tree))
    for node in ast.walk(tree):
        if node in left_out:
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{module} imports relatively"
            assert node.module is not None
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _for_types_only(tree: ast.Module) -> Iterator[ast.AST]:
    for node in ast.walk(tree):
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from (below for each in node.body for below in ast.walk(each))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_imports_run_one_way(module):
    part = part_of(module)
    if part in ENTRANCES:
        return
    imported = {name.split(".")[1] for name in imports_of(module) if name.startswith("lenticular.")}
    # The package itself holds the version.
    strange = imported - {part, "__version__"} - MAY_IMPORT[part]
    assert not strange, f"{part} may not know of {strange}"


def test_the_web_knows_of_pixels_only_how_a_picture_is_asked_for():
    web = [module for module in MODULES if part_of(module) == "web"]
    imported = {name for module in web for name in imports_of(module)}
    of_pixels = {name.split(".")[2] for name in imported if name.startswith("lenticular.pixels.")}

    assert of_pixels <= set(PIXELS_FOR_WEB)


def test_the_lowest_floor_of_the_web_is_http_and_knows_nothing_of_this_service():
    lowest = [module for module in MODULES if name_of(module).startswith("web.http")]
    imported = {name for module in lowest for name in imports_of(module)}
    ours = {name for name in imported if name.startswith("lenticular.")}

    allowed = ("lenticular.web.http.", "lenticular.dicom.", "lenticular.errors.")
    assert not {name for name in ours if not name.startswith(allowed)}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_each_part_knows_only_the_libraries_of_its_trade(module):
    if part_of(module) in ENTRANCES:
        return
    libraries = {name.split(".")[0] for name in imports_of(module)}
    forbidden = set(MAY_NOT_IMPORT[part_of(module)])
    if name_of(module) in SPEAKS_TO_AWS:
        forbidden -= AWS
    assert not libraries & forbidden


@pytest.mark.parametrize(
    "module", [each for each in MODULES if part_of(each) == "index"], ids=name_of
)
def test_the_index_asks_its_dialect_and_names_no_database(module):
    """So that another database is one file, its types and a fixture for the contract tests."""
    if name_of(module) in NAMES_DATABASES or "migrations.versions" in name_of(module):
        return
    words = set()
    for node in ast.walk(_without_texts(module)):
        values = (value for _, value in ast.iter_fields(node) if isinstance(value, str))
        words |= {value for value in values if re.search(DATABASE, value, re.IGNORECASE)}

    assert not words


def _without_texts(module: Path) -> ast.Module:
    """The code of a module without its docstrings, which may say why."""
    tree = ast.parse(module.read_text("utf-8"))
    for node in ast.walk(tree):
        if isinstance(body := getattr(node, "body", None), list):
            node.body = [each for each in body if not _is_text(each)]
    return tree


def _is_text(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def test_modules_import_one_another_in_no_circle_not_even_inside_functions():
    names = {name_of(module) for module in MODULES}
    graph: dict[str, set[str]] = {}
    for module in MODULES:
        ours = [name[len("lenticular.") :] for name in imports_of(module, for_types=False)
                if name.startswith("lenticular.")]  # fmt: skip
        # `from lenticular.index import schema` needs the module, `… import Index` the package.
        needed = {name if name in names else name.rpartition(".")[0] for name in ours}
        graph[name_of(module)] = (needed & names) - {name_of(module)}

    TopologicalSorter(graph).prepare()


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_tags_are_written_by_their_names(module):
    if name_of(module) == "dicom.tags" or part_of(module) == "client":  # which imports none of us
        return
    bare = [
        node.value
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch("[0-9A-F]{8}", node.value)
        and keyword_for_tag(int(node.value, 16))
    ]

    assert not bare


@pytest.mark.parametrize("path", WRITTEN_BY_US, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_has_less_than_400_lines(path):
    assert len(path.read_text("utf-8").splitlines()) < 400


@pytest.mark.parametrize("path", MODULES, ids=name_of)
def test_a_module_says_what_it_is(path):
    assert ast.get_docstring(ast.parse(path.read_text("utf-8"))), "no docstring"


def test_what_tests_share_is_in_helpers_not_in_another_test_module():
    of_tests = [path for path in WRITTEN_BY_US if path.is_relative_to(ROOT / "tests")]
    test_modules = {
        ".".join(path.relative_to(ROOT).with_suffix("").parts)
        for path in of_tests
        if path.stem.startswith("test_") or path.stem == "conftest"
    }
    imported = {(path.stem, name) for path in of_tests for name in imports_of(path)}

    assert not {
        (importer, name)
        for importer, name in imported
        if name in test_modules or name.rpartition(".")[0] in test_modules
    }


def test_no_test_replaces_a_limit_of_the_package():
    """A limit is an argument with a default: see limits.py."""
    # The services of a function are made by its import, where no test can give it other limits.
    of_functions = {
        *("SECONDS_TO_WAKE", "SECONDS_AFTER_HICCUP", "SECONDS_IN_ONE_CALL"),
        *("SECONDS_TO_JUDGE", "GIVEN_UP_SECONDS"),
    }
    replaced = {
        (path.name, text.rpartition(".")[2])
        for path in WRITTEN_BY_US
        if path.is_relative_to(ROOT / "tests")
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Call)
        if isinstance(node.func, ast.Attribute) and node.func.attr == "setattr"
        for text in (each.value for each in node.args if isinstance(each, ast.Constant))
        if isinstance(text, str)
        if text.rpartition(".")[2].isupper()
    }

    assert not {(name, limit) for name, limit in replaced if limit not in of_functions}


def test_no_folder_of_the_package_shows_more_than_fourteen_files():
    counts = Counter(module.parent for module in MODULES)

    assert not {name_of(folder): number for folder, number in counts.items() if number > 14}


def test_no_two_classes_have_the_same_name():
    counts = Counter(
        node.name
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )

    assert not {name for name, number in counts.items() if number > 1}


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_a_docstring_says_what_is_done_or_returned(module):
    """And does not describe a noun that the reader has to find: "What the client wants"."""
    nouns = re.compile(r"(What|Whether|How|Who|Whose|Where|Those|Whatever|Whoever|Which)\b")
    documented = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Module)
    found = [
        docstring.partition("\n")[0]
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, documented) and (docstring := ast.get_docstring(node))
        if nouns.match(docstring)
    ]

    assert not found


def functions_of(path: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    """The functions and methods of a file, but for properties and commands."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = " ".join(ast.unparse(each) for each in node.decorator_list)
            if not re.search(r"property|\.(command|group)\b", decorators):
                yield node


def test_the_docstring_of_a_function_begins_with_a_verb():
    """It says what the function does: "Return the path", not "The path"."""
    documented = [
        (path.name, function.name, docstring.split()[0].strip(".,:;"))
        for path in WRITTEN_BY_US
        if path.is_relative_to(PACKAGE) or path.is_relative_to(ROOT / "functions")
        for function in functions_of(path)
        if (docstring := ast.get_docstring(function))
    ]

    assert len(documented) > 1000
    assert not [found for found in documented if found[2] not in VERBS.split()]


def test_functions_are_short():
    lengths = [
        node.end_lineno - node.lineno + 1
        for module in MODULES
        for node in ast.walk(ast.parse(module.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    ]
    lengths.sort()

    assert lengths[len(lengths) // 2] <= 15
    assert lengths[len(lengths) * 9 // 10] <= 30


def loaded_by(statement: str) -> set[str]:
    """The modules that a fresh Python has loaded after this statement."""
    program = f"import sys; {statement}; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd=ROOT
    )
    return set(done.stdout.split())


@pytest.mark.parametrize(
    "module",
    ["transactions.search", "transactions.store.store", "web.routes.qido", "web.routes.stow"],
)
def test_searching_and_storing_load_no_pixels_and_no_codecs(module):
    loaded = loaded_by(f"import lenticular.{module}")

    assert f"lenticular.{module}" in loaded
    assert not [name for name in loaded if name.startswith("lenticular.pixels")]
    assert "imagecodecs" not in loaded


def test_the_application_starts_without_codecs():
    statement = "from lenticular.web.routers import all_routers; all_routers()"
    assert "imagecodecs" not in loaded_by(statement)


@pytest.mark.parametrize(
    "command",
    [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)],
    ids=" ".join,
)
def test_the_tools_have_nothing_to_say(command):
    tool, *arguments = command
    environment = {**os.environ, "PYTHONPATH": ""}

    done = subprocess.run(
        [sys.executable, "-m", tool, *arguments],
        cwd=ROOT,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]
