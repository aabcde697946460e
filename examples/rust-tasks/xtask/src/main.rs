//! The repository's own program: taskgate, and two tasks that are plain functions.

use std::fs;
use std::process::ExitCode;

fn main() -> ExitCode {
    taskgate::Program::new().task("codegen", codegen).task("links", links).main()
}

/// Makes `src/colors.rs` of `schema/colors.txt`.
fn codegen(_args: &[String]) -> taskgate::Outcome {
    let schema =
        fs::read_to_string("schema/colors.txt").map_err(|error| format!("schema/colors.txt: {error}"))?;
    let mut code = String::from("// Made by `cargo xtask codegen` of schema/colors.txt.\n");
    for (number, line) in schema.lines().enumerate() {
        let place = format!("schema/colors.txt:{}", number + 1);
        let (name, value) = line.split_once(" #").ok_or_else(|| format!("{place}: write `name #rrggbb`"))?;
        let value = u32::from_str_radix(value, 16).map_err(|error| format!("{place}: {error}"))?;
        code += &format!("pub const {}: u32 = 0x{value:06x};\n", name.to_uppercase());
    }
    Ok(fs::write("src/colors.rs", code)?)
}

/// Checks that the files which the Markdown files given as arguments, or else README.md, link to are
/// there.
fn links(args: &[String]) -> taskgate::Outcome {
    let pages = if args.is_empty() { vec!["README.md".to_owned()] } else { args.to_vec() };
    let mut broken = Vec::new();
    for page in pages {
        let text = fs::read_to_string(&page).map_err(|error| format!("{page}: {error}"))?;
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        let local = targets.filter(|target| !target.contains("://"));
        broken.extend(
            local
                .filter(|target| !fs::exists(target).unwrap_or(false))
                .map(|target| format!("{page}: {target}")),
        );
    }
    if broken.is_empty() { Ok(()) } else { Err(format!("links lead nowhere: {}", broken.join(", ")).into()) }
}
