//! Wheels that stand for extensions of the image's Python while pip resolves requirements: a name, a version and what
//! is required, and nothing to install. The extension itself is built by the recipe.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    path::Path,
};

use polybuild_recipe::Offered;
use zip::{ZipWriter, write::SimpleFileOptions};

use crate::error::{FetchError, io as io_error};

/// Of two wheels of one version pip takes the one with the higher build tag ("Binary distribution format", "File name
/// convention"), so that none of the index is taken instead.
const TAG: &str = "-9999999-py3-none-any.whl";

/// Writes a wheel for each extension into a folder.
pub(super) fn write(folder: &Path, extensions: &[Offered]) -> Result<(), FetchError> {
    if extensions.is_empty() {
        return Ok(());
    }
    fs::create_dir_all(folder).map_err(io_error("create", folder))?;
    for extension in extensions {
        let path = folder.join(file_name(extension));
        wheel(&path, extension).map_err(io_error("write", path))?;
    }
    Ok(())
}

/// Whether a file that pip brought is one of these.
pub(super) fn is_one(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    name.ends_with(TAG)
}

fn stem(extension: &Offered) -> String {
    let Offered { name, version, .. } = extension;
    format!("{}-{version}", name.replace('-', "_"))
}

fn file_name(extension: &Offered) -> String {
    format!("{}{TAG}", stem(extension))
}

fn wheel(path: &Path, extension: &Offered) -> io::Result<()> {
    let mut metadata = format!(
        "Metadata-Version: 2.1\nName: {}\nVersion: {}\n",
        extension.name, extension.version
    );
    for line in &extension.depends {
        metadata.push_str(&format!("Requires-Dist: {line}\n"));
    }
    let stem = stem(extension);
    let record = ["METADATA", "WHEEL", "RECORD"].map(|name| format!("{stem}.dist-info/{name},,\n"));
    let files = [
        ("METADATA", metadata),
        (
            "WHEEL",
            "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
        ),
        ("RECORD", record.concat()),
    ];
    let mut archive = ZipWriter::new(File::create(path)?);
    for (name, text) in files {
        let name = format!("{stem}.dist-info/{name}");
        archive.start_file(name, SimpleFileOptions::default())?;
        archive.write_all(text.as_bytes())?;
    }
    archive.finish()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    #[test]
    fn a_wheel_says_what_is_required() {
        let folder = tempfile::tempdir().unwrap();
        let extension = Offered {
            name: "two-words".into(),
            version: "1.0".into(),
            depends: vec!["idna>=2.0".into()],
        };
        write(folder.path(), &[extension]).unwrap();
        let path = folder.path().join("two_words-1.0-9999999-py3-none-any.whl");
        assert!(is_one(&path) && !is_one(Path::new("two_words-1.0-py3-none-any.whl")));
        let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
        let mut files = BTreeMap::new();
        for at in 0..archive.len() {
            let mut entry = archive.by_index(at).unwrap();
            let mut text = String::new();
            io::Read::read_to_string(&mut entry, &mut text).unwrap();
            files.insert(entry.name().to_owned(), text);
        }
        let metadata = &files["two_words-1.0.dist-info/METADATA"];
        assert!(
            metadata.contains("Requires-Dist: idna>=2.0\n"),
            "{metadata}"
        );
        assert_eq!(files.len(), 3);
    }
}
