//! `polybuild pack`: one WASI module as an executable megabinary.

use super::context;
use crate::{
    args::{Global, Pack},
    failure::Result,
    files, pipeline,
    ui::{Ui, shown, size},
};

pub(super) fn run(ui: &Ui, global: &Global, args: &Pack) -> Result<()> {
    let cx = context(ui, global, &args.options)?;
    let wasm = read_module(&args.module)?;
    let packed = pipeline::pack_module(&cx, &module_name(&args.module), wasm)?;
    let bytes = files::read(&packed)?;
    files::write_whole(&args.output, &bytes, 0o755)?;
    ui.result(
        &format!("{}: {}\n", args.output.display(), size(bytes.len() as u64)),
        &serde_json::json!({"megabinary": shown(&args.output), "size": bytes.len()}),
    );
    Ok(())
}

/// A module named on the command line, in its binary or text form.
pub(super) fn read_module(path: &std::path::Path) -> Result<Vec<u8>> {
    pipeline::binary(path, files::read_given(path)?)
}

/// A module's name in messages: its file's, without the ending.
pub(super) fn module_name(path: &std::path::Path) -> String {
    path.file_stem()
        .map_or_else(|| "module".to_owned(), |n| n.to_string_lossy().into_owned())
}
