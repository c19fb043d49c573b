//! `polybuild export`: a built image in another format.

use std::path::Path;

use polybuild_oci::{BlobStore, ImageName, export, unpack};

use super::target::{self, ImageTarget};
use crate::{
    args::{Export, ExportFormat},
    exit,
    failure::{Failure, Result},
    scratch::{self, Scratch},
    ui::{Ui, shown},
};

pub(super) fn run(ui: &Ui, args: &Export) -> Result<()> {
    let target = target::open_image(&args.image)?;
    let parent = args.output.parent().filter(|p| !p.as_os_str().is_empty());
    scratch::watch(parent.unwrap_or(Path::new(".")));
    let stage = ui.stage("Exporting", &args.output.display().to_string());
    if args.format == ExportFormat::Rootfs {
        unpack::unpack(&target.image, &target.tree, &args.output).map_err(Failure::environment)?;
    } else {
        let name = name(&target)?;
        let scratch = Scratch::folder_in(&std::env::temp_dir())?;
        let store = BlobStore::open(scratch.path()).map_err(Failure::environment)?;
        let image = target.image.to_image(&store).map_err(Failure::recipe)?;
        match args.format {
            ExportFormat::OciLayout => export::oci_layout(&image, &name, &args.output),
            ExportFormat::OciArchive => export::oci_archive(&image, &name, &args.output),
            ExportFormat::DockerArchive | ExportFormat::Rootfs => {
                export::docker_archive(&image, &name, &args.output)
            }
        }
        .map_err(Failure::environment)?;
    }
    stage.finish("");
    ui.event(&serde_json::json!({"event": "exported", "output": shown(&args.output)}));
    Ok(())
}

/// The image's own name.
pub(super) fn name(target: &ImageTarget) -> Result<ImageName> {
    let name = target.image.names().first().ok_or_else(|| {
        Failure::message(exit::RECIPE, "the image carries no name")
            .hint("export an image that has a tag")
    })?;
    name.parse().map_err(Failure::recipe)
}
