//! Tasks of projects of `CMake`, Maven, Gradle, .NET, Ruby and PHP, in their plain forms. It must not know other
//! kinds of projects.

use serde_json::Value;

use crate::init::ci_commands::CiCommands;
use crate::init::package_manager::quote_word;
use crate::init::proposals::{Candidate, Proposals, TaskKind};
use crate::init::survey::{Folder, Survey};

/// Adds tasks for the projects in a folder.
pub(super) fn propose(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    cmake(survey, folder, found);
    maven(survey, ci, folder, found);
    gradle(survey, folder, found);
    dotnet(survey, folder, found);
    ruby(survey, folder, found);
    php(survey, folder, found);
}

/// Returns whether a folder above has one of these files: what is in this folder is a part of that project.
fn is_part(survey: &Survey, folder: &Folder, names: &[&str]) -> bool {
    survey.upward(folder).skip(1).any(|above| names.iter().any(|name| above.has(name)))
}

/// Creates a task that starts with `program`.
fn task(folder: &Folder, file: &str, name: &str, kind: TaskKind, about: &str, run: &str) -> Candidate {
    let program = run.split(' ').next().unwrap_or_default().to_owned();
    Candidate {
        about: about.to_owned(),
        run: run.to_owned(),
        programs: vec![program],
        ..Candidate::new(folder, file, name, kind)
    }
}

fn cmake(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    const FILE: &str = "CMakeLists.txt";
    const PRESETS: &str = "CMakePresets.json";
    let Some(text) = folder.text(FILE) else { return };
    if is_part(survey, folder, &[FILE]) {
        return;
    }
    let run = match folder.text(PRESETS).and_then(presets) {
        Some(run) => run,
        None if ["enable_testing", "include(CTest)", "add_test"].iter().any(|word| text.contains(word)) => {
            "cmake -S . -B build && cmake --build build --parallel && ctest --test-dir build --output-on-failure"
                .to_owned()
        }
        None => "cmake -S . -B build && cmake --build build --parallel".to_owned(),
    };
    let (name, kind, about) = if run.contains("ctest") {
        ("test", TaskKind::Test, "Build, and run the tests")
    } else {
        ("build", TaskKind::Build, "Build")
    };
    let tool = found.tool(folder, "cmake", "cmake --version");
    let task = task(folder, FILE, name, kind, about, &run);
    // A folder of CMake can't be moved, so building and testing are one task.
    found.add(Candidate { tools: vec![tool], ..task });
}

/// Returns the commands for the first test preset, or for the first configure preset.
fn presets(text: &str) -> Option<String> {
    let file: Value = serde_json::from_str(text).ok()?;
    let shown = |key: &str| -> Vec<Value> {
        let all = file[key].as_array().cloned().unwrap_or_default();
        all.into_iter().filter(|preset| preset["hidden"] != true && preset["condition"].is_null()).collect()
    };
    let name = |preset: &Value| preset["name"].as_str().map(quote_word);
    let tests = shown("testPresets");
    let test = tests.first();
    let configures = shown("configurePresets");
    let configure = test
        .and_then(|test| test["configurePreset"].as_str().map(quote_word))
        .or_else(|| configures.first().and_then(name))?;
    let builds = shown("buildPresets");
    let build = builds
        .iter()
        .find(|build| build["configurePreset"].as_str().map(quote_word).as_ref() == Some(&configure));
    let build = build.and_then(name)?;
    let test = test.and_then(name).map_or_else(String::new, |test| format!(" && ctest --preset {test}"));
    Some(format!("cmake --preset {configure} && cmake --build --preset {build}{test}"))
}

