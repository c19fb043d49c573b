//! The bill of materials of an image, as SPDX 2.3 JSON (ISO/IEC 5962 lineage; read by syft, grype,
//! trivy and the registries that show one).
//!
//! Deterministic: packages are sorted by package URL, identifiers are derived from contents, and
//! `created` is the image's epoch. What the recipe does not say is `NOASSERTION`, never guessed.

use megabinary_format::Digest;
use serde::Serialize;

use crate::{json, time::Epoch};

/// One thing that went into an image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Component {
    /// Name, `cpython`.
    pub name: String,
    /// Version as its packager writes it.
    pub version: String,
    /// Package URL, `pkg:pypi/jinja2@3.1.4`.
    pub purl: Option<String>,
    /// SPDX licence expression, if known.
    pub license: Option<String>,
    /// SHA-256 of what was fetched, if the component is one file.
    pub sha256: Option<Digest>,
    /// Where it was taken from, in words.
    pub source: Option<String>,
    /// What a reader has to know, in words.
    pub comment: Option<String>,
    /// What was changed in it, a patch each.
    pub patches: Vec<String>,
    /// Whether it only took part in the build.
    pub build_only: bool,
}

/// The image that the document describes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subject<'a> {
    /// Name with tag, `vkernel/python:3.12`.
    pub name: &'a str,
    /// Version of what it packages.
    pub version: &'a str,
    /// Digest of the megabinary (the manifest's cannot be known inside the image); `None`: it is not
    /// built yet.
    pub megabinary: Option<&'a Digest>,
}

const NOASSERTION: &str = "NOASSERTION";
const CREATOR: &str = "Tool: polybuild";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Document<'a> {
    spdx_version: &'static str,
    data_license: &'static str,
    #[serde(rename = "SPDXID")]
    id: &'static str,
    name: &'a str,
    document_namespace: String,
    creation_info: CreationInfo,
    packages: Vec<Package<'a>>,
    relationships: Vec<Relationship>,
}

