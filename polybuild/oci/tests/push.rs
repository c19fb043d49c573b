//! Pushing, against a small registry in this process. Real ones are in `tests/containers`.
#![allow(
    clippy::unwrap_used,
    reason = "a failed unwrap is a failed test, with its line"
)]

mod common;

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex, mpsc},
};

use common::image;
use megabinary_format::Digest;
use polybuild_oci::{
    BlobStore, Image,
    push::{Credentials, Progress, PushError, Pushed, push},
};

/// What a registry holds: path below `/v2/` → bytes.
type Held = Arc<Mutex<BTreeMap<String, Vec<u8>>>>;

struct Registry {
    address: String,
    held: Held,
}

/// How the registry treats strangers.
#[derive(Clone, Copy, PartialEq)]
enum Manner {
    Open,
    /// Only `Basic dTpz` (u:s) may do anything.
    Closed,
    /// Answers uploads with 507.
    Full,
    /// Lists what names an image as its subject.
    Referrers,
}

impl Registry {
    fn start(manner: Manner) -> Registry {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let held = Held::default();
        let shared = held.clone();
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                serve(stream, &shared, manner);
            }
        });
        Registry { address, held }
    }

    fn push(
        &self,
        image: &Image,
        credentials: &Credentials,
    ) -> Result<(Pushed, Vec<Progress>), PushError> {
        let name = format!("{}/a/b:1", self.address).parse().unwrap();
        let (sender, receiver) = mpsc::channel();
        let pushed = push(image, &name, credentials, true, None, move |event| {
            sender.send(event).unwrap();
        })?;
        Ok((pushed, receiver.into_iter().collect()))
    }
}

/// One request of the distribution specification; the connection is closed after it.
fn serve(stream: TcpStream, held: &Held, manner: Manner) {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let mut words = line.split_whitespace().map(str::to_owned);
    let (Some(method), Some(target)) = (words.next(), words.next()) else {
        return;
    };
    let (mut length, mut authorized) = (0, manner != Manner::Closed);
    loop {
        let mut header = String::new();
        reader.read_line(&mut header).unwrap();
        let lower = header.trim().to_ascii_lowercase();
        if lower.is_empty() {
            break;
        }
        if let Some(n) = lower.strip_prefix("content-length:") {
            length = n.trim().parse().unwrap();
        }
        authorized |= header.trim().ends_with("Basic dTpz");
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).unwrap();

    let (path, query) = target.split_once('?').unwrap_or((&target, ""));
    let mut held = held.lock().unwrap();
    let uploaded = |held: &mut BTreeMap<String, Vec<u8>>| held.remove("upload").unwrap_or_default();
    let status = match (method.as_str(), path) {
        _ if !authorized => "401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"test\"",
        ("GET", "/v2/") => "200 OK",
        ("GET", path) => {
            let answer = match path.rsplit_once("/referrers/") {
                Some((_, subject)) if manner == Manner::Referrers => {
                    Some((INDEX.to_owned(), referrers(&held, subject)))
                }
                _ => held.get(path).map(|bytes| (kind(bytes), bytes.clone())),
            };
            let (status, kind, body) = match answer {
                Some((kind, body)) => ("200 OK", kind, body),
                None => ("404 Not Found", "text/plain".to_owned(), Vec::new()),
            };
            let head = format!(
                "HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
                 Connection: close\r\n\r\n",
                body.len()
            );
            let stream = reader.get_mut();
            stream.write_all(head.as_bytes()).unwrap();
            stream.write_all(&body).unwrap();
            return;
        }
        ("HEAD", path) if held.contains_key(path) => "200 OK",
        ("HEAD", _) => "404 Not Found",
        ("POST", _) if manner == Manner::Full => "507 Insufficient Storage",
        ("POST", _) => "202 Accepted\r\nLocation: /v2/a/b/blobs/uploads/1",
        ("PATCH", _) => {
            held.entry("upload".into())
                .or_default()
                .extend_from_slice(&body);
            "202 Accepted\r\nLocation: /v2/a/b/blobs/uploads/1"
        }
        ("PUT", path) if path.contains("/uploads/") => {
            let bytes = uploaded(&mut held);
            let digest = query.trim_start_matches("digest=").replace("%3A", ":");
            if Digest::of(&bytes).to_string() == digest {
                held.insert(format!("/v2/a/b/blobs/{digest}"), bytes);
                "201 Created\r\nLocation: /v2/a/b/blobs/x"
            } else {
                "400 Bad Request"
            }
        }
        ("PUT", path) => {
            held.insert(path.into(), body);
            "201 Created\r\nLocation: /v2/a/b/manifests/x"
        }
        _ => "405 Method Not Allowed",
    };
    let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
    reader.get_mut().write_all(answer.as_bytes()).unwrap();
}

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// The media type that a manifest gives itself.
fn kind(manifest: &[u8]) -> String {
    let value: serde_json::Value = serde_json::from_slice(manifest).unwrap_or_default();
    value["mediaType"]
        .as_str()
        .unwrap_or("text/plain")
        .to_owned()
}