fn maven(survey: &Survey, ci: &CiCommands, folder: &Folder, found: &mut Proposals) {
    const FILE: &str = "pom.xml";
    if !folder.has(FILE) || is_part(survey, folder, &[FILE]) {
        return;
    }
    let program = if folder.has("mvnw") { "./mvnw" } else { "mvn" };
    let calls = ["mvn", "./mvnw"].iter().flat_map(|name| ci.calls(&folder.path, name));
    let goals = calls.into_iter().filter(|it| it.command.is_plain).find_map(|it| {
        let known = ["verify", "test", "install", "package"];
        // Other calls build a part of the project.
        let is_whole =
            !it.command.has_any(&["-pl", "--projects", "-P", "--activate-profiles", "-f", "--file"]);
        let words = it.command.args().filter(|word| !matches!(*word, "--show-version" | "clean"));
        let words: Vec<String> = words.map(quote_word).collect();
        (is_whole && it.command.args().any(|word| known.contains(&word))).then(|| words.join(" "))
    });
    let goals = goals.unwrap_or_else(|| "--batch-mode --no-transfer-progress verify".to_owned());
    let goals = goals.replace("install", "verify");
    let task =
        task(folder, FILE, "test", TaskKind::Test, "Build, and run the tests", &format!("{program} {goals}"));
    add_java(folder, program, task, found);
}

fn gradle(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    const FILES: &[&str] = &["build.gradle", "build.gradle.kts", "settings.gradle", "settings.gradle.kts"];
    let Some(file) = FILES.iter().find(|name| folder.has(name)) else { return };
    if is_part(survey, folder, FILES) {
        return;
    }
    let program = if folder.has("gradlew") { "./gradlew" } else { "gradle" };
    // Without a wrapper, a part of another project uses it for something else.
    if !folder.is_top() && !folder.has("gradlew") {
        return;
    }
    let run = format!("{program} --console=plain check");
    let task = task(folder, file, "check", TaskKind::Test, "Run the checks and the tests", &run);
    add_java(folder, program, task, found);
}

fn add_java(folder: &Folder, program: &str, task: Candidate, found: &mut Proposals) {
    let name = program.trim_start_matches("./");
    let tools = vec![
        found.tool(folder, name, &format!("{program} --version")),
        found.tool(folder, "java", "java -version 2>&1"),
    ];
    for name in ["?JAVA_HOME", "?MAVEN_OPTS", "?GRADLE_USER_HOME"] {
        found.pass_env.insert(name.to_owned());
    }
    found.add(Candidate { tools, ..task });
}

fn dotnet(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    let is_solution = |name: &str| matches!(name.rsplit('.').next(), Some("sln" | "slnx"));
    let is_project = |name: &str| matches!(name.rsplit('.').next(), Some("csproj" | "fsproj"));
    let solution = folder.names().find(|name| is_solution(name));
    let Some(file) = solution.or_else(|| folder.names().find(|name| is_project(name))) else { return };
    if survey
        .upward(folder)
        .skip(1)
        .any(|above| above.names().any(|name| is_solution(name) || is_project(name)))
    {
        return;
    }
    let tools = vec![found.tool(folder, "dotnet", "dotnet --version")];
    for name in ["?DOTNET_ROOT", "?NUGET_PACKAGES"] {
        found.pass_env.insert(name.to_owned());
    }
    if folder.has(".editorconfig") {
        let run = format!("dotnet format {} --verify-no-changes", quote_word(file));
        let format = task(folder, file, "format", TaskKind::Format, "Check the formatting", &run);
        let fix = Some(format!("dotnet format {}", quote_word(file)));
        found.add(Candidate { fix, tools: tools.clone(), ..format });
    }
    let run = format!("dotnet test {}", quote_word(file));
    let test = task(folder, file, "test", TaskKind::Test, "Build, and run the tests", &run);
    found.add(Candidate { tools, ..test });
}

