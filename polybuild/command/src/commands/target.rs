//! What `inspect`, `verify`, `export` and `push` are pointed at: a megabinary in either form, the
//! folder of a build, or an image in any format.

use std::path::{Path, PathBuf};

use polybuild_oci::read::{Limits, ReadImage, Tree};
use vkernel_abi::MEGABINARY_PATH;

use crate::{
    exit,
    failure::{Failure, IoContext, Result},
    files,
    pipeline::names,
};

/// Largest file that is looked for in an image: megabinaries are tens of megabytes.
const MEGABINARY_MAX: u64 = 4 << 30;

/// A thing named on the command line.
pub(super) enum Target {
    /// An executable megabinary.
    Elf(Vec<u8>),
    /// The portable form.
    Portable(Vec<u8>),
    /// An image.
    Image(Box<ImageTarget>),
}

/// An opened image with its files.
pub(super) struct ImageTarget {
    pub(super) image: ReadImage,
    pub(super) tree: Tree,
}

impl ImageTarget {
    /// The megabinary in it.
    pub(super) fn megabinary(&self) -> Result<Vec<u8>> {
        let found = self
            .image
            .find(&self.tree, &[MEGABINARY_PATH], MEGABINARY_MAX)
            .map_err(Failure::recipe)?;
        found
            .into_values()
            .next()
            .and_then(|f| f.bytes)
            .ok_or_else(|| {
                Failure::message(
                    exit::VERIFY,
                    format!("the image holds no {MEGABINARY_PATH}: it is none of ours"),
                )
            })
    }
}

/// Opens whatever is at `path`.
pub(super) fn open(path: &Path) -> Result<Target> {
    if path.is_file() {
        let mut head = [0; 8];
        let n = {
            use std::io::Read;
            files::open(path)?.read(&mut head).doing("reading", path)?
        };
        if head[..n].starts_with(b"\x7fELF") {
            return files::read(path).map(Target::Elf);
        }
        if head[..n].starts_with(b"\0asm") {
            return files::read(path).map(Target::Portable);
        }
    }
    open_image(path).map(|image| Target::Image(Box::new(image)))
}

/// Opens an image: the folder of a build, an OCI layout, or an archive.
pub(super) fn open_image(path: &Path) -> Result<ImageTarget> {
    let image = read_image(path)?;
    let tree = image.flatten().map_err(Failure::recipe)?;
    Ok(ImageTarget { image, tree })
}

/// The same, without looking into its layers.
pub(super) fn read_image(path: &Path) -> Result<ReadImage> {
    let path = layout_of(path);
    let hint = "give a file or folder that polybuild wrote, an OCI layout, or the archive of \
                `docker save` or `podman save`";
    if let Some(trouble) = polybuild_recipe::trouble(&path) {
        return Err(
            Failure::message(exit::USAGE, format!("{} {trouble}", path.display())).hint(hint),
        );
    }
    if let Some(what) = something_else(&path) {
        return Err(Failure::message(
            exit::USAGE,
            format!("{} is {what}", path.display()),
        ));
    }
    ReadImage::open(&path, None, Limits::default()).map_err(|e| Failure::recipe(e).hint(hint))
}

/// The bill of materials beside the image in the folder of a build.
pub(super) fn bill_of(path: &Path) -> Result<Option<Vec<u8>>> {
    let file = path.join(names::SBOM);
    match path.join(names::LAYOUT).is_dir() && file.is_file() {
        true => files::read(&file).map(Some),
        false => Ok(None),
    }
}

/// What people name by mistake: the thing that the right one is made from.
fn something_else(path: &Path) -> Option<&'static str> {
    match path.extension()?.to_str()? {
        "toml" => Some("a recipe; build it first and name the folder that it was built into"),
        "wat" => Some("a module in text form, not a megabinary; `polybuild pack` makes one of it"),
        _ => None,
    }
}

/// The layout inside the folder of a build; anything else is itself.
fn layout_of(path: &Path) -> PathBuf {
    let inside = path.join(names::LAYOUT);
    if inside.is_dir() {
        inside
    } else {
        path.to_owned()
    }
}
