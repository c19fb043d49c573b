//! `RecipeFile` to `Layer`: files, trees, image settings, policy, components.

use std::{collections::BTreeMap, ops::Range};

use megabinary_format::{Limit, Limits, NetworkRule};

use super::{
    layer::{ImageLayer, PolicyLayer, Target},
    lower::Lower,
};
use crate::{
    Component, Content, ImageFile, Patterns, ProblemKind, Tree, TreeEntry, value,
    written::{
        Amount, At, ComponentTable, FileTable, ImageTable, NetworkValue, PolicyTable, TreeTable,
    },
};

impl Lower<'_> {
    /// Environment variables, whose names are checked.
    pub(super) fn env(&mut self, env: &BTreeMap<At<String>, String>) -> BTreeMap<String, String> {
        for (name, value) in env {
            let ok = !name.value.is_empty() && !name.value.contains(['=', '\0']);
            self.want(ok, name, "the name of an environment variable");
            // They are the operator's words to the launcher: which key to trust, what to allow.
            self.want(
                !name.value.starts_with("VKERNEL_"),
                name,
                "a variable that a recipe may set: names that begin with `VKERNEL_` are for whoever \
                 runs the image",
            );
            self.want(
                !value.contains('\0'),
                name,
                "set to a usable value: it has a NUL",
            );
        }
        env.iter()
            .map(|(k, v)| (k.value.clone(), v.clone()))
            .collect()
    }

    pub(super) fn file(&mut self, table: &FileTable) -> ImageFile {
        let path = self.image_path(&table.path);
        self.link(&table.path, Target::Path(path.clone()));
        let content = match (&table.source, &table.text, &table.link, table.directory) {
            (Some(source), None, None, false) => Content::Copy(self.reference(source)),
            (None, Some(text), None, false) => Content::Text(text.clone()),
            (None, None, Some(link), false) => {
                let ok = !link.value.is_empty() && !link.value.contains('\0');
                self.want(ok, link, "the target of a link");
                Content::Link(link.value.clone())
            }
            (None, None, None, true) => Content::Directory,
            _ => {
                let message =
                    "a file has exactly one of `source`, `text`, `link` and `directory = true`";
                self.fail(&table.path.span, ProblemKind::Keys { message });
                Content::Directory
            }
        };
        let exclude = self.patterns(&table.exclude);
        if let (false, Some(first)) = (matches!(content, Content::Copy(_)), table.exclude.first()) {
            let message = "only of a folder that is copied, by `source`, something can be left out";
            self.fail(&first.span, ProblemKind::Keys { message });
        }
        if let (Content::Link(_), Some(mode)) = (&content, &table.mode) {
            let message = "a symbolic link has no permissions of its own";
            self.fail(&mode.span, ProblemKind::Keys { message });
        }
        let default = match content {
            Content::Directory => 0o755,
            Content::Link(_) => 0o777,
            _ => 0o644,
        };
        let mode = table.mode.as_ref().map_or(Some(default), |at| {
            let mode = value::mode(&at.value);
            self.want(mode.is_some(), at, "a mode: three or four octal digits");
            mode
        });
        let owner = table.owner.as_ref().and_then(|at| {
            let owner = value::owner(&at.value);
            self.want(owner.is_some(), at, "an owner: `UID:GID`, in numbers");
            owner
        });
        ImageFile {
            path,
            content,
            exclude,
            owner,
            mode: mode.unwrap_or(default),
        }
    }

    pub(super) fn tree(&mut self, table: &TreeTable) -> Tree {
        if table.entry.is_empty() {
            let message = "a tree has one entry at least";
            self.fail(&table.mount.span, ProblemKind::Keys { message });
        }
        let mut entries = Vec::new();
        for At { value: entry, .. } in &table.entry {
            let exclude = self.patterns(&entry.exclude);
            let to = entry.to.as_ref();
            entries.push(TreeEntry {
                source: self.reference(&entry.source),
                to: to.map(|at| self.relative_path(at, "a path in the tree")),
                exclude,
            });
        }
        let mount = self.image_path(&table.mount);
        self.link(&table.mount, Target::Path(mount.clone()));
        Tree { mount, entries }
    }

    /// Patterns of names to leave out.
    fn patterns(&mut self, patterns: &[At<String>]) -> Patterns {
        for at in patterns {
            let ok = !at.value.is_empty() && !at.value.contains('/');
            self.want(ok, at, "a pattern for one name: it is empty or has a slash");
        }
        Patterns(patterns.iter().map(|at| at.value.clone()).collect())
    }

    pub(super) fn component(&mut self, table: &ComponentTable) -> Component {
        if let Some(purl) = &table.purl {
            // Package URL specification: scheme, type, name; the type is lower-case.
            let body = purl.value.strip_prefix("pkg:").unwrap_or_default();
            let (kind, name) = body.split_once('/').unwrap_or_default();
            let ok = kind.starts_with(|c: char| c.is_ascii_lowercase()) && !name.is_empty();
            self.want(ok, purl, "a package URL, `pkg:TYPE/NAME@VERSION`");
        }
        match (&table.source, &table.version) {
            (Some(source), _) => self.link(
                source,
                Target::Component {
                    source: source.value.clone(),
                    says: table.version.is_some() || table.purl.is_some(),
                },
            ),
            (None, None) => {
                let message = "a component has a `version`, or a `source` whose version it has";
                self.fail(&table.name.span, ProblemKind::Keys { message });
            }
            (None, Some(_)) => {}
        }
        Component {
            name: table.name.value.clone(),
            source: table.source.as_ref().map(|s| s.value.clone()),
            version: table.version.as_ref().map(|v| v.value.clone()),
            purl: table.purl.as_ref().map(|p| p.value.clone()),
            license: table.license.clone(),
        }
    }

    /// `whole`: the recipe makes an image of its own, so that it may have all settings.
    pub(super) fn image(&mut self, table: Option<&At<ImageTable>>, whole: bool) -> ImageLayer {
        let Some(At { value: table, span }) = table else {
            return ImageLayer::default();
        };
        let only_env = ImageTable {
            env: BTreeMap::new(),
            ..table.clone()
        };
        if !whole && only_env != ImageTable::default() {
            let message = "a recipe of kind `runtime`, `library` or `tool` sets `env` alone in \
                           `[image]`; the rest belongs in recipes of kind `image` and `app`";
            self.fail(span, ProblemKind::Keys { message });
        }
        if let Some(name) = &table.name {
            let ok = value::image_name(&name.value);
            self.want(
                ok,
                name,
                "the name of an image: lower-case letters, digits, `._-/`",
            );
        }
        if let Some(tag) = &table.tag {
            self.want(value::image_tag(&tag.value), tag, "a tag");
        }
        if let Some(user) = &table.user {
            let ok = !user.value.is_empty() && user.value.split(':').all(value::is_name);
            self.want(ok, user, "a user: UID, UID:GID or a name");
        }
        if let Some(signal) = &table.stop_signal {
            let name = signal.value.strip_prefix("SIG").unwrap_or_default();
            let ok = name.starts_with(|c: char| c.is_ascii_uppercase())
                && name
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || "+-".contains(c));
            self.want(ok, signal, "the name of a signal, `SIGTERM`");
        }
        for label in table.labels.keys() {
            self.want(!label.value.is_empty(), label, "the name of a label");
        }
        let mut expose = Vec::new();
        for at in &table.expose {
            let port = value::port(&at.value);
            self.want(port.is_some(), at, "a port, `8080/tcp`");
            expose.extend(port);
        }
        self.env(&table.env);
        ImageLayer {
            name: table.name.as_ref().map(|n| n.value.clone()),
            tag: table.tag.as_ref().map(|t| t.value.clone()),
            env: table
                .env
                .iter()
                .map(|(k, v)| (k.value.clone(), (v.clone(), self.place(&k.span))))
                .collect(),
            entrypoint: table.entrypoint.clone(),
            cmd: table.cmd.clone(),
            user: table.user.as_ref().map(|u| u.value.clone()),
            workdir: table.workdir.as_ref().map(|w| self.folder(w)),
            labels: table
                .labels
                .iter()
                .map(|(k, v)| (k.value.clone(), v.clone()))
                .collect(),
            expose,
            volumes: table.volumes.iter().map(|v| self.image_path(v)).collect(),
            stop_signal: table.stop_signal.as_ref().map(|s| s.value.clone()),
        }
    }

    /// An absolute path in the image; the root is one too.
    fn folder(&mut self, at: &At<String>) -> String {
        match at.value.as_str() {
            "/" => "/".into(),
            _ => self.image_path(at),
        }
    }

    pub(super) fn policy(&mut self, table: Option<&At<PolicyTable>>) -> PolicyLayer {
        let Some(At { value: table, .. }) = table else {
            return PolicyLayer::default();
        };
        let mut limits = Limits::default();
        for (limit, amount) in table.limits() {
            limits.set(limit, self.amount(limit, amount));
        }
        PolicyLayer {
            limits,
            network: table.network.as_ref().map(|at| self.network(at)),
            read_only_root: table.read_only_root,
            read_only: table.read_only.iter().map(|p| self.folder(p)).collect(),
            hidden: table.hidden.iter().map(|p| self.image_path(p)).collect(),
        }
    }

    fn amount(&mut self, limit: Limit, amount: Amount<'_>) -> Option<u64> {
        let (span, text) = match amount {
            Amount::Text(at) => (&at.span, at.value.clone()),
            Amount::Number(at) => (&at.span, at.value.to_string()),
        };
        match limit.parse(&text) {
            Ok(value) => Some(value),
            Err(wanted) => {
                self.bad(span, &text, wanted);
                None
            }
        }
    }

    /// The rules of the network; `None` for all.
    fn network(&mut self, at: &At<NetworkValue>) -> Option<Vec<String>> {
        let texts = match &at.value {
            NetworkValue::Word(word) => match word.as_str() {
                "all" => return None,
                "none" => return Some(Vec::new()),
                "loopback" => {
                    let rules = NetworkRule::loopback();
                    return Some(rules.iter().map(NetworkRule::to_string).collect());
                }
                _ => {
                    let wanted = "`none`, `loopback`, `all` or a list of addresses";
                    self.bad(&at.span, word, wanted);
                    return None;
                }
            },
            NetworkValue::Rules(texts) => texts,
        };
        let mut rules = Vec::new();
        for text in texts {
            match text.parse::<NetworkRule>() {
                Ok(rule) => rules.push(rule),
                Err(_) => self.bad(&at.span, text, RULE),
            }
        }
        rules.sort_unstable();
        rules.dedup();
        Some(rules.iter().map(NetworkRule::to_string).collect())
    }

    fn bad(&mut self, span: &Range<usize>, value: &str, wanted: &'static str) {
        let value = value.to_owned();
        self.fail(span, ProblemKind::BadValue { value, wanted });
    }
}

/// What a rule of the network looks like.
const RULE: &str = "an address with, perhaps, a prefix and ports, such as `192.0.2.7:443`, \
                    `10.0.0.0/8` or `[2001:db8::]/32:8000-8999`; a name of a host is none, because \
                    programs look names up by themselves: write its address";
