//! Scripts and command lines.

use megabinary_format::{Digest, stub};

/// Files that are executed.
pub fn executables() -> Vec<Vec<u8>> {
    let mut out: Vec<Vec<u8>> = [
        "#!/bin/sh\n",
        "#! \t /bin/sh -e -u x \nrest",
        "#!bin/sh",
        "#!/usr/bin/env sh\n",
        "#!/usr/bin/env -S -i PATH=/bin A=\"b c\" sh '${V}' ${V}\\_x # comment\n",
        "#!/usr/bin/env -u PATH -S sh -c\n",
        "#!/s\n",
        "A=b ${V} 'q\\'x' \"d\\_e\" \\c",
    ]
    .map(Into::into)
    .into();
    out.push(stub::text(&Digest::of(b"x")).into_bytes());
    out
}

/// The launcher's arguments, a NUL between.
pub fn command_lines() -> Vec<Vec<u8>> {
    let stub = format!("{}\0/bin/p\0--info\0--\0x", Digest([7; 32]));
    [
        "--root\0/r\0--dir\0.::/data\0--dir=/tmp\0--env\0A=1\0--cwd\0/w\0--program\0/bin/p\0--arg0\0-p\0--\0-c",
        "--snapshot\0m\0--snapshot-out\0f\0--snapshot-time=1\0--\0a",
        "--entry=python3",
        "--info",
        &stub,
    ]
    .map(Into::into)
    .into()
}
