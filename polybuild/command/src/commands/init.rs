//! `polybuild init`: a first recipe for an app, and a Dockerfile for the same.
//!
//! Nothing that is there is changed: a recipe or a Dockerfile is a reason to write nothing, and an app and
//! its requirements are taken as they are.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use polybuild_recipe::{Recipe, image_name};

use crate::{
    args::{Global, Init, Language},
    base_recipes, dirs, exit,
    failure::{Failure, IoContext, Result},
    pipeline,
    ui::{Ui, shown},
};

const RECIPE: &str = include_str!("init/python-recipe.toml");
const MAIN: &str = include_str!("init/python-main.py");
const REQUIREMENTS: &str = include_str!("init/python-requirements.txt");

pub(super) fn run(ui: &Ui, global: &Global, args: &Init) -> Result<()> {
    let Language::Python = args.language;
    let tag = tag(args.tag.as_deref())?;
    let from = format!("python/{tag}");
    let base = pipeline::load(ui, &dirs::cache(global.cache.as_deref())?, Path::new(&from))?;
    let name = name_of(&args.folder);
    let filled = |text: &str| text.replace("@NAME@", &name).replace("@FROM@", &from);
    let ours = [
        ("recipe.toml", filled(RECIPE)),
        ("Dockerfile", dockerfile(&base, &from)),
    ];
    for (file, _) in &ours {
        let path = args.folder.join(file);
        if fs::symlink_metadata(&path).is_ok() {
            return Err(Failure::message(
                exit::USAGE,
                format!("{} exists, and nothing was written", path.display()),
            )
            .hint("name another folder, or move it away"));
        }
    }
    let mut files: Vec<(&str, String)> = ours.into();
    let missing = |file: &str| fs::symlink_metadata(args.folder.join(file)).is_err();
    if missing("requirements.txt") {
        files.push(("requirements.txt", REQUIREMENTS.to_owned()));
    }
    if missing("app") {
        files.push(("app/main.py", MAIN.to_owned()));
    }
    let mut written = Vec::new();
    for (file, text) in files {
        let path = args.folder.join(file);
        write_new(&path, &text)?;
        written.push(path);
    }
    let recipe = shown(&args.folder.join("recipe.toml"));
    let list: Vec<String> = written.iter().map(|path| shown(path)).collect();
    ui.result(
        &format!(
            "wrote {}\n\nBuild it and run it:\n  polybuild {word}\n  polybuild run {word} -- python3 \
             /app/main.py\n",
            list.join(", "),
            word = word(&recipe),
        ),
        &serde_json::json!({"event": "written", "files": list, "from": from}),
    );
    Ok(())
}

/// The base image's tag: what the user asks for, or the newest of those that are nothing but a version.
fn tag(wanted: Option<&str>) -> Result<String> {
    let tags = base_recipes::tags("python");
    let known = || format!("there are: {}", tags.join(", "));
    if let Some(wanted) = wanted {
        return match tags.contains(&wanted) {
            true => Ok(wanted.to_owned()),
            false => Err(Failure::message(
                exit::USAGE,
                format!("no base image python/{wanted} comes with polybuild"),
            )
            .hint(known())),
        };
    }
    newest(&tags).map(str::to_owned).ok_or_else(|| {
        Failure::message(
            exit::INTERNAL,
            "no base image of Python comes with polybuild",
        )
        .hint(known())
    })
}

fn newest<'a>(tags: &[&'a str]) -> Option<&'a str> {
    let version = |tag: &&'a str| {
        let (major, minor) = tag.split_once('.')?;
        Some((
            (major.parse::<u32>().ok()?, minor.parse::<u32>().ok()?),
            *tag,
        ))
    };
    tags.iter().filter_map(version).max().map(|(_, tag)| tag)
}

/// A name for the image from that of the folder.
fn name_of(folder: &Path) -> String {
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_owned());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let plain: String = name
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    let parts: Vec<&str> = plain.split('-').filter(|part| !part.is_empty()).collect();
    let name = parts.join("-");
    match image_name(&name) {
        true => name,
        false => "app".to_owned(),
    }
}

/// A Dockerfile that derives from the base image.
fn dockerfile(base: &Recipe, from: &str) -> String {
    let image = format!("{}:{}", base.image.name, base.image.tag);
    let folder = pipeline::default_output(base);
    let pip = base
        .programs
        .iter()
        .flat_map(|p| &p.paths)
        .any(|path| path.ends_with("/pip"));
    let packages = match pip {
        true => {
            "COPY requirements.txt /tmp/requirements.txt\nRUN pip install -r /tmp/requirements.txt\n"
        }
        false => {
            "# This image has no pip. `polybuild recipe.toml` installs what requirements.txt says.\n"
        }
    };
    format!(
        "# The app by docker or podman instead of `polybuild recipe.toml`. Its base comes first:\n\
         #   polybuild {from} && docker load -i {}/docker-archive.tar\n\
         FROM {image}\n{packages}COPY app /app\nCMD [\"python3\", \"/app/main.py\"]\n",
        folder.display()
    )
}

/// A path as a shell takes it for one word.
fn word(path: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "._-/+".contains(c);
    match path.chars().all(plain) {
        true => path.to_owned(),
        false => format!("'{}'", path.replace('\'', r"'\''")),
    }
}

/// Writes a file that is not there yet; folders above it are made.
fn write_new(path: &PathBuf, text: &str) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).doing("creating", parent)?;
    }
    fs::File::create_new(path)
        .and_then(|mut file| file.write_all(text.as_bytes()))
        .doing("writing", path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_of_images() {
        for (folder, name) in [
            ("/x/My App", "my-app"),
            ("/x/_web_", "web"),
            ("/x/é", "app"),
            ("/", "app"),
            ("a.b", "a-b"),
        ] {
            assert_eq!(name_of(Path::new(folder)), name, "{folder}");
        }
    }

    #[test]
    fn words_of_a_shell() {
        assert_eq!(word("a/b-1.toml"), "a/b-1.toml");
        assert_eq!(word("it's $x"), r"'it'\''s $x'");
    }

    #[test]
    fn the_newest_version() {
        assert_eq!(
            newest(&["3.12", "3.12-slim", "3.9", "3.13-full"]),
            Some("3.12")
        );
        assert_eq!(newest(&["3.9", "3.10"]), Some("3.10"));
        assert_eq!(newest(&["slim"]), None);
    }
}
