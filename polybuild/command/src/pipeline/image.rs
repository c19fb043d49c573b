//! Pass: layers, configuration and archives of the image.

use std::{fs, path::Path};

use megabinary_format::{Digest, stub};
use megabinary_linker::SignedMegabinary;
use polybuild_oci::{
    BlobStore, Epoch, Image, ImageBuilder, ImageName, LayerBuilder, Settings, export,
    labels::{Provenance, STEPS, WITHOUT_FIXES},
};
use polybuild_recipe::{Content, ImageFile, Patterns, Pins, Recipe};
use vkernel_abi::{MEGABINARY_PATH, VKERNEL_DIR};
use walkdir::WalkDir;

use super::{
    Context, bill,
    epoch::epoch,
    inputs::Inputs,
    modules::EmbeddedFile,
    output::{Built, Staged, names},
    plan,
    python::{self, Compiled, Packages},
    record,
};
use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
    launchers::Launcher,
    ui::size,
};

/// What goes into an image besides the megabinary.
pub(super) struct Contents<'a> {
    pub(super) recipe: &'a Recipe,
    pub(super) lock: &'a Pins,
    pub(super) inputs: &'a Inputs,
    /// Files that were taken out of modules.
    pub(super) files: &'a [EmbeddedFile],
    /// Python packages.
    pub(super) packages: Option<&'a Packages>,
    /// What Python compiled.
    pub(super) compiled: &'a Compiled,
    /// Which launcher the megabinary has.
    pub(super) launcher: &'static Launcher,
}

/// Makes everything that a build gives, in the staged folder.
pub(super) fn assemble(
    cx: &Context<'_>,
    contents: &Contents<'_>,
    signed: &SignedMegabinary,
    portable: &[u8],
    staged: &Staged,
) -> Result<Built> {
    let Contents { recipe, lock, .. } = *contents;
    let name = format!("{}:{}", recipe.image.name, recipe.image.tag);
    let stage = cx.ui.stage("Assembling", &name);
    let dir = staged.path();
    files::write_whole(&dir.join(names::MEGABINARY), signed.bytes(), 0o755)?;
    files::write_whole(&dir.join(names::PORTABLE), portable, 0o644)?;
    let epoch = epoch(cx.epoch)?;
    let megabinary = Digest::of(signed.bytes());
    let crates = bill::crates(&contents.inputs.sources);
    let sbom = bill::of_image(
        recipe,
        lock,
        crates,
        contents.launcher,
        Some(&megabinary),
        epoch,
    )?;
    files::write_whole(&dir.join(names::SBOM), &sbom, 0o644)?;

    // Blobs go where the layout will have them anyway: on the same file system.
    let blobs = dir.join(".blobs");
    let store = BlobStore::open(&blobs).map_err(Failure::environment)?;
    let layers = layers(contents, signed, epoch)?;
    let mut builder = ImageBuilder::new(
        epoch,
        settings(cx, recipe, lock, signed, &megabinary, epoch),
    );
    for (layer, created_by) in layers {
        let layer = layer.write(&store).map_err(Failure::environment)?;
        builder = builder.layer(layer, created_by);
    }
    let image: Image = builder.build(&store).map_err(Failure::recipe)?;
    let image_name: ImageName = name.parse().map_err(Failure::recipe)?;
    export::oci_layout(&image, &image_name, &dir.join(names::LAYOUT))
        .and_then(|()| export::oci_archive(&image, &image_name, &dir.join(names::OCI_ARCHIVE)))
        .and_then(|()| {
            export::docker_archive(&image, &image_name, &dir.join(names::DOCKER_ARCHIVE))
        })
        .map_err(Failure::environment)?;
    fs::remove_dir_all(&blobs).doing("removing", &blobs)?;
    let built = Built {
        name: image_name.familiar(),
        manifest: image.manifest.digest.to_string(),
        config: image.config.digest.to_string(),
        megabinary: megabinary.to_string(),
        portable: Digest::of(portable).to_string(),
        key_id: cx.signer.public_key().key_id().to_string(),
        compressed_size: image.compressed_size(),
        without_fixes: bill::without_fixes(recipe, lock),
        unconfined_steps: record::unconfined(cx, recipe),
        default_command: [&recipe.image.entrypoint, &recipe.image.cmd]
            .into_iter()
            .flatten()
            .flatten()
            .cloned()
            .collect(),
    };
    stage.finish(&format!(
        "{}, {} compressed",
        built.manifest,
        size(built.compressed_size)
    ));
    Ok(built)
}

