//! Tests of Python projects.

use super::*;

#[test]
fn python_tools_are_found_where_they_are_configured() {
    let poetry = "[tool.poetry.group.dev.dependencies]\nruff = \"*\"\nblack = \"*\"\n";
    check(&[
        (&[("requirements.txt", "ruff==0.5\nblack\n")], &["ruff: ruff check .", "black: black --check ."]),
        (&[("requirements.txt", "ruff-lsp\nflask\n")], &[]),
        (
            &[("pyproject.toml", "[tool.ruff]\n[tool.mypy]\nfiles = [\"src\"]\n"), ("uv.lock", "")],
            &["ruff: uv run ruff check .", "ruff-format: uv run ruff format --check .", "mypy: uv run mypy"],
        ),
        (
            &[("pyproject.toml", poetry), ("poetry.lock", ""), ("tests/test_a.py", "")],
            &[
                "ruff: poetry run ruff check .",
                "black: poetry run black --check .",
                "pytest: poetry run pytest",
            ],
        ),
        (
            &[("api/setup.cfg", "[mypy]\n[tool:pytest]\n")],
            &["api-mypy: mypy . in api", "api-pytest: pytest in api"],
        ),
        (&[("tests/test_a.py", "")], &[]),
    ]);
}

#[test]
fn python_project_gets_tasks() {
    let found = found(&[
        ("pyproject.toml", "[tool.ruff]\n[tool.pytest.ini_options]\n"),
        ("requirements.txt", "x\n"),
        (".pre-commit-config.yaml", ""),
    ]);
    let mut inclusions = vec![Inclusion::Kept; found.tasks.len()];
    inclusions[2] = Inclusion::LeftOut("exit status 1: 1 failed".to_owned());
    insta::assert_snapshot!(body(&tasks_toml(&found, &inclusions, TrialMode::Once)), @r##"
    # Sets of files, used as "@name" in `inputs`. A task runs again if one of its inputs changed; without
    # `inputs` these are all files. Add what a task reads besides. Files that configure tools are named
    # whether or not they exist: a task has to run again when one is added.
    [files]
    python = ["**/*.py", "**/*.pyi", "**/*.pyw", "**/*.ipynb", "**/*.toml", "!**/tasks.toml", "@python-settings"]
    python-settings = [
        "**/pyproject.toml", "**/setup.cfg", "**/setup.py", "**/.python-version", "**/.python-versions",
        "**/py.typed", "**/ruff.toml", "**/.ruff.toml", "**/.gitignore", "**/.ignore", "**/mypy.ini",
        "**/.mypy.ini", "**/pytest.ini", "**/.pytest.ini", "**/pytest.toml", "**/.pytest.toml",
        "**/tox.ini", "**/conftest.py", "**/pyrightconfig.json", "**/.isort.cfg", "**/.editorconfig",
        "**/.flake8", "**/pylintrc", "**/.pylintrc", "**/pylintrc.toml", "**/.pylintrc.toml",
        "**/.coveragerc", "**/.coveragerc.toml", "**/uv.toml", "**/uv.lock", "**/poetry.toml",
        "**/poetry.lock", "**/pdm.toml", "**/pdm.lock", "**/Pipfile", "**/Pipfile.lock",
        "**/*requirements*.txt", "**/*requirements*.in", "**/*constraints*.txt", "**/requirements/**",
        "**/.tool-versions", "**/mise.toml", "**/.mise.toml", "**/.config/mise.toml",
        "**/.config/mise/config.toml",
    ]

    # Commands that print the versions of tools. If the output changes, the tasks that name the tool run again.
    [tools]
    pre-commit = "pre-commit --version"
    # pytest = "pytest --version"
    python = "python3 --version"
    ruff = "ruff --version"

    # For all tasks. A task gets a few basic variables, and those that are named here or in the task. With `?`
    # in front, a change of the value does not run the task again.
    [defaults]
    timeout = "30m"
    pass-env = ["?PRE_COMMIT_HOME", "?PYENV_VERSION", "?VIRTUAL_ENV"]

    # The tasks or groups that must pass before a push. `xtask hooks install` turns this on.
    [hooks]
    pre-push = ["ci"]

    [tasks.ci]
    description = "Everything that must pass before a push"
    needs = ["lint"]   # groups, or names of tasks; what was left out would add "unit"

    # ---- pyproject.toml

    [tasks.ruff]
    description = "Lint with ruff"
    group = "lint"
    run = "ruff check ."
    fix = "ruff check --fix ."
    inputs = ["@python"]
    tools = ["ruff", "python"]

    [tasks.ruff-format]
    description = "Check the formatting"
    group = "lint"
    run = "ruff format --check ."
    fix = "ruff format ."
    inputs = ["@python"]
    tools = ["ruff", "python"]

    # left out: exit status 1: 1 failed
    # To add it, remove the `# ` here and, above, that of pytest; then add "unit" to `needs` of ci.
    # # Tests may read any file, so any change runs them again. If you know which files, list them in `inputs`.
    # [tasks.pytest]
    # description = "Run the tests"
    # group = "unit"
    # run = "pytest"
    # inputs = ["!tasks.toml"]   # all other files
    # tools = ["pytest", "python"]

    # ---- .pre-commit-config.yaml

    # Checks all files, not only the staged ones.
    [tasks.pre-commit]
    description = "Run the hooks of pre-commit"
    group = "lint"
    run = "pre-commit run --all-files --show-diff-on-failure"
    tools = ["pre-commit"]
    "##);
}

#[test]
fn python_tools_run_as_the_project_runs_them() {
    let groups = "[dependency-groups]\ntests = [\"pytest>=8\"]\n[project.optional-dependencies]\ntyping = [\"mypy\"]\n";
    let dev = "[dependency-groups]\ndev = [{include-group = \"tests\"}]\ntests = [\"pytest\"]\n";
    let tox =
        "[tox]\n[testenv]\ncommands = pytest {posargs}\n[testenv:types]\ncommands = mypy --strict src\n";
    let nox = "def lint(session):\n    session.run(\"flake8\", \"src\")\n";
    let workflow = "on: push\njobs:\n  a:\n    steps:\n      - run: python -m pytest -v -m fast tests\n      - run: black --check src\n";
    let hooks = "repos:\n- repo: x\n  hooks:\n  - id: ruff-check\n  - id: black\n";
    check(&[
        (
            &[("pyproject.toml", groups), ("uv.lock", "")],
            &["mypy: uv run --extra typing mypy .", "pytest: uv run --group tests pytest"],
        ),
        (&[("pyproject.toml", dev), ("uv.lock", "")], &["pytest: uv run pytest"]),
        (&[("setup.py", ""), ("tox.ini", tox)], &["mypy: mypy --strict src", "pytest: pytest"]),
        (&[("setup.py", ""), ("noxfile.py", nox)], &["flake8: flake8 src"]),
        (
            &[("setup.py", ""), ("tests/test_a.py", ""), (".github/workflows/ci.yml", workflow)],
            &["black: black --check src", "pytest: pytest -m fast tests"],
        ),
        (
            &[("pyproject.toml", "[tool.ruff]\n[tool.black]\n"), (".pre-commit-config.yaml", hooks)],
            &["pre-commit: pre-commit run --all-files --show-diff-on-failure"],
        ),
        (
            &[
                ("requirements.txt", "black\n"),
                ("pyproject.toml", "[tool.black]\n"),
                (".pre-commit-config.yaml", hooks),
            ],
            &[
                "black: black --check .",
                "pre-commit: SKIP=black pre-commit run --all-files --show-diff-on-failure",
            ],
        ),
        (&[("setup.py", "extras = {'test': ['pytest']}\n")], &["pytest: pytest"]),
        (&[("setup.py", ""), ("testing/unit/test_a.py", "")], &["pytest: pytest"]),
        (&[("setup.py", ""), ("pyproject.toml", "[tool.pyright]\n")], &[]),
    ]);
    let fixes: Vec<String> = found(&[("setup.py", ""), (".github/workflows/ci.yml", workflow)])
        .tasks
        .into_iter()
        .filter_map(|task| task.fix)
        .collect();
    assert_eq!(fixes, ["black src"]);
}

#[test]
fn virtual_environment_is_created_with_what_the_tasks_need() {
    let install = |files: &[(&str, &str)], tools: &[&str]| {
        let files = [files, &[(".gitignore", ".venv/\n")]].concat();
        let mut survey = survey(&files);
        for tool in tools.iter().chain(&["python"]) {
            survey = survey.with_untracked("", &format!(".venv/bin/{tool}"));
        }
        let found = propose_tasks(&survey);
        found.installs.first().map(|it| format!("{} | {}", it.run, it.inputs.join(" ")))
    };
    let groups =
        "[project]\n[dependency-groups]\ntests = [\"pytest>=8\", \"x\"]\ndocs = [\"sphinx\"]\n[tool.mypy]\n";
    let expected = "python3 -m venv .venv && .venv/bin/pip install --quiet --upgrade pip && \
                    .venv/bin/pip install --quiet --group tests -e . mypy | pyproject.toml";
    assert_eq!(install(&[("pyproject.toml", groups)], &["pytest", "mypy"]).as_deref(), Some(expected));
    let extras = "[project]\n[project.optional-dependencies]\ntest = [\"pytest\"]\n";
    let expected = "python3 -m venv .venv && .venv/bin/pip install --quiet -e '.[test]' | pyproject.toml";
    assert_eq!(install(&[("pyproject.toml", extras)], &["pytest"]).as_deref(), Some(expected));
    let lists =
        [("setup.py", ""), ("requirements-dev.txt", "pytest==8\n"), ("requirements-docs.txt", "sphinx\n")];
    let expected = "python3 -m venv .venv && .venv/bin/pip install --quiet -r requirements-dev.txt -e . | requirements-dev.txt setup.py";
    assert_eq!(install(&lists, &["pytest"]).as_deref(), Some(expected));
    assert_eq!(install(&[("pyproject.toml", extras), ("uv.lock", "")], &["pytest"]), None);
}
