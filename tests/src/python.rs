//! A Python with pyzmq, msgpack and numpy, made once per build folder, and the peers that run in it.
//!
//! Needs `python3` (3.10 to 3.13) with its `venv` module; `CORTEX_TEST_PYTHON` names another one.

use std::env;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::OnceLock;

use rustix::fs::{FlockOperation, flock};

use crate::Program;

/// A Python interpreter that has the packages of `requirements.txt`.
///
/// It lives in a virtual environment under the cargo target folder, named after the requirements
/// and the interpreter it was made from. The first call makes it; other calls, from other processes
/// too, wait and then share it. An interrupted installation is made again from the start.
///
/// # Panics
/// If Python or its `venv` module is missing, or the packages cannot be installed.
#[must_use]
pub fn interpreter() -> PathBuf {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| interpreter_with(&folder().join("requirements.txt"))).clone()
}

/// Starts a peer script of `tests/peers`, such as `daemon.py`.
///
/// Every peer ends when its stdin closes, so none outlives a test process that was killed.
///
/// # Panics
/// If there is no such script, or as [`interpreter`].
#[track_caller]
pub fn peer<A: AsRef<OsStr>>(script: &str, arguments: impl IntoIterator<Item = A>) -> Program {
    peer_with(script, arguments, [])
}

/// Starts a peer as [`peer`] does, with these environment variables as well.
///
/// # Panics
/// As [`peer`].
#[track_caller]
pub fn peer_with<'a, A: AsRef<OsStr>>(
    script: &str,
    arguments: impl IntoIterator<Item = A>,
    variables: impl IntoIterator<Item = (&'a str, &'a str)>,
) -> Program {
    let path = folder().join("peers").join(script);
    assert!(path.is_file(), "no peer script {}", path.display());
    let mut command = Command::new(interpreter());
    command
        .arg(&path)
        .args(arguments)
        .envs(variables)
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .env_remove("PYTHONHOME")
        .env_remove("PYTHONPATH")
        .env_remove("PYTHONSAFEPATH");
    Program::spawn(command)
}

fn folder() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// A Python interpreter that has the packages of `requirements`, made and shared in the same way.
///
/// # Panics
/// As [`interpreter`].
#[must_use]
pub fn interpreter_with(requirements: &Path) -> PathBuf {
    let pinned = fs::read(requirements)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", requirements.display()));
    let base = env::var_os("CORTEX_TEST_PYTHON").unwrap_or_else(|| "python3".into());
    let mut hasher = DefaultHasher::new();
    (pinned, identity(&base)).hash(&mut hasher);
    let name = format!("{:016x}", hasher.finish());

    let environments = target_folder().join("python-peers");
    let environment = environments.join(&name);
    let interpreter = environment.join("bin").join("python");
    let stamp = environment.join("complete");
    let made = || stamp.is_file() && interpreter.exists();
    if made() {
        return interpreter;
    }

    let make = || -> std::io::Result<()> {
        fs::create_dir_all(&environments)?;
        // Held until every copy of the file is closed, however this process ends. The processes that
        // fill the folder have one as their stdin: they go on where this process is killed.
        let lock = File::create(environments.join(format!("{name}.lock")))?;
        flock(&lock, FlockOperation::LockExclusive)?;
        if made() {
            return Ok(());
        }
        if environment.exists() {
            fs::remove_dir_all(&environment)?;
        }
        let mut venv = Command::new(&base);
        venv.args(["-m", "venv"]).arg(&environment).stdin(lock.try_clone()?);
        run(venv, "install Python's venv module (Debian, Ubuntu: `apt-get install python3-venv`)");
        let mut pip = Command::new(&interpreter);
        pip.args(["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "-r"])
            .arg(requirements)
            .stdin(lock.try_clone()?);
        run(pip, "pip needs a package index, or a folder of wheels in PIP_FIND_LINKS");
        File::create(&stamp)?.sync_all()
    };
    make().unwrap_or_else(|error| panic!("cannot make {}: {error}", environment.display()));
    interpreter
}

/// The path and version of a base interpreter, which identify it.
fn identity(base: &OsStr) -> Vec<u8> {
    let mut command = Command::new(base);
    command.args([
        "-c",
        "import os, sys; assert sys.version_info >= (3, 10), 'older than 3.10'; \
         print(os.path.realpath(sys.executable), sys.version)",
    ]);
    run(
        command,
        "install Python 3.10 or later (Debian, Ubuntu: `apt-get install python3 python3-venv`)",
    )
    .stdout
}

fn run(mut command: Command, advice: &str) -> Output {
    let shown = format!("{command:?}");
    let output =
        command.env_remove("PYTHONHOME").env_remove("PYTHONPATH").output().unwrap_or_else(
            |error| panic!("the Python peers: cannot run {shown}: {error}; {advice}"),
        );
    assert!(
        output.status.success(),
        "the Python peers: {shown} failed ({}); {advice}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    output
}

/// The cargo target folder that this program was built into: the one marked by cargo above it.
fn target_folder() -> PathBuf {
    let program = env::current_exe().unwrap_or_default();
    let marked = program.ancestors().skip(1).find(|folder| folder.join("CACHEDIR.TAG").is_file());
    match marked {
        Some(target) => target.to_owned(),
        // A doctest runs elsewhere.
        None => env::var_os("CARGO_TARGET_DIR")
            .map_or_else(|| folder().join("../target"), PathBuf::from),
    }
}