/// Layers from the bottom up: the megabinary with its stubs, then the recipe's own files.
fn layers(
    contents: &Contents<'_>,
    signed: &SignedMegabinary,
    epoch: Epoch,
) -> Result<Vec<(LayerBuilder, &'static str)>> {
    let index = signed.index();
    let mut base = LayerBuilder::new(epoch);
    base.directory(VKERNEL_DIR, 0o755)
        .and_then(|l| l.file(MEGABINARY_PATH, signed.bytes(), 0o755))
        .map_err(Failure::internal)?;
    for program in &index.programs {
        let Some(entry) = index.entries.get(program.entry as usize) else {
            continue;
        };
        base.file(&program.path, stub::text(&entry.digest).into_bytes(), 0o755)
            .map_err(Failure::recipe)?;
    }
    // Mount points exist on disk, so that container tools see folders there.
    for tree in &index.trees {
        base.directory(&tree.mount, 0o755)
            .map_err(Failure::recipe)?;
    }
    for file in contents.files {
        base.file(&file.path, file.bytes.as_slice(), 0o444)
            .map_err(Failure::recipe)?;
    }
    let mut packages = LayerBuilder::new(epoch);
    if let Some(installed) = contents.packages {
        copy_folder(&mut packages, "", &installed.tree, &Patterns::default())?;
    }
    if let Some(compiled) = &contents.compiled.packages {
        copy_folder(&mut packages, "", compiled, &Patterns::default())?;
    }
    packages.fits_on(&base).map_err(Failure::recipe)?;
    let mut files = LayerBuilder::new(epoch);
    for file in &contents.recipe.image_files {
        let copied = plan::layer_file(&file.content, contents.inputs)?;
        let (user, group) = file.owner.unwrap_or_default();
        files.owner(user, group);
        match (&file.content, copied) {
            (_, Some(source)) if source.is_dir() => {
                let python = contents.recipe.python.as_ref();
                let stale = match python {
                    // What is compiled here takes the place of what was compiled elsewhere.
                    Some(python) if !python.compile.is_empty() => Some("__pycache__".to_owned()),
                    _ => None,
                };
                add_folder(&mut files, file, &source, stale)?;
                continue;
            }
            (_, Some(_)) if !file.exclude.is_empty() => return Err(not_a_folder(file)),
            (_, Some(source)) => files.file(&file.path, source.as_path(), file.mode),
            (Content::Text(text), _) => files.file(&file.path, text.as_bytes(), file.mode),
            (Content::Link(target), _) => files.symlink(&file.path, target),
            (Content::Directory | Content::Copy(_), _) => files.directory(&file.path, file.mode),
        }
        .map_err(Failure::recipe)?;
    }
    files.owner(0, 0);
    if let Some(compiled) = &contents.compiled.folders {
        copy_folder(&mut files, "", compiled, &Patterns::default())?;
    }
    // A link in the place of a folder would take away the programs in it.
    files.fits_on(&base).map_err(Failure::recipe)?;
    files.fits_on(&packages).map_err(Failure::recipe)?;
    let mut layers = vec![(base, "polybuild: megabinary and stubs")];
    if !packages.is_empty() {
        layers.push((packages, "polybuild: Python packages"));
    }
    if !files.is_empty() {
        layers.push((files, "polybuild: files of the recipe"));
    }
    Ok(layers)
}

/// Adds a folder and everything in it. Of the permissions only whether a file can be executed counts:
/// the others differ between the machines on which a folder is made.
fn add_folder(
    layer: &mut LayerBuilder,
    file: &ImageFile,
    source: &Path,
    stale: Option<String>,
) -> Result<()> {
    if file.mode != IMAGE_FILE_MODE {
        return Err(Failure::message(
            exit::RECIPE,
            format!(
                "`{}` is a folder, whose files keep their permissions: 0644 or 0755",
                file.path
            ),
        )
        .hint("leave out its `mode`"));
    }
    let mut exclude = file.exclude.clone();
    exclude.0.extend(stale);
    copy_folder(layer, &file.path, source, &exclude)
}

