//! Makes the image that `tests/containers` uses to try the container clients themselves: a stub at
//! `/usr/local/bin/python3` whose interpreter is any static program, in all three export forms.
//!
//! - `standin PROGRAM OUTPUT`: PROGRAM becomes `/.vkernel/megabinary`; OUTPUT gets `oci-layout/`,
//!   `oci-archive.tar` and `docker-archive.tar`, named `vkernel/python:3.12`.
//! - `standin --push IMAGE NAME`: pushes to a registry on loopback without TLS.
//! - `standin --same IMAGE OTHER PATH`: whether OTHER still has IMAGE's megabinary and PATH.

use std::{error::Error, fs, path::Path};

use megabinary_format::{Digest, stub};
use polybuild_oci::{
    BlobStore, Epoch, ImageBuilder, ImageName, LayerBuilder, Limits, ReadImage, Settings, export,
    push::Credentials,
};

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    match args
        .iter()
        .map(String::as_str)
        .collect::<Vec<_>>()
        .as_slice()
    {
        ["--push", image, name] => push(Path::new(image), name),
        ["--same", image, other, path] => same(Path::new(image), Path::new(other), path),
        [program, output] => make(Path::new(program), Path::new(output)),
        _ => Err(
            "usage: standin PROGRAM OUTPUT | --push IMAGE NAME | --same IMAGE OTHER PATH".into(),
        ),
    }
}

fn push(image: &Path, name: &str) -> Result<(), Box<dyn Error>> {
    let scratch = tempfile::tempdir()?;
    let image = ReadImage::open(image, None, Limits::default())?
        .to_image(&BlobStore::open(scratch.path())?)?;
    let pushed = polybuild_oci::push::push(
        &image,
        &name.parse()?,
        &Credentials::Anonymous,
        true,
        None,
        |event| {
            eprintln!("{event:?}");
        },
    )?;
    println!("{} ({} bytes sent)", pushed.by_digest, pushed.sent);
    Ok(())
}

fn same(image: &Path, other: &Path, path: &str) -> Result<(), Box<dyn Error>> {
    let paths = ["/.vkernel/megabinary", path];
    let files = |image: &Path| -> Result<_, Box<dyn Error>> {
        let image = ReadImage::open(image, None, Limits::default())?;
        let found = image.find(&image.flatten()?, &paths, 1 << 30)?;
        Ok(paths.map(|path| found.get(path).and_then(|f| f.bytes.clone())))
    };
    let (ours, theirs) = (files(image)?, files(other)?);
    if ours.iter().any(Option::is_none) || ours != theirs {
        return Err(format!(
            "{} has other files than {}",
            other.display(),
            image.display()
        )
        .into());
    }
    Ok(())
}

fn make(program: &Path, output: &Path) -> Result<(), Box<dyn Error>> {
    let epoch = Epoch::default();
    fs::create_dir_all(output)?;
    let store = BlobStore::open(&output.join("store"))?;

    let mut layer = LayerBuilder::new(epoch);
    let stub = stub::text(&Digest::of(b"standin python3"));
    layer
        .file("/.vkernel/megabinary", program, 0o755)?
        .file("/usr/local/bin/python3", stub.as_bytes(), 0o755)?
        .file(
            "/usr/bin/not-routed",
            &b"#!/.vkernel/megabinary none\n"[..],
            0o755,
        )?
        .symlink("/bin", "usr/bin")?
        .symlink("/usr/local/bin/python", "python3")?
        .directory("/tmp", 0o1777)?
        .directory("/root", 0o700)?
        .file(
            "/etc/passwd",
            &b"root:x:0:0:root:/root:/bin/python3\n"[..],
            0o644,
        )?
        .file("/etc/group", &b"root:x:0:\n"[..], 0o644)?;
    let layer = layer.write(&store)?;

    let settings = Settings {
        env: vec![("PATH".into(), "/usr/local/bin:/usr/bin".into())],
        cmd: vec!["python3".into()],
        stop_signal: Some("SIGTERM".into()),
        ..Settings::default()
    };
    let image = ImageBuilder::new(epoch, settings)
        .layer(layer, "standin")
        .build(&store)?;
    let name: ImageName = "vkernel/python:3.12".parse()?;
    export::oci_layout(&image, &name, &output.join("oci-layout"))?;
    export::oci_archive(&image, &name, &output.join("oci-archive.tar"))?;
    export::docker_archive(&image, &name, &output.join("docker-archive.tar"))?;
    println!("{}", image.manifest.digest);
    Ok(())
}
