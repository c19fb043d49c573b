//! `polybuild push`.

use std::sync::Mutex;

use polybuild_oci::{
    BlobStore, ImageName,
    push::{self, Attachment, Credentials, Progress, SPDX},
};

use super::target;
use crate::{
    args::Push,
    exit,
    failure::{Failure, Result},
    pipeline::names,
    scratch::Scratch,
    ui::{Ui, size},
};

pub(super) fn run(ui: &Ui, args: &Push) -> Result<()> {
    let name: ImageName = args
        .reference
        .parse()
        .map_err(|e| Failure::new(exit::USAGE, &e))?;
    let target = target::open_image(&args.image)?;
    let credentials = Credentials::find(name.registry(), |variable| std::env::var_os(variable))
        .map_err(Failure::environment)?;
    let scratch = Scratch::folder_in(&std::env::temp_dir())?;
    let store = BlobStore::open(scratch.path()).map_err(Failure::environment)?;
    let image = target.image.to_image(&store).map_err(Failure::recipe)?;
    let bill = target::bill_of(&args.image)?;
    let attached = bill.as_deref().map(|bytes| Attachment {
        media_type: SPDX,
        title: names::SBOM,
        bytes,
    });
    if attached.is_none() {
        let image = args.image.display();
        ui.warn(&format!(
            "{image} comes without a bill of materials to attach: push the folder of a build"
        ));
    }
    let stage = std::sync::Arc::new(ui.stage("Pushing", &name.full()));
    let (total, sent) = (image.compressed_size(), Mutex::new(0));
    let shown = std::sync::Arc::clone(&stage);
    let show = move |event| {
        if let Progress::Sent { bytes, .. } = event
            && let Ok(mut sent) = sent.lock()
        {
            *sent += bytes;
            shown.bytes(*sent, Some(total));
        }
    };
    let pushed = push::push(&image, &name, &credentials, args.plain_http, attached, show)
        .map_err(Failure::environment)?;
    if let Some(stage) = std::sync::Arc::into_inner(stage) {
        stage.finish(&format!("{} sent", size(pushed.sent)));
    }
    ui.result(
        &format!("{}\n", pushed.by_digest),
        &serde_json::json!({"event": "pushed", "image": pushed.by_digest, "sent": pushed.sent}),
    );
    Ok(())
}