fn ruby(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    const FILE: &str = "Gemfile";
    let Some(gems) = folder.text(FILE) else { return };
    // The parts of a project often have files of their own.
    if is_part(survey, folder, &[FILE]) {
        return;
    }
    let tools =
        vec![found.tool(folder, "ruby", "ruby --version"), found.tool(folder, "bundle", "bundle --version")];
    let mut add = |name: &str, kind, about: &str, run: &str, fix: Option<&str>| {
        let task = task(folder, FILE, name, kind, about, run);
        let advice = Some("if gems are missing: bundle install".to_owned());
        found.add(Candidate { fix: fix.map(str::to_owned), tools: tools.clone(), advice, ..task });
    };
    if folder.has(".rubocop.yml") {
        let (run, fix) = ("bundle exec rubocop", "bundle exec rubocop --autocorrect");
        add("rubocop", TaskKind::Lint, "Lint with rubocop", run, Some(fix));
    } else if folder.has(".standard.yml") || gems.contains("\"standard\"") || gems.contains("'standard'") {
        let (run, fix) = ("bundle exec standardrb", "bundle exec standardrb --fix");
        add("standardrb", TaskKind::Lint, "Lint with standard", run, Some(fix));
    }
    let rakefile = folder.text("Rakefile").unwrap_or_default();
    let has_test = ["TestTask", "task :test", "task test", "task 'test'", "task \"test\""];
    if folder.has(".rspec") || survey.has_file(&folder.path_of("spec/spec_helper.rb")) {
        add("rspec", TaskKind::Test, "Run the tests", "bundle exec rspec", None);
    } else if survey.has_file(&folder.path_of("bin/rails")) && survey.has_file(&folder.path_of("test")) {
        add("rails-test", TaskKind::Test, "Run the tests", "bin/rails test", None);
    } else if has_test.iter().any(|word| rakefile.contains(word)) {
        add("rake-test", TaskKind::Test, "Run the tests", "bundle exec rake test", None);
    }
}

/// Names of scripts of composer, each with its kind and a description.
const COMPOSER_SCRIPTS: &[(&[&str], TaskKind, &str)] = &[
    (
        &["cs", "cs-check", "check-style", "cs:check", "format:check"],
        TaskKind::Format,
        "Check the code style",
    ),
    (&["lint", "lint:check"], TaskKind::Lint, "Lint"),
    (
        &["phpstan", "analyse", "analyze", "stan", "static-analysis", "psalm", "types"],
        TaskKind::Types,
        "Check the types",
    ),
    (&["test", "tests", "phpunit", "pest", "test:unit", "unit"], TaskKind::Test, "Run the tests"),
];

fn php(survey: &Survey, folder: &Folder, found: &mut Proposals) {
    const FILE: &str = "composer.json";
    let Some(text) = folder.text(FILE) else { return };
    if is_part(survey, folder, &[FILE]) {
        return;
    }
    let Ok(file) = serde_json::from_str::<Value>(text) else {
        found.omit(folder.path_of(FILE), "it is not JSON");
        return;
    };
    let tools = vec![found.tool(folder, "php", "php --version")];
    let advice = Some("if packages are missing: composer install".to_owned());
    for (names, kind, about) in COMPOSER_SCRIPTS {
        let script = names.iter().find(|name| file["scripts"].get(**name).is_some());
        let direct = match kind {
            TaskKind::Types if folder.has("phpstan.neon") || folder.has("phpstan.neon.dist") => {
                Some(("phpstan", "vendor/bin/phpstan analyse", None))
            }
            TaskKind::Test if folder.has("phpunit.xml") || folder.has("phpunit.xml.dist") => {
                Some(("phpunit", "vendor/bin/phpunit", None))
            }
            TaskKind::Format if folder.has(".php-cs-fixer.dist.php") || folder.has(".php-cs-fixer.php") => {
                Some((
                    "php-cs-fixer",
                    "vendor/bin/php-cs-fixer fix --dry-run --diff",
                    Some("vendor/bin/php-cs-fixer fix".to_owned()),
                ))
            }
            _ => None,
        };
        let (name, run, fix) = match (script, direct) {
            (Some(script), _) => (script.replace(':', "-"), format!("composer run-script {script}"), None),
            (None, Some((name, run, fix))) => (name.to_owned(), run.to_owned(), fix),
            (None, None) => continue,
        };
        let task = task(folder, FILE, &name, *kind, about, &run);
        found.add(Candidate { fix, tools: tools.clone(), advice: advice.clone(), ..task });
    }
}