/// Adds everything in the folder `source` below `to`, but for what is excluded.
fn copy_folder(
    layer: &mut LayerBuilder,
    to: &str,
    source: &Path,
    exclude: &Patterns,
) -> Result<()> {
    for found in WalkDir::new(source).sort_by_file_name() {
        let found = found.map_err(Failure::environment)?;
        let relative = found
            .path()
            .strip_prefix(source)
            .map_err(Failure::internal)?;
        if exclude.cover(relative) {
            continue;
        }
        let path = match plan::text(relative)?.as_str() {
            // The root is there.
            "" if to.is_empty() => continue,
            "" => to.to_owned(),
            relative => format!("{to}/{relative}"),
        };
        let kind = found.file_type();
        if kind.is_dir() {
            layer.copied_directory(&path)
        } else if kind.is_symlink() {
            let target = fs::read_link(found.path()).doing("reading the link", found.path())?;
            layer.symlink(&path, &plan::text(&target)?)
        } else {
            use std::os::unix::fs::PermissionsExt;
            let permissions = found
                .metadata()
                .map_err(Failure::environment)?
                .permissions();
            let executable = permissions.mode() & 0o111 != 0;
            let mode = if executable { 0o755 } else { IMAGE_FILE_MODE };
            layer.file(&path, found.path(), mode)
        }
        .map_err(Failure::recipe)?;
    }
    Ok(())
}

fn not_a_folder(file: &ImageFile) -> Failure {
    let path = &file.path;
    Failure::message(
        exit::RECIPE,
        format!("`{path}` is a file, out of which `exclude` can leave nothing"),
    )
    .hint("leave out its `exclude`")
}

/// Permissions of a file of an image unless its recipe says otherwise.
const IMAGE_FILE_MODE: u32 = 0o644;

fn settings(
    cx: &Context<'_>,
    recipe: &Recipe,
    lock: &Pins,
    signed: &SignedMegabinary,
    megabinary: &Digest,
    epoch: Epoch,
) -> Settings {
    let image = &recipe.image;
    // What packages say of their licences is not known here.
    let licenses = match python::any(recipe, lock) {
        true => None,
        false => licenses(recipe),
    };
    let without: Vec<String> = bill::without_fixes(recipe, lock)
        .iter()
        .map(|source| format!("{} {}", source.name, source.version))
        .collect();
    let without = (!without.is_empty()).then(|| without.join(", "));
    let mut labels = Provenance {
        title: &image.name,
        version: &recipe.version,
        description: recipe.description.as_deref(),
        licenses: licenses.as_deref(),
        source: None,
        created: epoch,
        megabinary,
        index: &Digest::of(&signed.index().encode()),
        key_id: &signed.signer().key_id().to_string(),
        lock: &Digest::of(lock.text().as_bytes()),
        without_fixes: without.as_deref(),
    }
    .labels();
    // What is left out, and how steps ran, is not for a recipe to say otherwise.
    let ours = |name: &str| [WITHOUT_FIXES, STEPS].contains(&name);
    let own = image.labels.clone().into_iter();
    labels.extend(own.filter(|(name, _)| !ours(name)));
    if record::unconfined(cx, recipe) {
        labels.insert(STEPS.to_owned(), record::UNCONFINED.to_owned());
    }
    Settings {
        env: image
            .env
            .iter()
            .map(|(k, v)| (k.clone(), v.clone()))
            .collect(),
        entrypoint: image.entrypoint.clone().unwrap_or_default(),
        cmd: image.cmd.clone().unwrap_or_default(),
        user: image.user.clone(),
        workdir: image.workdir.clone(),
        labels,
        exposed_ports: image.expose.clone(),
        volumes: image.volumes.clone(),
        stop_signal: image.stop_signal.clone(),
    }
}

/// All licences of the components, joined by `AND`; `None` if one is unknown.
fn licenses(recipe: &Recipe) -> Option<String> {
    let mut all: Vec<&str> = recipe
        .components
        .iter()
        .map(|c| c.license.as_deref())
        .collect::<Option<_>>()?;
    all.sort_unstable();
    all.dedup();
    (!all.is_empty()).then(|| all.join(" AND "))
}