/// The index of manifests whose subject is this digest.
fn referrers(held: &BTreeMap<String, Vec<u8>>, subject: &str) -> Vec<u8> {
    let manifests: Vec<_> = held
        .iter()
        .filter(|(path, _)| path.contains("/manifests/sha256:"))
        .filter(|(_, bytes)| {
            let value: serde_json::Value = serde_json::from_slice(bytes).unwrap_or_default();
            value["subject"]["digest"] == subject
        })
        .map(|(_, bytes)| {
            serde_json::json!({
                "mediaType": kind(bytes),
                "digest": Digest::of(bytes).to_string(),
                "size": bytes.len(),
            })
        })
        .collect();
    serde_json::to_vec(&serde_json::json!({
        "schemaVersion": 2, "mediaType": INDEX, "manifests": manifests,
    }))
    .unwrap()
}

fn with_image(test: impl FnOnce(&Image)) {
    let home = tempfile::tempdir().unwrap();
    test(&image(&BlobStore::open(home.path()).unwrap()));
}

#[test]
fn everything_arrives_and_is_sent_once() {
    with_image(|image| {
        let registry = Registry::start(Manner::Open);
        let (pushed, events) = registry.push(image, &Credentials::Anonymous).unwrap();
        assert_eq!(pushed.sent, image.compressed_size());
        assert!(
            pushed
                .by_digest
                .ends_with(&format!("/a/b@{}", image.manifest.digest))
        );
        let sent: u64 = events
            .iter()
            .map(|e| {
                if let Progress::Sent { bytes, .. } = e {
                    *bytes
                } else {
                    0
                }
            })
            .sum();
        assert_eq!(sent, image.compressed_size() - image.manifest.size);
        let manifest = registry.held.lock().unwrap()["/v2/a/b/manifests/1"].clone();
        assert_eq!(Digest::of(&manifest), image.manifest.digest);

        let (pushed, events) = registry.push(image, &Credentials::Anonymous).unwrap();
        assert_eq!(pushed.sent, image.manifest.size);
        assert!(
            events
                .iter()
                .all(|e| matches!(e, Progress::Done { existed: true, .. }))
        );
        assert_eq!(events.len(), 2);
    });
}

#[test]
fn credentials_are_used() {
    with_image(|image| {
        let registry = Registry::start(Manner::Closed);
        let basic = |password: &str| Credentials::Basic {
            user: "u".into(),
            password: password.into(),
        };
        registry.push(image, &basic("s")).unwrap();
        for wrong in [Credentials::Anonymous, basic("wrong")] {
            let error = registry.push(image, &wrong).unwrap_err();
            assert!(matches!(error, PushError::Unauthorized { .. }), "{error}");
            assert!(error.to_string().contains("docker login"), "{error}");
            assert!(!error.to_string().contains("wrong"), "{error}");
        }
    });
}

#[test]
fn refusals() {
    with_image(|image| {
        let registry = Registry::start(Manner::Full);
        let error = registry.push(image, &Credentials::Anonymous).unwrap_err();
        assert!(error.to_string().contains("507"), "{error}");
        assert!(registry.held.lock().unwrap().is_empty());

        let nobody = TcpListener::bind("127.0.0.1:0")
            .unwrap()
            .local_addr()
            .unwrap();
        let name = format!("{nobody}/a:1").parse().unwrap();
        let error = push(image, &name, &Credentials::Anonymous, true, None, |_| {}).unwrap_err();
        assert!(matches!(error, PushError::Unreachable { .. }), "{error}");
        assert!(error.to_string().contains("refused"), "{error}");

        // Speaking TLS to a registry that does not.
        let registry = Registry::start(Manner::Open);
        let name = format!("{}/a:1", registry.address).parse().unwrap();
        let error = push(image, &name, &Credentials::Anonymous, false, None, |_| {}).unwrap_err();
        assert!(matches!(error, PushError::Unreachable { .. }), "{error}");

        let name = "example.com/a:1".parse().unwrap();
        let error = push(image, &name, &Credentials::Anonymous, true, None, |_| {}).unwrap_err();
        assert!(matches!(error, PushError::InsecureHost(_)), "{error}");
    });
}

