//! Python packages with all that they require: the real pip, packages in a folder, no network.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed unwrap is a failed test"
)]

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write as _,
    os::unix::fs::PermissionsExt as _,
    path::PathBuf,
    process::Command,
};

use polybuild_fetch::{Cache, FetchError, Fetcher, Options, Pin, Request, WhyNot};
use polybuild_recipe::{LockedWheel, Python, WantedPackages};
use zip::write::SimpleFileOptions;

/// A folder with packages, and a `pip3` that knows no other.
struct World(tempfile::TempDir);

impl World {
    fn new() -> World {
        let world = World(tempfile::tempdir().unwrap());
        fs::create_dir(world.path("bin")).unwrap();
        fs::create_dir(world.path("packages")).unwrap();
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|folder| folder.join("pip3"))
            .find(|path| path.is_file())
            .unwrap_or_else(|| panic!("pip3 is not installed"));
        let text = format!(
            "#!/bin/sh\nexport PIP_NO_INDEX=1 PIP_FIND_LINKS={}\n\
             exec {} \"$@\"\n",
            world.path("packages").display(),
            real.display()
        );
        let wrapper = world.path("bin/pip3");
        fs::write(&wrapper, text).unwrap();
        fs::set_permissions(&wrapper, fs::Permissions::from_mode(0o755)).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    /// A wheel with these tags that requires others.
    fn wheel(&self, name: &str, version: &str, tags: &str, requires: &[&str]) {
        let file = self.path(&format!("packages/{name}-{version}-{tags}.whl"));
        let mut zip = zip::ZipWriter::new(File::create(file).unwrap());
        let mut add = |path: String, text: String| {
            zip.start_file(path, SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        };
        let info = format!("{name}-{version}.dist-info");
        let mut metadata = format!("Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n");
        for requirement in requires {
            if let Some((_, extra)) = requirement.split_once("extra == ") {
                metadata.push_str(&format!("Provides-Extra: {}\n", extra.trim_matches('\'')));
            }
            metadata.push_str(&format!("Requires-Dist: {requirement}\n"));
        }
        add(format!("{info}/METADATA"), metadata);
        let wheel = format!("Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: {tags}\n");
        add(format!("{info}/WHEEL"), wheel);
        add(format!("{info}/RECORD"), String::new());
        zip.finish().unwrap();
    }

    /// A source distribution whose code leaves a mark.
    fn sdist(&self, name: &str) -> PathBuf {
        let folder = self.path(&format!("{name}-1.0"));
        fs::create_dir_all(&folder).unwrap();
        let mark = format!("open({:?}, 'w').write('ran')\n", self.path("mark"));
        // It brings its build backend itself, so that no other package is needed to run it.
        fs::write(folder.join("evil_backend.py"), mark).unwrap();
        let project = "[build-system]\nrequires = []\nbuild-backend = \"evil_backend\"\n\
                       backend-path = [\".\"]\n";
        fs::write(folder.join("pyproject.toml"), project).unwrap();
        let info = format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n");
        fs::write(folder.join("PKG-INFO"), info).unwrap();
        let archive = self.path(&format!("packages/{name}-1.0.tar.gz"));
        let status = Command::new("tar")
            .arg("czf")
            .args([&archive, &PathBuf::from(format!("{name}-1.0"))])
            .current_dir(self.0.path())
            .status();
        assert!(status.unwrap().success());
        archive
    }

    fn fetcher(&self) -> Fetcher {
        let mut folders = vec![self.path("bin")];
        folders.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let options = Options {
            search_path: std::env::join_paths(folders).unwrap(),
            offline: false,
            snapshots: None,
        };
        Fetcher::new(Cache::new(self.path("cache")), options)
    }

    fn resolve(&self, requirements: &[&str]) -> Result<Vec<LockedWheel>, FetchError> {
        self.resolve_beside(requirements, &[])
    }

    fn resolve_beside(
        &self,
        requirements: &[&str],
        given: &[(&str, &str)],
    ) -> Result<Vec<LockedWheel>, FetchError> {
        let wanted = WantedPackages {
            python: Python {
                version: "3.12.0".into(),
                prefix: "/usr/local".into(),
                platform: "wasi".into(),
                machine: "wasm32".into(),
                compile: Vec::new(),
                wheels: None,
            },
            requirements: requirements.iter().map(|&line| line.into()).collect(),
            extensions: Vec::new(),
        };
        let given: BTreeMap<String, String> = given
            .iter()
            .map(|&(name, version)| (name.into(), version.into()))
            .collect();
        self.fetcher().resolve_python(&wanted, &given, &())
    }

    #[track_caller]
    fn refused(&self, requirements: &[&str]) -> (String, WhyNot) {
        match self.resolve(requirements).unwrap_err() {
            FetchError::NoPureWheel(error) => (error.name, error.why),
            other => panic!("{other}"),
        }
    }

    #[track_caller]
    fn nothing_ran(&self) {
        assert!(!self.path("mark").exists(), "the package's code has run");
    }
}

fn names(wheels: &[LockedWheel]) -> Vec<String> {
    let name = |wheel: &LockedWheel| format!("{}=={}", wheel.name, wheel.version);
    wheels.iter().map(name).collect()
}

const PURE: &str = "py3-none-any";

#[test]
fn conditions_are_those_of_the_image() {
    let world = World::new();
    let requires = [
        "Old; python_version < '3.12'",
        "new; python_version >= '3.12'",
        "here; sys_platform == 'linux'",
        "there; sys_platform == 'wasi' and platform_system == 'Wasi' and platform_machine == 'wasm32'",
        "more; extra == 'more'",
        "full; python_full_version == '3.12.0' and implementation_name == 'cpython'",
    ];
    world.wheel("top_level", "1.0", PURE, &requires);
    for name in ["old", "new", "here", "there", "more", "full"] {
        world.wheel(name, "2", "py2.py3-none-any", &[]);
    }
    let wheels = world.resolve(&["Top.Level"]).unwrap();
    assert_eq!(
        names(&wheels),
        ["full==2", "new==2", "there==2", "top-level==1.0"]
    );
    let wheels = world
        .resolve(&["top-level[more]==1.0 ; python_version > '3'"])
        .unwrap();
    assert!(names(&wheels).contains(&"more==2".to_owned()));
    // What was resolved is had again by its pin, and only as it was.
    let wheel = &wheels[0];
    let _ = fs::remove_dir_all(world.path("cache"));
    let mut request = Request {
        id: wheel.name.clone(),
        url: format!("pypi:{}@{}", wheel.name, wheel.version)
            .parse()
            .unwrap(),
        local: None,
        sha256: None,
        series: None,
        pin: Some(Pin {
            version: wheel.version.clone(),
            sha256: wheel.sha256,
            size: wheel.size,
            package: None,
        }),
    };
    let fetched = world.fetcher().fetch(&request, &()).unwrap();
    assert_eq!((fetched.sha256, fetched.size), (wheel.sha256, wheel.size));
    let _ = fs::remove_dir_all(world.path("cache"));
    request.pin.as_mut().unwrap().sha256.0[0] ^= 1;
    let error = world.fetcher().fetch(&request, &()).unwrap_err();
    assert!(matches!(error, FetchError::Digest(_)), "{error}");
}

#[test]
fn machine_code_is_never_taken() {
    let world = World::new();
    let native = "cp312-cp312-manylinux2014_x86_64";
    world.wheel("Fast_Code", "2.0", native, &[]);
    world.wheel("fast_code", "1.0", "cp38-abi3-musllinux_1_1_x86_64", &[]);
    let (name, why) = world.refused(&["fast-code>=2"]);
    assert_eq!(name, "fast-code>=2");
    assert_eq!(
        why,
        WhyNot::MachineCode(format!("Fast_Code-2.0-{native}.whl"))
    );
    // As something that another one requires.
    world.wheel("top", "1", PURE, &["fast.code"]);
    let (name, why) = world.refused(&["top"]);
    assert_eq!(name, "fast.code");
    assert!(matches!(why, WhyNot::MachineCode(_)), "{why}");
    // A wheel of pure Python beside it is taken.
    world.wheel("fast_code", "2.0", PURE, &[]);
    assert_eq!(
        names(&world.resolve(&["top"]).unwrap()),
        ["fast-code==2.0", "top==1"]
    );
    world.sdist("sources");
    let (name, why) = world.refused(&["sources"]);
    assert_eq!(
        (name.as_str(), why),
        ("sources", WhyNot::Source("sources-1.0.tar.gz".into()))
    );
    world.nothing_ran();
    let (name, why) = world.refused(&["nothing==1"]);
    assert_eq!((name.as_str(), why), ("nothing==1", WhyNot::Unknown));
}

#[test]
fn what_is_given_is_agreed_with() {
    let world = World::new();
    world.wheel("top", "1", PURE, &["low"]);
    world.wheel("low", "1", PURE, &[]);
    world.wheel("low", "2", PURE, &[]);
    assert_eq!(
        names(&world.resolve(&["top"]).unwrap()),
        ["low==2", "top==1"]
    );
    let beside = world.resolve_beside(&["top"], &[("low", "1"), ("other", "7")]);
    assert_eq!(names(&beside.unwrap()), ["low==1", "top==1"]);
    assert!(world.resolve_beside(&["low==2"], &[("low", "1")]).is_err());
}

/// A package names another one by an address: pip would run its code to ask for its metadata.
#[test]
fn nothing_runs() {
    let world = World::new();
    let archive = world.sdist("evil");
    world.wheel(
        "top",
        "1",
        PURE,
        &[&format!("evil @ file://{}", archive.display())],
    );
    let error = world.resolve(&["top"]).unwrap_err().to_string();
    world.nothing_ran();
    assert!(
        error.contains("polybuild lets pip start nothing"),
        "{error}"
    );
    // The attack is real.
    let alone = Command::new(world.path("bin/pip3"))
        .args(["download", "--only-binary=:all:", "--dest"])
        .arg(world.path("alone"))
        .arg("top")
        .output()
        .unwrap();
    assert!(world.path("mark").exists(), "{alone:?}");
}