#[derive(Serialize)]
struct CreationInfo {
    created: String,
    creators: [&'static str; 1],
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Package<'a> {
    #[serde(rename = "SPDXID")]
    id: String,
    name: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    version_info: &'a str,
    download_location: &'static str,
    files_analyzed: bool,
    license_concluded: &'static str,
    license_declared: &'a str,
    copyright_text: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    source_info: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    comment: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    annotations: Vec<Annotation<'a>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    checksums: Vec<Checksum>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    external_refs: Vec<ExternalRef<'a>>,
    primary_package_purpose: &'static str,
}

/// SPDX 2.3, clause 12.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Annotation<'a> {
    annotation_date: String,
    annotation_type: &'static str,
    annotator: &'static str,
    comment: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Checksum {
    algorithm: &'static str,
    checksum_value: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ExternalRef<'a> {
    reference_category: &'static str,
    reference_type: &'static str,
    reference_locator: &'a str,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Relationship {
    spdx_element_id: String,
    relationship_type: &'static str,
    related_spdx_element: String,
}

/// The document, as bytes ending in a line feed.
pub fn spdx(
    subject: &Subject<'_>,
    components: &[Component],
    created: Epoch,
) -> serde_json::Result<Vec<u8>> {
    let mut sorted: Vec<&Component> = components.iter().collect();
    sorted.sort_by(|a, b| (&a.purl, &a.name, &a.sha256).cmp(&(&b.purl, &b.name, &b.sha256)));
    sorted.dedup();

    let image_id = "SPDXRef-Image".to_owned();
    let mut packages = vec![Package {
        id: image_id.clone(),
        name: subject.name,
        version_info: subject.version,
        download_location: NOASSERTION,
        files_analyzed: false,
        license_concluded: NOASSERTION,
        license_declared: NOASSERTION,
        copyright_text: NOASSERTION,
        source_info: None,
        comment: None,
        annotations: Vec::new(),
        checksums: subject.megabinary.into_iter().map(sha256).collect(),
        external_refs: Vec::new(),
        primary_package_purpose: "CONTAINER",
    }];
    let mut relationships = vec![Relationship {
        spdx_element_id: "SPDXRef-DOCUMENT".into(),
        relationship_type: "DESCRIBES",
        related_spdx_element: image_id.clone(),
    }];
    for component in &sorted {
        let id = identifier(component);
        let (from, relationship_type, to) = match component.build_only {
            true => (&id, "BUILD_DEPENDENCY_OF", &image_id),
            false => (&image_id, "CONTAINS", &id),
        };
        relationships.push(Relationship {
            spdx_element_id: from.clone(),
            relationship_type,
            related_spdx_element: to.clone(),
        });
        packages.push(Package {
            id,
            name: &component.name,
            version_info: &component.version,
            download_location: NOASSERTION,
            files_analyzed: false,
            license_concluded: NOASSERTION,
            license_declared: component.license.as_deref().unwrap_or(NOASSERTION),
            copyright_text: NOASSERTION,
            source_info: component.source.as_deref(),
            comment: component.comment.as_deref(),
            annotations: component
                .patches
                .iter()
                .map(|comment| Annotation {
                    annotation_date: created.to_string(),
                    annotation_type: "OTHER",
                    annotator: CREATOR,
                    comment,
                })
                .collect(),
            checksums: component.sha256.iter().map(sha256).collect(),
            external_refs: component
                .purl
                .iter()
                .map(|purl| ExternalRef {
                    reference_category: "PACKAGE-MANAGER",
                    reference_type: "purl",
                    reference_locator: purl,
                })
                .collect(),
            primary_package_purpose: "LIBRARY",
        });
    }
    // The namespace must be a URI that no other document has; it need not be reachable.
    let mut identity = format!("{subject:?}{created}");
    for component in &sorted {
        identity.push_str(&identifier(component));
    }
    let document = Document {
        spdx_version: "SPDX-2.3",
        data_license: "CC0-1.0",
        id: "SPDXRef-DOCUMENT",
        name: subject.name,
        document_namespace: format!("urn:vkernel:spdx:{}", Digest::of(identity.as_bytes()).hex()),
        creation_info: CreationInfo {
            created: created.to_string(),
            creators: [CREATOR],
        },
        packages,
        relationships,
    };
    let mut bytes = json::canonical(&document)?;
    bytes.push(b'\n');
    Ok(bytes)
}

/// `SPDXRef-` and letters, digits, `.` and `-`, unique per component.
fn identifier(component: &Component) -> String {
    // All of it: two components that differ in anything are two, and so are two documents.
    let identity = format!("{component:?}");
    let digest = Digest::of(identity.as_bytes()).hex();
    let readable: String = component
        .name
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .collect();
    format!(
        "SPDXRef-{readable}-{}",
        digest.get(..12).unwrap_or_default()
    )
}

fn sha256(digest: &Digest) -> Checksum {
    Checksum {
        algorithm: "SHA256",
        checksum_value: digest.hex(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(name: &str) -> Component {
        Component {
            name: name.into(),
            version: "1".into(),
            purl: Some(format!("pkg:pypi/{name}@1")),
            license: None,
            sha256: Some(Digest::of(name.as_bytes())),
            source: None,
            comment: None,
            patches: vec!["a.patch, for CVE-2025-26519".into()],
            build_only: false,
        }
    }

    #[test]
    fn order_and_repetition_do_not_matter() {
        let megabinary = Digest::of(b"m");
        let subject = Subject {
            name: "a/b:1",
            version: "1",
            megabinary: Some(&megabinary),
        };
        let (a, b) = (component("a"), component("b"));
        let one = spdx(&subject, &[a.clone(), b.clone()], Epoch::default()).unwrap();
        let two = spdx(
            &subject,
            &[b.clone(), a.clone(), a.clone()],
            Epoch::default(),
        )
        .unwrap();
        assert_eq!(one, two);
        let other = spdx(&subject, &[a], Epoch::default()).unwrap();
        assert_ne!(one, other);

        let value: serde_json::Value = serde_json::from_slice(&one).unwrap();
        assert_eq!(value["spdxVersion"], "SPDX-2.3");
        assert_eq!(value["packages"].as_array().unwrap().len(), 3);
        assert_eq!(
            value["packages"][2]["externalRefs"][0]["referenceLocator"],
            b.purl.unwrap()
        );
        let annotation = &value["packages"][2]["annotations"][0];
        assert_eq!(annotation["comment"], "a.patch, for CVE-2025-26519");
        let mut ids: Vec<_> = value["packages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|p| p["SPDXID"].to_string())
            .collect();
        ids.dedup();
        assert_eq!(ids.len(), 3);
    }
}
