//! Reading one layer: stored bytes, decompression, tar, and the comparison with both digests.

use std::io::{self, Read};

use megabinary_format::Digest;
use oci_spec::image::{ImageManifest, MediaType};

use super::{
    Form, LayerSource, ReadError, ReadImage,
    entries::{self, Head, Refused},
};
use crate::{
    decode::Decoder,
    hashing::Hashing,
    image::{self, Image},
    json,
    layer::Layer,
    path,
    store::{Blob, BlobStore},
};

/// Ends with an error instead of giving more than `left` bytes.
struct Limited<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Limited<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let n = self.inner.read(buffer)?;
        self.left = self.left.checked_sub(n as u64).ok_or_else(|| {
            io::Error::new(
                io::ErrorKind::FileTooLarge,
                "a layer is larger than is accepted",
            )
        })?;
        Ok(n)
    }
}

impl ReadImage {
    /// Visits the entries of a layer; afterwards its digests have been checked.
    pub(super) fn read_layer(
        &self,
        number: usize,
        layer: &LayerSource,
        visit: &mut dyn FnMut(&Head, &mut dyn Read) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        let (file, size) = self.files.reader(&layer.file)?;
        self.check_size(number, layer, size)?;
        let decoder = Decoder::new(Hashing::new(file)).map_err(|e| self.failed(e))?;
        let mut archive = tar::Archive::new(Hashing::new(Limited {
            inner: decoder,
            left: self.limits.layer_bytes,
        }));
        let walked = archive
            .entries()
            .map_err(Refused::Io)
            .and_then(|entries| entries::walk(entries, |head, entry| visit(head, entry)));
        match walked {
            Ok(()) => {}
            Err(Refused::Io(cause)) => return Err(self.failed(cause)),
            Err(Refused::Visitor(error)) => return Err(error),
            Err(Refused::Extension(entry, problem)) => {
                return Err(ReadError::Entry {
                    entry: path::show(&entry),
                    problem: problem.into(),
                });
            }
        }
        // What follows the end of the tar is part of what was hashed when the image was made.
        let mut tar = archive.into_inner();
        io::copy(&mut tar, &mut io::sink()).map_err(|e| self.failed(e))?;
        let (diff_id, _, limited) = tar.finish();
        let stored = limited.inner.drain().map_err(|e| self.failed(e))?;
        self.check(
            format!("layer {number}, uncompressed,"),
            layer.diff_id,
            diff_id,
        )?;
        match layer.stored {
            Some((expected, _)) => {
                self.check(format!("layer {number}"), expected, stored.finish().0)
            }
            None => Ok(()),
        }
    }

    /// The image as blobs in `store`, to be exported or pushed. Layers of a docker archive are
    /// compressed; all else stays as it is.
    pub fn to_image(&self, store: &BlobStore) -> Result<Image, ReadError> {
        let media_types = self.media_types()?;
        let mut layers = Vec::new();
        for (number, (layer, media_type)) in self.layers.iter().zip(media_types).enumerate() {
            // Also refuses what reading would refuse: an image we pass on is one we can read.
            self.read_layer(number, layer, &mut |_, _| Ok(()))?;
            let (mut file, _) = self.files.reader(&layer.file)?;
            let (blob, ()) = store.put_with(|to| {
                let copied = if self.form == Form::DockerArchive {
                    Decoder::new(&mut file).and_then(|mut tar| {
                        crate::layer::compress(to, |gzip| io::copy(&mut tar, gzip))
                    })
                } else {
                    io::copy(&mut file, to)
                };
                copied.map(drop).map_err(|e| self.failed(e))
            })?;
            if let Some((expected, _)) = layer.stored {
                self.check(format!("layer {number}"), expected, blob.digest)?;
            }
            layers.push(Layer {
                media_type,
                digest: blob.digest,
                diff_id: layer.diff_id,
                size: blob.size,
                path: blob.path,
            });
        }
        let config = store.put(&self.config_bytes)?;
        let manifest = match &self.manifest {
            Some((_, bytes)) => store.put(bytes)?,
            None => self.new_manifest(store, &config, &layers)?,
        };
        Ok(Image {
            manifest,
            config,
            layers,
        })
    }

    fn media_types(&self) -> Result<Vec<MediaType>, ReadError> {
        let Some((digest, bytes)) = &self.manifest else {
            return Ok(vec![MediaType::ImageLayerGzip; self.layers.len()]);
        };
        let manifest: ImageManifest = super::oci::parse(&self.path, &digest.hex(), bytes)?;
        Ok(manifest
            .layers()
            .iter()
            .map(|l| l.media_type().clone())
            .collect())
    }

    fn new_manifest(
        &self,
        store: &BlobStore,
        config: &Blob,
        layers: &[Layer],
    ) -> Result<Blob, ReadError> {
        let manifest = image::manifest(config, layers, Default::default())
            .map_err(|e| e.to_string())
            .and_then(|m| json::canonical(&m).map_err(|e| e.to_string()))
            .map_err(|problem| ReadError::Document {
                path: self.path.clone(),
                file: "manifest".into(),
                problem,
            })?;
        Ok(store.put(&manifest)?)
    }

    fn check_size(&self, number: usize, layer: &LayerSource, found: u64) -> Result<(), ReadError> {
        match layer.stored {
            Some((_, expected)) if expected != found => Err(ReadError::Size {
                path: self.path.clone(),
                what: format!("layer {number}"),
                expected,
                found,
            }),
            _ => Ok(()),
        }
    }

    fn check(&self, what: String, expected: Digest, found: Digest) -> Result<(), ReadError> {
        if expected == found {
            return Ok(());
        }
        Err(ReadError::Digest {
            path: self.path.clone(),
            what,
            expected,
            found,
        })
    }
}
