//! `polybuild keygen`.

use crate::{
    args::Keygen,
    exit,
    failure::{Failure, Result},
    keys,
    ui::{Ui, shown},
};

pub(super) fn run(ui: &Ui, args: &Keygen) -> Result<()> {
    let public = keys::public_path(&args.file);
    for path in [&args.file, &public] {
        if path.exists() && !args.force {
            return Err(Failure::message(exit::USAGE, format!("{} exists", path.display()))
                .hint("choose another name, or replace it with --force: what it signed can then no longer be verified"));
        }
    }
    let key = keys::generate(&args.file)?.public_key();
    ui.result(
        &format!(
            "secret key: {} (keep it to yourself)\npublic key: {} ({})\n",
            args.file.display(),
            public.display(),
            key.key_id()
        ),
        &serde_json::json!({
            "secret": shown(&args.file), "public": shown(&public), "key": key.to_string(),
            "key_id": key.key_id().to_string(),
        }),
    );
    Ok(())
}
