//! Debian binary packages: an `ar` archive whose member `data.tar.*` holds the files (`deb(5)`).

use std::{fs::File, io::Read};

use super::{ExtractError, compressed, sink::Sink, tarball};

pub(super) fn unpack(file: File, sink: &mut Sink<'_>) -> Result<(), ExtractError> {
    let mut archive = ar::Archive::new(file);
    while let Some(member) = archive.next_entry() {
        let mut member = member.map_err(|e| sink.read_error(b"", &e))?;
        let name = member.header().identifier();
        let name = name.strip_suffix(b"/").unwrap_or(name).to_owned();
        if !name.starts_with(b"data.tar") {
            continue;
        }
        let mut head = Vec::new();
        (&mut member)
            .take(6)
            .read_to_end(&mut head)
            .map_err(|e| sink.read_error(&name, &e))?;
        let known = compressed::is_compressed(&head) || name == b"data.tar";
        if !known {
            let shown = String::from_utf8_lossy(&name).into_owned();
            return Err(sink.damaged(format!("the compression of {shown} is not known")));
        }
        sink.is_a_root();
        let whole = (&head[..]).chain(member);
        return tarball::unpack(&mut compressed::decode(whole, &head), sink);
    }
    Err(sink.damaged("it is not a Debian package: it has no member `data.tar`"))
}
