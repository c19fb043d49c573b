//! `--info`: what is in this megabinary, for people.

use std::io::Write;

use megabinary_format::EntryKind;

use crate::payload::Payload;

pub(crate) fn print(payload: &Payload) {
    let index = &payload.index;
    let mut text = format!(
        "{}\n  index {}\n  signed by {} ({})\n",
        index.name,
        payload.digest(),
        payload.signature.key_id(),
        payload.signature.trusted_comment
    );
    for entry in &index.entries {
        let what = match entry.kind {
            EntryKind::Env => "built in".to_owned(),
            EntryKind::Module(at) => index
                .modules
                .get(at as usize)
                .map_or_else(String::new, |m| format!("module {} {}", m.name, m.digest)),
        };
        text.push_str(&format!("  {} ({what})\n", entry.name));
    }
    for program in &index.programs {
        text.push_str(&format!("  {}\n", program.path));
    }
    // A closed standard output leaves nobody to tell.
    let _ = std::io::stdout().write_all(text.as_bytes());
}
