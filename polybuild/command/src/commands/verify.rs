//! `polybuild verify`: whether a megabinary, or everything that a container of an image would run, can
//! be trusted.

mod container;
mod document;

use megabinary_format::{Digest, PublicKey, stub};
use megabinary_linker::verify::{Report, verify_elf, verify_portable};

use super::target::{self, ImageTarget, Target};
use crate::{
    args::Verify,
    exit,
    failure::{Failure, Result},
    keys,
    ui::Ui,
};

pub(super) fn run(ui: &Ui, args: &Verify) -> Result<()> {
    let trusted = keys::trusted(&args.keys)?;
    let mut problems = Vec::new();
    let mut checked = Vec::new();
    match target::open(&args.target)? {
        Target::Elf(bytes) => take(verify_elf(&bytes, &trusted), &mut checked, &mut problems),
        Target::Portable(bytes) => {
            take(
                verify_portable(&bytes, &trusted),
                &mut checked,
                &mut problems,
            );
        }
        Target::Image(image) => verify_image(&image, &trusted, &mut checked, &mut problems)?,
    }
    if !problems.is_empty() {
        ui.event(&serde_json::json!({"verified": false, "problems": problems}));
        let list: Vec<String> = problems.iter().map(|p| format!("\n  - {p}")).collect();
        return Err(Failure::message(
            exit::VERIFY,
            format!(
                "{} must not be trusted:{}",
                args.target.display(),
                list.concat()
            ),
        ));
    }
    let lines: Vec<String> = checked.iter().map(|c| format!("  {c}\n")).collect();
    ui.result(
        &format!("{}: verified\n{}", args.target.display(), lines.concat()),
        &serde_json::json!({"verified": true, "checked": checked}),
    );
    Ok(())
}

fn take(
    result: std::result::Result<Report, megabinary_linker::VerifyError>,
    checked: &mut Vec<String>,
    problems: &mut Vec<String>,
) {
    match result {
        Ok(report) => checked.extend(report.checked),
        Err(error) => problems.extend(error.problems),
    }
}

/// The megabinary of an image, that each of its programs still is the stub that it signed, and that
/// there is nothing else to run.
fn verify_image(
    image: &ImageTarget,
    trusted: &[PublicKey],
    checked: &mut Vec<String>,
    problems: &mut Vec<String>,
) -> Result<()> {
    let bytes = image.megabinary()?;
    let report = match verify_elf(&bytes, trusted) {
        Ok(report) => report,
        Err(error) => {
            problems.extend(error.problems);
            return Ok(());
        }
    };
    let index = &report.index;
    let paths: Vec<&str> = index.programs.iter().map(|p| p.path.as_str()).collect();
    let found = image
        .image
        .find(&image.tree, &paths, STUB_MAX)
        .map_err(|e| Failure::new(exit::VERIFY, &e))?;
    for program in &index.programs {
        let entry = index.entries.get(program.entry as usize);
        let expected = entry.map(|e| stub::text(&e.digest));
        match found.get(&program.path).and_then(|f| f.bytes.as_deref()) {
            None => problems.push(format!("program {} is missing or not a file", program.path)),
            Some(bytes) if Some(bytes) != expected.as_deref().map(str::as_bytes) => {
                problems.push(format!(
                    "program {}: its stub was changed; digest expected {}, found {}",
                    program.path,
                    expected.map_or_else(String::new, |e| Digest::of(e.as_bytes()).to_string()),
                    Digest::of(bytes)
                ));
            }
            Some(_) => {}
        }
    }
    checked.extend(report.checked);
    checked.push(format!(
        "{} installed programs are the signed stubs",
        index.programs.len()
    ));
    let findings = container::check(image, index, &Digest::of(&bytes))?;
    checked.extend(findings.notes);
    problems.extend(findings.problems);
    Ok(())
}

/// A stub is far smaller; anything larger is not one, and is not worth reading.
const STUB_MAX: u64 = 64 << 20;