#[test]
fn a_vanished_blob() {
    with_image(|image| {
        let registry = Registry::start(Manner::Open);
        std::fs::remove_file(&image.layers[0].path).unwrap();
        let error = registry.push(image, &Credentials::Anonymous).unwrap_err();
        assert!(matches!(error, PushError::Blob { .. }), "{error}");
        assert!(
            !registry
                .held
                .lock()
                .unwrap()
                .keys()
                .any(|k| k.contains("manifests"))
        );
    });
}

/// A document is attached to the image: listed by the registry, or by the tag that stands in for that.
#[test]
fn a_document_is_attached() {
    use polybuild_oci::push::{Attachment, SPDX};
    with_image(|image| {
        for manner in [Manner::Open, Manner::Referrers] {
            let registry = Registry::start(manner);
            let name = format!("{}/a/b:1", registry.address).parse().unwrap();
            let subject = image.manifest.digest.to_string();
            let tag = format!("/v2/a/b/manifests/{}", subject.replace(':', "-"));
            let attach = |bytes: &[u8]| {
                let document = Attachment {
                    media_type: SPDX,
                    title: "sbom.spdx.json",
                    bytes,
                };
                push(
                    image,
                    &name,
                    &Credentials::Anonymous,
                    true,
                    Some(document),
                    |_| {},
                )
                .unwrap();
            };
            // Somebody else's entry under the tag stays.
            let other = Digest::of(b"other").to_string();
            if manner == Manner::Open {
                let entry = serde_json::json!({
                    "mediaType": "application/vnd.oci.image.manifest.v1+json",
                    "digest": other, "size": 5,
                });
                let index = serde_json::json!({
                    "schemaVersion": 2, "mediaType": INDEX, "manifests": [entry],
                });
                let mut held = registry.held.lock().unwrap();
                held.insert(tag.clone(), serde_json::to_vec(&index).unwrap());
            }
            attach(b"one");
            attach(b"one");
            attach(b"two");
            let held = registry.held.lock().unwrap();
            let listed = match manner {
                Manner::Open => held[&tag].clone(),
                _ => {
                    assert!(!held.contains_key(&tag), "the registry lists them itself");
                    referrers(&held, &subject)
                }
            };
            let listed: serde_json::Value = serde_json::from_slice(&listed).unwrap();
            let listed = listed["manifests"].as_array().unwrap();
            let digests: Vec<_> = listed
                .iter()
                .map(|e| e["digest"].as_str().unwrap())
                .collect();
            let ours: Vec<_> = digests.iter().filter(|d| **d != other).collect();
            assert_eq!(ours.len(), 2, "{digests:?}");
            assert_eq!(digests.contains(&other.as_str()), manner == Manner::Open);
            for digest in ours {
                let manifest = &held[&format!("/v2/a/b/manifests/{digest}")];
                let manifest: serde_json::Value = serde_json::from_slice(manifest).unwrap();
                assert_eq!(manifest["artifactType"], SPDX);
                assert_eq!(manifest["subject"]["digest"], subject);
                assert_eq!(manifest["subject"]["size"], image.manifest.size);
                let blob = manifest["layers"][0]["digest"].as_str().unwrap();
                let bytes = &held[&format!("/v2/a/b/blobs/{blob}")];
                assert!([&b"one"[..], b"two"].contains(&bytes.as_slice()));
                let config = manifest["config"]["digest"].as_str().unwrap();
                assert_eq!(held[&format!("/v2/a/b/blobs/{config}")], b"{}");
            }
            let tagged = Digest::of(&held["/v2/a/b/manifests/1"]);
            assert_eq!(tagged, image.manifest.digest);
        }
    });
}
