//! Python with the drivers of `tests/drivers/requirements.txt`.

use std::path::{Path, PathBuf};
use std::process::Command;

use super::cluster::Cluster;
use super::tools::{client, run};

/// The interpreter: `PORTCULLIS_PYTHON`, or of the virtual environment that `scripts/test` makes.
pub fn interpreter() -> PathBuf {
    let own = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("venv").join("bin/python");
    let python = std::env::var_os("PORTCULLIS_PYTHON").map_or(own, PathBuf::from);
    assert!(
        python.is_file(),
        "no Python with the drivers at {}: run scripts/test, or\n  python3 -m venv target/venv && \
         target/venv/bin/pip install -r tests/drivers/requirements.txt",
        python.display()
    );
    python
}

/// Runs a scenario of `tests/drivers` as this user against a port of 127.0.0.1; panics with its output where it fails.
pub fn scenario(cluster: &Cluster, port: u16, user: &str, file: &str, mode: &str) -> String {
    let environment = client(cluster, "psql", port, user, "shop");
    let mut command = Command::new(interpreter());
    for (name, value) in environment.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/drivers").join(file)).arg(mode);
    run(&mut command).ok()
}
