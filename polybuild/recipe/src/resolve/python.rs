//! `RecipeFile` to `Layer`: `[python]`.

use super::{layer::PythonLayer, lower::Lower};
use crate::{
    ProblemKind, requirement, value,
    written::{At, PythonTable},
};

impl Lower<'_> {
    pub(super) fn python(&mut self, table: Option<&At<PythonTable>>) -> PythonLayer {
        let Some(At { value: table, .. }) = table else {
            return PythonLayer::default();
        };
        if let Some(at) = &table.version {
            let parts: Vec<&str> = at.value.split('.').collect();
            let number = |part: &&str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
            let ok = parts.len() == 3 && parts.iter().all(number);
            self.want(
                ok,
                at,
                "a version of Python with its three numbers, `3.12.0`",
            );
        }
        for at in [&table.platform, &table.machine].into_iter().flatten() {
            self.want(value::is_name(&at.value), at, "a name");
        }
        let mut lines = Vec::new();
        for at in &table.packages {
            match requirement::parse(&at.value) {
                Ok(requirement) => lines.push(requirement.line().to_owned()),
                Err(why) => self.fail(
                    &at.span,
                    ProblemKind::Requirement {
                        what: format!("`{}`", at.value),
                        why,
                    },
                ),
            }
        }
        if let Some(at) = &table.requirements {
            self.requirements(at, &mut lines);
        }
        let asked = table.packages.first().or(table.requirements.as_ref());
        let asked = asked.or(table.compile.first());
        PythonLayer {
            version: table.version.as_ref().map(|at| at.value.clone()),
            prefix: table.prefix.as_ref().map(|at| self.image_path(at)),
            platform: table.platform.as_ref().map(|at| at.value.clone()),
            machine: table.machine.as_ref().map(|at| at.value.clone()),
            module: table.module.as_ref().map(|at| at.value.clone()),
            wheels: table.wheels.as_ref().map(|at| self.image_path(at)),
            compile: table.compile.iter().map(|at| self.image_path(at)).collect(),
            requirements: lines,
            place: asked.map(|at| self.place(&at.span)),
        }
    }

    /// Adds the lines of a requirements file.
    fn requirements(&mut self, at: &At<String>, lines: &mut Vec<String>) {
        let path = at.value.strip_prefix("path:");
        self.want(
            path.is_some(),
            at,
            "a `path:` reference to a requirements file",
        );
        let local = self.local(at, path.unwrap_or(&at.value));
        // One that is not there was reported just now.
        let Ok(bytes) = std::fs::read(&local.path) else {
            if local.path.is_dir() {
                let message = "`requirements` names a folder, and not a file";
                self.fail(&at.span, ProblemKind::Keys { message });
            }
            return;
        };
        let Ok(text) = String::from_utf8(bytes) else {
            let message = "the requirements file is not UTF-8";
            self.fail(&at.span, ProblemKind::Keys { message });
            return;
        };
        let (found, wrong) = requirement::parse_file(&text);
        lines.extend(
            found
                .iter()
                .map(|requirement| requirement.line().to_owned()),
        );
        for (number, line, why) in wrong {
            let what = format!("`{line}` in line {number} of {}", local.name);
            self.fail(&at.span, ProblemKind::Requirement { what, why });
        }
    }
}
